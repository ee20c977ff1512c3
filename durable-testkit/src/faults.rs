//! A layer over any backend that loses calls and answers, as a network and a restarting database do.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use durable_core::{
    db::{
        DbError, Hint, Result, SystemDb, Waits, Wakes,
        texts::{self, Texts},
    },
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
    /// Texts with this in them are not taken.
    lacking: Option<char>,
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
            lacking: None,
        }
    }

    /// Takes no text with this character in it, as a server whose encoding lacks it: each call that has one is refused for good, whole.
    pub fn lacking(mut self, character: char) -> Self {
        self.lacking = Some(character);
        self
    }

    /// Loses all hints: what hints speed up must happen all the same.
    pub fn without_hints(mut self) -> Self {
        self.hints = false;
        self
    }

    /// Whether each of a call's texts is one that is taken.
    fn takes(&self, values: &[&dyn Texts]) -> bool {
        self.lacking
            .is_none_or(|lacking| !texts::any_has(values, lacking))
    }

    async fn call<T>(
        &self,
        name: &'static str,
        is_taken: bool,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if !is_taken {
            return Err(DbError::invalid_argument(
                name,
                "a text has a character that the testkit lacks",
            ));
        }
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
        self.call("migrate", true, self.inner.migrate()).await
    }

    async fn verify(&self) -> Result<()> {
        self.call("verify", true, self.inner.verify()).await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.call("now", true, self.inner.now()).await
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        let is_taken = self.takes(&[&waits]);
        self.call("poll", is_taken, self.inner.poll(waits)).await
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
                let is_taken = self.takes(&[$(&$arg),*]);
                self.call(stringify!($name), is_taken, self.inner.$name($($arg),*)).await
            })*
        }
    };
}

durable_core::__each_concern!(faulty);
