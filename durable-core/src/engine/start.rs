//! Starting workflows: from an application, and from inside another workflow.

use std::{future::IntoFuture, marker::PhantomData, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::{Engine, Handle, observer::notice, running::Reserved, slot::ResultSlot};
use crate::{
    Error,
    codec::encode_args,
    db::{
        ChildInserted, Claimed, DbError, Existing, Inserted, Lost, NewWorkflow, Placement,
        StepStamp, Timing,
    },
    ids::{Owner, WorkflowId, WorkflowKey},
    names::{self, Name},
    payload::Encoded,
    runtime::{BoxFuture, IdKind},
    sabotage::Bug,
    source::writer::{Held, holding},
    state::WorkflowRow,
    time::{Timestamp, millis},
    workflow::WorkflowDef,
};

/// A workflow about to be started. Await it: it gives a [`Handle`] once the workflow and its input are committed.
#[must_use = "a workflow is started when this is awaited"]
#[derive(Debug)]
pub struct Start<D: WorkflowDef> {
    engine: Arc<Engine>,
    call: Result<StartCall, Error>,
    definition: PhantomData<fn() -> D>,
}

/// What is started, and how.
#[derive(Clone, Debug)]
pub(crate) struct StartCall {
    pub(crate) key: WorkflowKey,
    pub(crate) input: Encoded,
    pub(crate) options: StartOptions,
}

/// The options of a start.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartOptions {
    pub(crate) id: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) priority: i32,
    pub(crate) timeout: TimeoutChoice,
    /// The application that runs it; `None`: this one.
    pub(crate) application: Option<String>,
}

/// The timeout that a start was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeoutChoice {
    /// None: a child inherits its parent's deadline.
    #[default]
    Inherit,
    /// None, also not the parent's.
    Never,
    /// This.
    After(Duration),
}

impl TimeoutChoice {
    pub(crate) fn timing(self, parent: Option<Timestamp>) -> Timing {
        match self {
            Self::After(timeout) => Timing::Timeout(millis(timeout)),
            Self::Never => Timing::Unbounded,
            Self::Inherit => parent.map_or(Timing::Unbounded, Timing::Inherited),
        }
    }
}

impl StartOptions {
    pub(crate) fn placement(&self) -> Placement {
        match &self.queue {
            None => Placement::Here,
            Some(name) => Placement::Queue {
                name: name.clone(),
                priority: if Bug::StartForgetsPriority.is_planted() {
                    0
                } else {
                    self.priority
                },
            },
        }
    }

    /// Refuses what cannot be. `0` is the default priority and cannot be asked for, as in the other SDKs.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |message: &str| Err(Error::Invalid(message.to_owned()));
        let named = |name: Name, given: &Option<String>| {
            given.as_deref().map_or(Ok(()), |given| name.check(given))
        };
        named(Name::WorkflowId, &self.id)?;
        named(Name::Queue, &self.queue)?;
        named(Name::Application, &self.application)?;
        if let Some(application) = &self.application
            && self.queue.is_none()
        {
            return Err(Error::Invalid(format!(
                "a workflow of application {application:?} runs there: name a queue that it serves with `.queue(…)`"
            )));
        }
        if self.priority < 0 {
            return invalid(
                "a priority is 1 to 2147483647, smaller first; leave it out to run before all of them",
            );
        }
        if self.priority > 0 && self.queue.is_none() {
            return invalid("a priority orders a queue; name one with `.queue(…)`");
        }
        Ok(())
    }
}

/// The option methods that an application's start and a child's start share.
macro_rules! start_options {
    ($options:ident) => {
        /// The workflow's id, which is its idempotency key: starting it again joins the run, or gives the finished result. At most
        /// 512 bytes, and not blank.
        pub fn id(self, id: impl Into<String>) -> Self {
            self.$options(|options| options.id = Some(id.into()))
        }

        /// Puts it on a queue, to be run by whichever executor claims it, instead of running it here.
        pub fn queue(self, name: impl Into<String>) -> Self {
            self.$options(|options| options.queue = Some(name.into()))
        }

        /// Leaves it to another application that shares the database, whatever language that is written in: to its newest version, on
        /// a queue that it serves. The workflow's definition here gives its name and its types, and need not be registered.
        pub fn application(self, name: impl Into<String>) -> Self {
            self.$options(|options| options.application = Some(name.into()))
        }

        /// Its priority on its queue: 1 to 2147483647, smaller first. Without one it runs before all that have one.
        pub fn priority(self, priority: i32) -> Self {
            self.$options(|options| options.priority = priority)
        }

        /// Cancels it when it has not ended this long after its first execution began, in whole milliseconds.
        pub fn timeout(self, timeout: std::time::Duration) -> Self {
            self.$options(|options| {
                options.timeout = $crate::engine::start::TimeoutChoice::After(timeout);
            })
        }
    };
}
pub(crate) use start_options;

impl<D: WorkflowDef> Start<D> {
    pub(super) fn new(engine: Arc<Engine>, config: Option<&str>, input: &D::Input) -> Self {
        let call = encode_args::<D>(&engine.codecs, input).map(|input| StartCall {
            key: crate::workflow::key_of::<D>(config),
            input,
            options: StartOptions::default(),
        });
        Self {
            engine,
            call,
            definition: PhantomData,
        }
    }

    fn option(mut self, set: impl FnOnce(&mut StartOptions)) -> Self {
        if let Ok(call) = &mut self.call {
            set(&mut call.options);
        }
        self
    }

    start_options!(option);

    async fn send(self) -> Result<Handle<D::Output, D::Error>, Error> {
        let call = self.call?;
        call.options.check()?;
        call.check_key()?;
        let engine = self.engine;
        engine.check_start("app.start(…)", call.options.id.is_some())?;
        let id = match &call.options.id {
            Some(id) => WorkflowId::from(id.as_str()),
            None => WorkflowId::from(engine.runtime.new_id(IdKind::Workflow)),
        };
        let new = engine.new_workflow(id.clone(), &call, None)?;
        let slot = match engine.insert(new, None).await? {
            Insertion::Created(slot) => slot,
            Insertion::Exists(existing) => {
                call.check_existing(&id, &existing)?;
                engine.tell_if_stranded(&id).await?;
                None
            }
            // Only a child has a parent whose token can be lost.
            Insertion::Lost(_) => None,
        };
        Ok(Handle::new::<D>(engine, id, slot))
    }
}

impl StartCall {
    /// Refuses a workflow that cannot be stored under its name: one that is not registered here has not been checked yet.
    pub(crate) fn check_key(&self) -> Result<(), Error> {
        names::check_key(&self.key)
    }

    /// Refuses an id that belongs to another workflow; a different queue is no conflict.
    pub(crate) fn check_existing(&self, id: &WorkflowId, existing: &Existing) -> Result<(), Error> {
        if existing.key != self.key {
            return Err(Error::Conflict {
                workflow: id.to_string(),
                existing: existing.key.to_string(),
                called: self.key.to_string(),
            });
        }
        self.warn_of_queue(id, existing);
        Ok(())
    }

    /// Says that the queue of a workflow that is there already stays.
    pub(crate) fn warn_of_queue(&self, id: &WorkflowId, existing: &Existing) {
        if self.options.queue.is_some() && existing.queue != self.options.queue {
            tracing::warn!(workflow = %id, queue = ?existing.queue, asked = ?self.options.queue, "the workflow is there already; its queue stays");
        }
    }
}

impl<D: WorkflowDef> IntoFuture for Start<D> {
    type Output = Result<Handle<D::Output, D::Error>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What came of inserting a workflow.
pub(crate) enum Insertion {
    /// It was inserted; it has a slot if it runs here.
    Created(Option<Arc<ResultSlot>>),
    /// Its id was taken.
    Exists(Existing),
    /// The parent has lost its token.
    Lost(Lost),
}

/// The parent's side of a child's start.
pub(crate) type ParentStep = (Owner, StepStamp);

impl Engine {
    /// Says it where the caller looks: a workflow of another version is joined, and does not run here.
    async fn tell_if_stranded(&self, id: &WorkflowId) -> Result<(), Error> {
        let row = self.row(id).await?;
        let ours = &self.claimant.version;
        if let Some(version) = &row.version
            && version != ours
            && !row.status.is_terminal()
        {
            notice(&format!(
                "workflow {:?} ({}) is {} and waits for a process of version {version}: this one runs {ours}, so its result does not \
                 come from here; the launch report says the ways out",
                id.as_str(),
                row.key,
                row.status,
            ));
        }
        Ok(())
    }

    /// A workflow to insert. Errors: it would run here and is not registered.
    pub(crate) fn new_workflow(
        &self,
        id: WorkflowId,
        call: &StartCall,
        parent: Option<(&WorkflowId, Option<Timestamp>)>,
    ) -> Result<NewWorkflow, Error> {
        let placement = call.options.placement();
        if placement == Placement::Here && self.registry.get(&call.key).is_none() {
            return Err(Error::NotRegistered {
                workflow: call.key.to_string(),
            });
        }
        Ok(NewWorkflow {
            id,
            key: call.key.clone(),
            input: call.input.clone(),
            placement,
            creator: self.new_token(),
            executor: self.claimant.executor.clone(),
            application: (call.options.application.clone())
                .unwrap_or_else(|| self.claimant.application.clone()),
            // Which versions another application has is its own business: its newest takes what names none.
            version: call
                .options
                .application
                .is_none()
                .then(|| self.claimant.version.clone()),
            timing: call
                .options
                .timeout
                .timing(parent.and_then(|(_, deadline)| deadline)),
            parent: parent.map(|(id, _)| id.clone()),
        })
    }

    /// Inserts a workflow and, if it is to run here, runs it.
    ///
    /// This happens in a task of its own, so that a caller who is dropped half way leaves no row that nobody runs.
    pub(crate) async fn insert(
        self: &Arc<Self>,
        new: NewWorkflow,
        parent: Option<ParentStep>,
    ) -> Result<Insertion, Error> {
        // Known from before the insert, so that nobody takes the row for an orphan, and a shutdown waits for it.
        let reserved = self.running.reserve(self, vec![new.creator.clone()]);
        // What runs may go on starting children while a shutdown waits for it.
        if parent.is_none() && self.is_stopping() {
            return Err(self.why_stopped());
        }
        let (answer, answered) = oneshot::channel();
        let task = insert_and_run(reserved, new, parent, Held::here(), answer);
        self.runtime.spawn("start", Box::pin(task)).detach();
        match select(answered, Box::pin(self.stopped.cancelled())).await {
            Either::Left((Ok(inserted), _)) => Ok(inserted?),
            Either::Left((Err(_), _)) | Either::Right(_) => Err(self.why_stopped()),
        }
    }
}

async fn insert_and_run(
    reserved: Reserved,
    new: NewWorkflow,
    parent: Option<ParentStep>,
    held: Option<Held>,
    answer: oneshot::Sender<Result<Insertion, DbError>>,
) {
    let engine = Arc::clone(reserved.engine());
    // The caller's closure waits for this one too.
    let inserted = match &parent {
        None => holding(held, engine.db.insert_workflow(&new))
            .await
            .map(ChildInserted::Done),
        Some((owner, step)) => holding(held, engine.db.insert_child(&new, owner, step)).await,
    };
    let deadline = match inserted {
        Ok(ChildInserted::Done(Inserted::Created { deadline })) => deadline,
        other => {
            // The caller may be gone; then nobody wants to know.
            let _ = answer.send(other.map(not_created));
            return;
        }
    };
    if new.placement != Placement::Here {
        let _ = answer.send(Ok(Insertion::Created(None)));
        engine.look_whether_served(&new);
        return;
    }
    let slot = Arc::new(ResultSlot::new());
    let owner = Owner {
        workflow: new.id.clone(),
        token: new.creator.clone(),
    };
    let input = Some(new.input.clone());
    let row = WorkflowRow {
        deadline: deadline.filter(|_| !Bug::StartForgetsDeadline.is_planted()),
        ..new.into_row(engine.clock.now())
    };
    let claimed = Claimed {
        row,
        input,
        excused: 0,
    };
    let dispatched = engine.dispatched(claimed, owner, Vec::new(), Arc::clone(&slot), None);
    drop(reserved);
    let _ = answer.send(Ok(Insertion::Created(Some(slot))));
    super::run::run(dispatched).await;
}

fn not_created(inserted: ChildInserted) -> Insertion {
    match inserted {
        ChildInserted::Done(Inserted::Exists(existing)) => Insertion::Exists(existing),
        ChildInserted::Done(Inserted::Created { .. }) => Insertion::Created(None),
        ChildInserted::Lost(lost) => Insertion::Lost(lost),
    }
}
