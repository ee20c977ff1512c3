//! A launched application.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use super::{AppBuilder, Engine, Handle, Health, LaunchReport, Start};
use crate::{
    Error,
    db::{Message, NULL_TOPIC, Sent, StepRecord},
    ids::{ExecutorId, WorkflowId, message_id},
    names::Name,
    runtime::{IdKind, Timer},
    sabotage::Bug,
    state::WorkflowRow,
    workflow::{MethodFn, WorkflowDef, WorkflowFn},
};

/// A launched application: starts workflows, and runs those that it has registered. Cheap to clone.
///
/// It runs until [`shutdown`](Self::shutdown) or the end of the process; dropping it stops nothing.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) engine: Arc<Engine>,
    pub(super) report: Arc<LaunchReport>,
}

impl App {
    /// Begins an application of this name. The name belongs to one program: it decides whose workflows are whose.
    pub fn builder(name: impl Into<String>) -> AppBuilder {
        AppBuilder::new(name.into())
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Starts a workflow; options follow as methods, then `.await` gives a [`Handle`].
    ///
    /// It returns once the workflow and its input are committed. Errors: `Conflict` when the id belongs to another workflow,
    /// `NotRegistered`, `Encode`, `Invalid`, `InvalidName`.
    pub fn start<D: WorkflowDef, Args>(
        &self,
        workflow: impl WorkflowFn<D, Args>,
        input: D::Input,
    ) -> Start<D> {
        let _ = workflow;
        Start::new(Arc::clone(&self.engine), None, &input)
    }

    /// Starts a workflow that is a method, on the instance registered under `instance`.
    pub fn start_on<T, D: WorkflowDef, Args>(
        &self,
        instance: &str,
        method: impl MethodFn<T, D, Args>,
        input: D::Input,
    ) -> Start<D> {
        let _ = method;
        Start::new(Arc::clone(&self.engine), Some(instance), &input)
    }

    /// A handle on a workflow by its id, wherever it was started. Whether it exists shows when the handle is used.
    pub fn handle<D: WorkflowDef, Args>(
        &self,
        workflow: impl WorkflowFn<D, Args>,
        id: impl Into<WorkflowId>,
    ) -> Handle<D::Output, D::Error> {
        let _ = workflow;
        Handle::new::<D>(Arc::clone(&self.engine), id.into(), None)
    }

    /// A handle on a workflow that is a method, by its id.
    pub fn handle_on<T, D: WorkflowDef, Args>(
        &self,
        method: impl MethodFn<T, D, Args>,
        id: impl Into<WorkflowId>,
    ) -> Handle<D::Output, D::Error> {
        let _ = method;
        Handle::new::<D>(Arc::clone(&self.engine), id.into(), None)
    }

    /// The row of a workflow: its status, its times, its place. Errors: `NotFound`.
    pub async fn workflow(&self, id: impl Into<WorkflowId>) -> Result<WorkflowRow, Error> {
        let (engine, id) = (&self.engine, id.into());
        engine.check_outside("app.workflow(…)", None)?;
        engine.row(&id).await
    }

    /// Why this process stopped a workflow and does not try it again, if it did: the error that its handle's `result` gives here.
    ///
    /// Asks the database nothing; [`health`](Self::health) lists the first of them. Errors: `InvalidName`.
    pub fn parked(&self, id: impl Into<WorkflowId>) -> Result<Option<Error>, Error> {
        let id = id.into();
        Name::SoughtId.check(id.as_str())?;
        Ok(self.engine.running.parked_of(&id).map(|(_, error)| error))
    }

    /// The recorded operations of a workflow, in the order of their numbers; none for an unknown id.
    pub async fn steps(&self, id: impl Into<WorkflowId>) -> Result<Vec<StepRecord>, Error> {
        let id = id.into();
        self.engine.check_outside("app.steps(…)", None)?;
        Name::SoughtId.check(id.as_str())?;
        let id = [id];
        let asked = async { Ok(self.engine.db.histories(&id).await?) };
        let histories = self.engine.served(asked).await?;
        Ok(histories
            .into_iter()
            .flat_map(|history| history.steps)
            .collect())
    }

    /// Cancels a workflow, unless it has ended; whether this call did. Its children go on. Errors: `NotFound`.
    pub async fn cancel(&self, id: impl Into<WorkflowId>) -> Result<bool, Error> {
        let (engine, id) = (&self.engine, id.into());
        engine.check_outside("app.cancel(…)", Some("`ctx.cancel(…)`"))?;
        engine.cancel(&id).await
    }

    /// Continues a cancelled or dead-lettered workflow from its last checkpoint; whether this call did. Errors: `NotFound`.
    ///
    /// Its deadline is gone; a timeout of its own starts anew.
    pub async fn resume(&self, id: impl Into<WorkflowId>) -> Result<bool, Error> {
        let (engine, id) = (&self.engine, id.into());
        engine.check_outside("app.resume(…)", Some("`ctx.resume(…)`"))?;
        engine.resume(&id).await
    }

    /// Puts a message into a workflow's mailbox, under a topic. Errors: `NotFound`, `Encode`, `InvalidName`.
    ///
    /// Called again it sends again; with [`send_once`](Self::send_once) it does not.
    pub async fn send<T: Serialize + ?Sized>(
        &self,
        destination: impl Into<WorkflowId>,
        topic: &str,
        message: &T,
    ) -> Result<(), Error> {
        let key = self.engine.runtime.new_id(IdKind::Message);
        self.send_once(destination, topic, message, &key).await
    }

    /// Puts a message into a workflow's mailbox, unless one with this idempotency key is there or
    /// was: in this mailbox, as others have keys of their own.
    pub async fn send_once<T: Serialize + ?Sized>(
        &self,
        destination: impl Into<WorkflowId>,
        topic: &str,
        message: &T,
        idempotency_key: &str,
    ) -> Result<(), Error> {
        self.engine
            .check_outside("app.send(…)", Some("`ctx.send(…)`"))?;
        let destination = destination.into();
        let message = self
            .engine
            .message(&destination, Some(topic), message, idempotency_key)?;
        let asked = async { Ok(self.engine.db.send(&message, None).await?) };
        match self.engine.served(asked).await? {
            Sent::Delivered => Ok(()),
            Sent::NoDestination | Sent::Lost(_) => Err(Error::NotFound {
                workflow: destination.to_string(),
            }),
        }
    }

    /// Waits until a workflow has published a value under a key; `None` if it has not within `timeout`.
    pub async fn get_event<T: DeserializeOwned>(
        &self,
        workflow: impl Into<WorkflowId>,
        key: &str,
        timeout: Duration,
    ) -> Result<Option<T>, Error> {
        let workflow = workflow.into();
        Name::SoughtId.check(workflow.as_str())?;
        Name::EventKey.check(key)?;
        let engine = &self.engine;
        engine.check_outside("app.get_event(…)", Some("`ctx.get_event(…)`"))?;
        let waiting = engine.waiters.event(&workflow, key);
        let mut timer = engine.runtime.sleep(timeout, Timer::Work);
        let mut expired = false;
        loop {
            let asked = async { Ok(engine.db.event(&workflow, key).await?) };
            if let Some(value) = engine.served(asked).await? {
                let what = format_args!("event {key:?} of workflow {:?}", workflow.as_str());
                return engine.codecs.decode(&what, &value).map(Some);
            }
            if expired {
                return Ok(None);
            }
            let signalled = Box::pin(waiting.signalled());
            let stopped = Box::pin(engine.stopped.cancelled());
            match select(select(signalled, stopped), timer).await {
                Either::Left((Either::Left(_), rest)) => timer = rest,
                Either::Left((Either::Right(_), _)) => return Err(engine.why_stopped()),
                // At the end one last look: an event whose hint was lost counts.
                Either::Right(((), _)) => {
                    expired = true;
                    timer = Box::pin(std::future::pending());
                }
            }
        }
    }

    /// What the launch found and did.
    pub fn report(&self) -> &LaunchReport {
        &self.report
    }

    /// How it is, for a readiness probe: whether the database answers, how much runs here, whether it is shutting down.
    ///
    /// Asks the database nothing, so it is always quick. The calls that the application makes anyway tell: also one that has nothing to
    /// do looks around at each [`poll_interval`](AppBuilder::poll_interval). See [`DatabaseHealth`](crate::DatabaseHealth) for how soon a change is seen.
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// This process's executor id.
    pub fn executor(&self) -> &ExecutorId {
        &self.engine.claimant.executor
    }

    /// The application version that this process runs.
    pub fn version(&self) -> &str {
        &self.engine.claimant.version
    }

    /// Stops: starts and claims nothing more. What only waits (for a time, a message, an event,
    /// another workflow) is stopped at once; what runs has up to `grace` to end or to come to a
    /// wait, children that it starts included. Then it is interrupted.
    ///
    /// What was stopped is unfinished and goes on when an executor recovers it; whoever waits for
    /// its result here is told so. It is no crash for its `max_recovery_attempts`, unless a body
    /// had to be interrupted. The executor id is free when this returns, which is as soon as
    /// nothing runs, and at most 10 s after `grace`, also while the database is away.
    ///
    /// It goes on to its end also when the caller is dropped half way. The body of a step may call
    /// it, and is itself what the grace is for.
    pub async fn shutdown(&self, grace: Duration) {
        if self.engine.ended.is_cancelled() {
            // Nothing is left to be stopped.
            let engine = &self.engine;
            let left = async { drop(engine.db.leave(engine.executor()).await) };
            engine.within(SETTLE, left).await;
            return;
        }
        // Without an answer the runtime has ended, and everything with it.
        let _ = self.engine.stop_apart(grace).await;
    }
}

/// How long a shutdown waits for what should take no time.
const SETTLE: Duration = Duration::from_secs(5);

/// How long a shutdown tries to say which workflows it stopped at rest, and then to give its id back:
/// together no longer than [`SETTLE`].
const SAY: Duration = Duration::from_secs(2);
const LEAVE: Duration = Duration::from_secs(3);

impl Engine {
    fn executor(&self) -> &ExecutorId {
        &self.claimant.executor
    }

    /// Shuts down in a task of its own, which goes on where the caller is dropped. The answer comes
    /// when that is done.
    pub(super) fn stop_apart(self: &Arc<Self>, grace: Duration) -> oneshot::Receiver<()> {
        let (ends, ended) = oneshot::channel();
        let engine = Arc::clone(self);
        let stop = async move {
            engine.stop(grace).await;
            // The caller may be gone.
            let _ = ends.send(());
        };
        self.runtime.spawn("shutdown", Box::pin(stop)).detach();
        ended
    }

    /// See [`App::shutdown`].
    async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.running.drain();
        if Bug::LeavesWhileItRuns.is_planted() {
            self.within(LEAVE, async { drop(self.db.leave(self.executor()).await) })
                .await;
        }
        if !self.within(grace, self.running.idle()).await {
            tracing::warn!(
                "interrupting the workflows that still run; they go on when they are recovered"
            );
            self.running.stop_all();
            self.stop_tasks();
            // Dropping takes no time; only what waits for an absent database is left behind, and its writes are fenced.
            self.within(SETTLE, self.running.idle()).await;
        }
        // What is added from now on, by an answer that comes late, is stopped as well.
        self.running.stop_all();
        self.stop_tasks();
        self.within(SAY, self.release()).await;
        let left = async {
            if let Err(error) = self.db.leave(self.executor()).await {
                tracing::error!(%error, "the executor id could not be given back");
            }
        };
        self.within(LEAVE, left).await;
        self.tell_withheld(true);
        self.stopped.cancel();
    }

    /// Says which workflows were stopped at rest: their next executions are not because of a crash.
    async fn release(&self) {
        let rested = self.running.take_rested();
        if rested.is_empty() {
            return;
        }
        if let Err(error) = self.db.release(&rested).await {
            tracing::warn!(%error, "this shutdown counts as a crash of the workflows that it stopped");
        }
    }

    /// Waits for a task, no longer than this; whether it was done.
    async fn within(&self, limit: Duration, task: impl Future<Output = ()>) -> bool {
        let limit = self.runtime.sleep(limit, Timer::Work);
        matches!(select(pin!(task), limit).await, Either::Left(_))
    }

    /// A message as it is stored; its id names the destination too, as in the other SDKs.
    pub(crate) fn message<T: Serialize + ?Sized>(
        &self,
        destination: &WorkflowId,
        topic: Option<&str>,
        value: &T,
        key: &str,
    ) -> Result<Message, Error> {
        Name::SoughtId.check(destination.as_str())?;
        Name::MessageKey.check(key)?;
        if let Some(topic) = topic {
            Name::Topic.check(topic)?;
        }
        let what = format_args!("a message to workflow {:?}", destination.as_str());
        Ok(Message {
            id: message_id(key, destination),
            destination: destination.clone(),
            topic: topic.unwrap_or(NULL_TOPIC).to_owned(),
            payload: self.codecs.encode(&what, value)?,
        })
    }
}
