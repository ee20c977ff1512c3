//! Checkpoints.

use async_trait::async_trait;

use super::{Lost, Result};
use crate::{
    ids::{Owner, WorkflowId},
    payload::Encoded,
    time::Timestamp,
};

/// The recorded operations of workflows.
#[async_trait]
pub trait Steps: Send + Sync {
    /// Records an operation of an execution. A record never changes after that.
    ///
    /// Asking again is safe: an equal record that is already there answers [`Recorded::Written`].
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded>;

    /// All recorded operations of each workflow, in the order of their numbers, in one query. A workflow without any may be left out.
    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>>;
}

/// One recorded operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    /// Its number, from 1 (column `function_id`).
    pub number: i32,
    /// Its name (column `function_name`).
    pub name: String,
    /// What it gave.
    pub result: StepResult,
    /// The child workflow it started or awaited.
    pub child: Option<WorkflowId>,
    /// When it began, of the recording process's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, of the recording process's clock; a sleep's wake time.
    pub completed_at: Option<Timestamp>,
}

/// What a recorded operation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// A value.
    Output(Encoded),
    /// An error.
    Error(Encoded),
    /// Nothing: the operation has no result of its own.
    Nothing,
}

/// The part of a step's record that is known before its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepStamp {
    /// Its number.
    pub number: i32,
    /// Its name.
    pub name: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, as far as the caller can tell.
    pub completed_at: Timestamp,
}

impl StepStamp {
    /// The whole record.
    pub fn record(&self, result: StepResult, child: Option<WorkflowId>) -> StepRecord {
        StepRecord {
            number: self.number,
            name: self.name.clone(),
            result,
            child,
            started_at: Some(self.started_at),
            completed_at: Some(self.completed_at),
        }
    }
}

/// What came of recording an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is committed.
    Written,
    /// The same owner has recorded something else under this number.
    Conflict(Box<StepRecord>),
    /// The token is not the row's; nothing was written.
    Lost(Lost),
}

/// The recorded operations of one workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its operations, in the order of their numbers.
    pub steps: Vec<StepRecord>,
}
