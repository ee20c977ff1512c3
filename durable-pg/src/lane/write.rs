//! What rides in a lane: writes, each with whom to answer.

use durable_core::{
    db::{ChildInserted, NewWorkflow, Recorded, StepRecord, StepStamp, Write as Written},
    ids::{Owner, WorkflowId},
    payload::Outcome,
    state::WorkflowRow,
    time::Timestamp,
};
use tokio::sync::oneshot;

use crate::error::Failure;

/// Where an answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Failure>>;

/// A write on its way.
pub(super) enum Write {
    Start(Box<Start>, Answer<ChildInserted>),
    Step(Step, Answer<Recorded>),
    Finish(Finish, Answer<Written>),
}

/// A workflow to insert, alone or as a step of the workflow that starts it.
pub(crate) struct Start {
    pub(crate) new: NewWorkflow,
    /// The text of its input, taken out of `new`, so that it is not copied with it.
    pub(crate) input: String,
    /// Who starts it, and as which step.
    pub(crate) parent: Option<(Owner, StepStamp)>,
    /// Its row as if it were inserted at the instant 0: what depends on the instant is made by the database.
    pub(crate) row: WorkflowRow,
}

/// A step to record.
pub(crate) struct Step {
    pub(crate) owner: Owner,
    pub(crate) record: StepRecord,
}

/// A workflow to end.
pub(crate) struct Finish {
    pub(crate) owner: Owner,
    pub(crate) outcome: Outcome,
}

impl Start {
    pub(crate) fn new(new: &NewWorkflow, parent: Option<(Owner, StepStamp)>) -> Self {
        let mut new = new.clone();
        let input = std::mem::take(&mut new.input.text);
        let row = new.clone().into_row(Timestamp::from_millis(0));
        Self {
            new,
            input,
            parent,
            row,
        }
    }

    pub(crate) fn id(&self) -> &WorkflowId {
        &self.new.id
    }

    /// The queue that it goes on.
    pub(crate) fn queue(&self) -> Option<&str> {
        self.row.queue.as_deref()
    }
}

impl Write {
    /// By what it is decided which lane it rides in: what must stay in order has the same.
    pub(super) fn lane_key(&self) -> &str {
        match self {
            Self::Start(start, _) => match (&start.parent, start.queue()) {
                (Some((parent, _)), _) => parent.workflow.as_str(),
                (None, Some(queue)) => queue,
                (None, None) => start.id().as_str(),
            },
            Self::Step(step, _) => step.owner.workflow.as_str(),
            Self::Finish(finish, _) => finish.owner.workflow.as_str(),
        }
    }

    /// About how many bytes it adds to a statement.
    pub(super) fn bytes(&self) -> usize {
        const ROW: usize = 256;
        ROW + match self {
            Self::Start(start, _) => start.input.len(),
            Self::Step(step, _) => match &step.record.result {
                durable_core::db::StepResult::Output(value)
                | durable_core::db::StepResult::Error(value) => value.text.len(),
                durable_core::db::StepResult::Nothing => 0,
            },
            Self::Finish(finish, _) => {
                let (Outcome::Success(payload) | Outcome::Failure(payload)) = &finish.outcome;
                payload.text.len()
            }
        }
    }

    /// Tells the caller that it failed.
    pub(super) fn fail(self, failure: &Failure) {
        // A caller that went away wants no answer.
        match self {
            Self::Start(_, answer) => drop(answer.send(Err(failure.clone()))),
            Self::Step(_, answer) => drop(answer.send(Err(failure.clone()))),
            Self::Finish(_, answer) => drop(answer.send(Err(failure.clone()))),
        }
    }
}
