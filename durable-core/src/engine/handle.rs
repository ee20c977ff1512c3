//! A handle on a workflow, in this process or elsewhere.

use std::{fmt, marker::PhantomData, sync::Arc};

use futures_util::future::{Either, select};

use super::{
    Engine,
    slot::{ResultSlot, SlotState},
};
use crate::{
    AnyError, Error, WorkflowError,
    codec::decode_error,
    db::Resumed,
    ids::WorkflowId,
    names::Name,
    payload::{Ended, Outcome},
    state::{Status, WorkflowRow},
    workflow::{Payload, WorkflowDef},
};

/// A workflow that was started: its id, and its result once it has one. Cheap to clone.
///
/// Its types are those of the workflow's `Result`, so that a struct can hold it:
///
/// ```
/// # use durable_core::AnyError;
/// struct Pending {
///     order: u64,
///     receipt: durable_core::Handle<String, AnyError>,
/// }
///
/// async fn receipt(pending: Pending) -> Result<String, AnyError> {
///     pending.receipt.result().await
/// }
/// ```
pub struct Handle<T, E = AnyError> {
    engine: Arc<Engine>,
    id: WorkflowId,
    /// The name that the workflow is stored under.
    name: &'static str,
    /// Where its execution in this process leaves the outcome, if it runs here.
    slot: Option<Arc<ResultSlot>>,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T, E> Handle<T, E> {
    pub(crate) fn new<D>(engine: Arc<Engine>, id: WorkflowId, slot: Option<Arc<ResultSlot>>) -> Self
    where
        D: WorkflowDef<Output = T, Error = E>,
    {
        Self {
            engine,
            id,
            name: D::NAME,
            slot,
            result: PhantomData,
        }
    }

    /// The workflow's id.
    pub fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// Waits for the workflow's end and gives its result; wherever it runs, and as often as it is asked.
    ///
    /// Besides the workflow's own error, as `durable::Error` in its type: `Cancelled`, `DeadLettered`, `NotFound`, `Decode`. And
    /// `Unfinished` when the workflow has not ended and goes on later: the application shuts down, its set-up misses something, the code
    /// does not fit the history. [`Error::is_outcome`] tells that from an end. A dropped wait does not touch the workflow.
    pub async fn result(&self) -> Result<T, E>
    where
        T: Payload,
        E: WorkflowError,
    {
        let recorded = "`result()` of the handle that `ctx.start(…)` gives";
        if let Err(misplaced) = (self.engine).check_outside("handle.result()", Some(recorded)) {
            return Err(E::from_durable(misplaced));
        }
        match self.engine.end_of(&self.id, self.slot.as_deref()).await {
            Ok(ended) => decode_end(&self.engine, &self.id, &ended),
            Err(error) => Err(E::from_durable(error.ends_wait_for(&self.id))),
        }
    }

    /// How the workflow stands. Errors: `NotFound`.
    pub async fn status(&self) -> Result<Status, Error> {
        let recorded = Some("`ctx.status(…)`");
        self.engine.check_outside("handle.status()", recorded)?;
        Ok(self.engine.row(&self.id).await?.status)
    }

    /// Cancels the workflow, unless it has ended. Whether this call cancelled it.
    ///
    /// A sleeping or waiting workflow stops at once; one that runs a step when the step's body returns, which can see it by
    /// its [`StepCtx`](crate::StepCtx).
    pub async fn cancel(&self) -> Result<bool, Error> {
        let recorded = Some("`ctx.cancel(…)`");
        self.engine.check_outside("handle.cancel()", recorded)?;
        self.engine.cancel(&self.id).await
    }

    /// Continues a cancelled or dead-lettered workflow from its last checkpoint. Whether this call did.
    pub async fn resume(&self) -> Result<bool, Error> {
        let recorded = Some("`ctx.resume(…)`");
        self.engine.check_outside("handle.resume()", recorded)?;
        self.engine.resume(&self.id).await
    }
}

impl<T, E> Clone for Handle<T, E> {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            id: self.id.clone(),
            name: self.name,
            slot: self.slot.clone(),
            result: PhantomData,
        }
    }
}

impl<T, E> fmt::Debug for Handle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("workflow", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A workflow's end as its types.
pub(crate) fn decode_end<T: Payload, E: WorkflowError>(
    engine: &Engine,
    id: &WorkflowId,
    ended: &Ended,
) -> Result<T, E> {
    let workflow = id.to_string();
    let result = match ended {
        Ended::Outcome(Outcome::Success(value)) => {
            let what = format_args!("the result of workflow {workflow:?}");
            engine.codecs.decode(&what, value)
        }
        Ended::Outcome(Outcome::Failure(error)) => {
            let what = format_args!("the error of workflow {workflow:?}");
            match decode_error(&engine.codecs, &what, error) {
                Ok(own) => return Err(own),
                Err(error) => Err(error),
            }
        }
        Ended::Cancelled => Err(Error::Cancelled { workflow }),
        Ended::DeadLettered => Err(Error::DeadLettered { workflow }),
        Ended::Missing => Err(Error::NotFound { workflow }),
    };
    result.map_err(E::from_durable)
}

impl Engine {
    /// Waits for a workflow's end: by its slot if it runs here, by the database otherwise. Errors: its execution here was stopped.
    pub(crate) async fn end_of(
        &self,
        id: &WorkflowId,
        slot: Option<&ResultSlot>,
    ) -> Result<Ended, Error> {
        Name::SoughtId.check(id.as_str())?;
        let waited = Box::pin(async {
            if let Some(slot) = slot {
                match slot.wait().await {
                    SlotState::Ended(ended @ Ended::Outcome(_)) => return Ok(ended),
                    SlotState::Stopped(error) => return Err(error),
                    // A cancelled or dead-lettered workflow may have been resumed since.
                    SlotState::Ended(_) | SlotState::Running | SlotState::Elsewhere => {}
                }
            }
            self.ended_or_refused(id).await
        });
        let stopped = Box::pin(self.stopped.cancelled());
        match select(waited, stopped).await {
            Either::Left((end, _)) => end,
            Either::Right(_) => Err(self.why_stopped()),
        }
    }

    async fn ended_or_refused(&self, id: &WorkflowId) -> Result<Ended, Error> {
        let mut ended = Box::pin(self.waiters.result(id));
        loop {
            let refused = Box::pin(self.running.refused(id));
            match select(ended, refused).await {
                Either::Left((ended, _)) => return ended,
                Either::Right(((owner, error), rest)) => {
                    if self.row(id).await?.is_owned_by(&owner.token) {
                        return Err(error);
                    }
                    self.running.unpark(&owner);
                    ended = rest;
                }
            }
        }
    }

    /// The row of a workflow. Errors: `NotFound`.
    pub(crate) async fn row(&self, id: &WorkflowId) -> Result<WorkflowRow, Error> {
        Name::SoughtId.check(id.as_str())?;
        let asked = async { Ok(self.db.workflow(id).await?) };
        self.served(asked).await?.ok_or_else(|| Error::NotFound {
            workflow: id.to_string(),
        })
    }

    /// Cancels a workflow; whether this call did. Errors: `NotFound`.
    pub(crate) async fn cancel(&self, id: &WorkflowId) -> Result<bool, Error> {
        Name::SoughtId.check(id.as_str())?;
        let asked = async { Ok(self.db.cancel(std::slice::from_ref(id)).await?) };
        let cancelled = self.served(asked).await?;
        if cancelled.is_empty() {
            self.row(id).await?;
            return Ok(false);
        }
        self.cancelled(id);
        Ok(true)
    }

    /// Resumes a workflow; whether this call did. Errors: `NotFound`.
    pub(crate) async fn resume(&self, id: &WorkflowId) -> Result<bool, Error> {
        Name::SoughtId.check(id.as_str())?;
        let asked = async { Ok(self.db.resume(id, None).await?) };
        match self.served(asked).await? {
            Resumed::Enqueued => {
                self.wake_queues();
                Ok(true)
            }
            Resumed::Unchanged(_) => Ok(false),
            Resumed::Missing => Err(Error::NotFound {
                workflow: id.to_string(),
            }),
        }
    }
}
