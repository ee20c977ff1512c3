//! Starting workflows and sending messages inside a transaction: they are there if it commits, and only then.

use std::{
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomData,
    sync::Arc,
};

use serde::Serialize;

use super::{DataSource, Layout};
use crate::{
    App, Ctx, Error,
    codec::encode_args,
    db::{DbError, Inserted, Placement, Sent},
    engine::{
        Engine, Handle,
        execution::Execution,
        start::{StartCall, StartOptions, TimeoutChoice, start_options},
    },
    ids::WorkflowId,
    runtime::{BoxFuture, IdKind},
    workflow::{WorkflowDef, WorkflowFn, key_of},
};

/// From where something is started or sent inside a transaction: an application ([`App`]), or a workflow's closure ([`Ctx`]).
pub trait Scope: sealed::Scope {}

impl Scope for App {}
impl Scope for Ctx {}

mod sealed {
    use super::{App, Arc, Ctx, Engine, Execution};

    /// The engine, and the workflow that acts.
    #[derive(Clone)]
    pub struct Parts {
        pub(super) engine: Arc<Engine>,
        pub(super) execution: Option<Arc<Execution>>,
    }

    pub trait Scope {
        fn parts(&self) -> Parts;
    }

    impl Scope for App {
        fn parts(&self) -> Parts {
            Parts {
                engine: Arc::clone(self.engine()),
                execution: None,
            }
        }
    }

    impl Scope for Ctx {
        fn parts(&self) -> Parts {
            Parts {
                engine: Arc::clone(self.engine()),
                execution: Some(Arc::clone(self.execution())),
            }
        }
    }
}

impl sealed::Parts {
    /// The answer of the database. Trouble is remembered, so that it does not become the result of the step whose closure passes it on.
    fn ok<T>(&self, answer: Result<T, DbError>) -> Result<T, Error> {
        answer.map_err(|error| {
            if let Some(execution) = &self.execution {
                execution.swap_outbox_trouble(Some(error.clone()));
            }
            error.into()
        })
    }
}

/// A workflow about to be enqueued in a transaction; options follow as methods, then `.await`.
#[must_use = "a workflow is enqueued when this is awaited"]
pub struct Enqueue<'a, C, D: WorkflowDef> {
    source: &'a DataSource<C>,
    conn: &'a mut C,
    parts: sealed::Parts,
    call: Result<StartCall, Error>,
    definition: PhantomData<fn() -> D>,
}

impl<C: Send + 'static> DataSource<C> {
    /// Enqueues a workflow in the transaction that is open on `conn`: it is there if that commits, and only then.
    ///
    /// `scope` is the application, for a transaction of its own (insert the order and enqueue its workflow together), or the context in
    /// a transactional step. Name a queue with `.queue(…)`; without `.id(…)` the id is random. Errors: `Invalid` without a queue, or if
    /// the system tables are not in this data source's database; `Conflict`, `Encode`; `Database`, which a transactional step's closure
    /// should pass on.
    pub fn enqueue<'a, D: WorkflowDef, Args>(
        &'a self,
        scope: &impl Scope,
        conn: &'a mut C,
        workflow: impl WorkflowFn<D, Args>,
        input: D::Input,
    ) -> Enqueue<'a, C, D> {
        let _ = workflow;
        let parts = scope.parts();
        Enqueue {
            source: self,
            conn,
            call: encode_args::<D>(&parts.engine.codecs, &input).map(|input| StartCall {
                key: key_of::<D>(None),
                input,
                options: StartOptions::default(),
            }),
            parts,
            definition: PhantomData,
        }
    }

    /// Puts a message into a workflow's mailbox in the transaction that is open on `conn`: it is there if that commits, and only then.
    ///
    /// `scope` as for [`enqueue`](Self::enqueue). Errors: `NotFound`, `Encode`, `Invalid`, `Database`.
    pub async fn send<T: Serialize + Sync + ?Sized>(
        &self,
        scope: &impl Scope,
        conn: &mut C,
        destination: impl Into<WorkflowId>,
        topic: &str,
        message: &T,
    ) -> Result<(), Error> {
        let parts = scope.parts();
        let engine = &parts.engine;
        let destination = destination.into();
        let key = engine.runtime.new_id(IdKind::Message);
        let message = engine.message(&destination, Some(topic), message, &key);
        engine.check_outside("source.send(…)", Some("`ctx.send(…)`"))?;
        self.check_layout("a message is sent")?;
        let sent = self.backend().send(conn, &message?).await;
        match parts.ok(sent)? {
            Sent::Delivered => Ok(()),
            Sent::NoDestination | Sent::Lost(_) => Err(Error::NotFound {
                workflow: destination.to_string(),
            }),
        }
    }

    fn check_layout(&self, what: &str) -> Result<(), Error> {
        if self.backend().layout() == Layout::System {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "{what} in a transaction of another database, which has no mailboxes and queues of this application: use the data source of \
             the system database, or do it in a step of its own after this one"
        )))
    }
}

impl<C: Send + 'static, D: WorkflowDef> Enqueue<'_, C, D> {
    fn option(mut self, set: impl FnOnce(&mut StartOptions)) -> Self {
        if let Ok(call) = &mut self.call {
            set(&mut call.options);
        }
        self
    }

    start_options!(option);

    /// Gives it no deadline, also not that of the workflow that enqueues it.
    pub fn no_timeout(self) -> Self {
        self.option(|options| options.timeout = TimeoutChoice::Never)
    }

    async fn insert(self) -> Result<Handle<D::Output, D::Error>, Error> {
        let call = self.call?;
        call.options.check()?;
        call.check_key()?;
        self.source.check_layout("a workflow is enqueued")?;
        if call.options.placement() == Placement::Here {
            return Err(Error::Invalid(
                "a workflow that is started in a transaction cannot run here before that commits: name a queue with `.queue(…)`"
                    .to_owned(),
            ));
        }
        let engine = &self.parts.engine;
        engine.check_outside("source.enqueue(…)", Some("`ctx.start(…)`"))?;
        let id = match &call.options.id {
            Some(id) => WorkflowId::from(id.as_str()),
            None => WorkflowId::from(engine.runtime.new_id(IdKind::Workflow)),
        };
        let parent = self.parts.execution.as_ref();
        let parent = parent.map(|execution| (execution.id(), execution.deadline));
        let new = engine.new_workflow(id.clone(), &call, parent)?;
        let inserted = self.source.backend().enqueue(self.conn, &new).await;
        match self.parts.ok(inserted)? {
            Inserted::Created { .. } => {}
            Inserted::Exists(existing) => call.check_existing(&id, &existing)?,
        }
        Ok(Handle::new::<D>(Arc::clone(engine), id, None))
    }
}

impl<'a, C: Send + 'static, D: WorkflowDef> IntoFuture for Enqueue<'a, C, D> {
    type Output = Result<Handle<D::Output, D::Error>, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.insert())
    }
}

impl<C, D: WorkflowDef> fmt::Debug for Enqueue<'_, C, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enqueue({})", D::NAME)
    }
}

/// The future of an [`Enqueue`] moves between threads.
#[allow(dead_code)]
fn is_send<C: Send + 'static, D: WorkflowDef>(
    enqueue: Enqueue<'_, C, D>,
) -> impl Future<Output = Result<Handle<D::Output, D::Error>, Error>> + Send {
    enqueue.into_future()
}
