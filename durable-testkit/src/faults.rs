//! A layer over any backend that loses calls and answers, as a network and a restarting database do.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use durable_core::{
    db::{DbError, Hint, Result, SystemDb, Waits, Wakes},
    time::Timestamp,
};
use futures_util::stream::BoxStream;

/// What happens to one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It does not reach the database.
    CallLost,
    /// It happens, and its answer does not come back.
    AnswerLost,
    /// It happens, and the driver reports what no retry mends.
    Broken,
}

/// A backend whose calls fail as a function of the call's name says: `"claim"`, `"record_step"`, …, as the trait's methods.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn SystemDb>,
    plan: Arc<dyn Fn(&'static str) -> Fault + Send + Sync>,
    hints: bool,
}

impl Faulty {
    /// Wraps `inner`; `plan` is asked once for each call, before it is made.
    pub fn new(
        inner: impl SystemDb,
        plan: impl Fn(&'static str) -> Fault + Send + Sync + 'static,
    ) -> Self {
        Self {
            plan: Arc::new(plan),
            ..Self::over(Arc::new(inner))
        }
    }

    /// The same, with calls that fail as `plan` says.
    pub fn failing(mut self, plan: impl Fn(&'static str) -> Fault + Send + Sync + 'static) -> Self {
        self.plan = Arc::new(plan);
        self
    }

    /// Wraps `inner` and loses nothing: for a test that keeps a handle on what it gives away.
    pub fn over(inner: Arc<dyn SystemDb>) -> Self {
        Self {
            inner,
            plan: Arc::new(|_| Fault::None),
            hints: true,
        }
    }

    /// Loses all hints: what hints speed up must happen all the same.
    pub fn without_hints(mut self) -> Self {
        self.hints = false;
        self
    }

    async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let lost = || DbError::unavailable(name, "a fault of the testkit");
        match (self.plan)(name) {
            Fault::None => call.await,
            Fault::CallLost => Err(lost()),
            Fault::AnswerLost => {
                call.await?;
                Err(lost())
            }
            Fault::Broken => {
                call.await?;
                Err(DbError::broken(name, "a fault of the testkit"))
            }
        }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.inner).finish()
    }
}

#[async_trait]
impl SystemDb for Faulty {
    async fn migrate(&self) -> Result<()> {
        self.call("migrate", self.inner.migrate()).await
    }

    async fn verify(&self) -> Result<()> {
        self.call("verify", self.inner.verify()).await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.call("now", self.inner.now()).await
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        self.call("poll", self.inner.poll(waits)).await
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        if self.hints {
            self.inner.hints()
        } else {
            Box::pin(futures_util::stream::pending())
        }
    }
}

/// Methods that pass every call through [`Faulty::call`] under their own names.
macro_rules! faulty {
    ($trait:path { $(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }) => {
        #[async_trait]
        impl $trait for Faulty {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer> {
                self.call(stringify!($name), self.inner.$name($($arg),*)).await
            })*
        }
    };
}

durable_core::__each_concern!(faulty);
