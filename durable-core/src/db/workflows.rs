//! Starting, ending, cancelling and resuming workflows.

use async_trait::async_trait;

use super::{DbError, Lost, Result, StepStamp};
use crate::{
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId, WorkflowKey},
    payload::{Encoded, Outcome},
    state::{Status, WorkflowRow},
    time::Timestamp,
};

/// The life of workflow rows.
#[async_trait]
pub trait Workflows: Send + Sync {
    /// Inserts a workflow and its input, unless its id is taken. An existing row is left exactly as it is.
    ///
    /// Leftover payloads and steps of an earlier, deleted workflow with this id are removed: a start never adopts orphans.
    /// Asking again is safe: a row that this call's creator token already made answers [`Inserted::Created`] again.
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted>;

    /// Inserts a child as [`insert_workflow`](Self::insert_workflow) does, and records it as the parent's step in the same commit.
    ///
    /// The step names the child's workflow and has no result. Nothing is inserted when the parent's token is lost. When the id
    /// belongs to a workflow that this start does not [join](NewWorkflow::joins), nothing is
    /// recorded. Asking again is safe. What it tells of a row that was there is from a moment of
    /// the call, maybe before the record.
    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted>;

    /// The row of a workflow; `None` if there is none.
    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>>;

    /// Ends an execution with its outcome. One column names the format of input and outcome, so from now on it is the outcome's. Asking again is safe: a write that had happened answers [`Lost`], and the recorded
    /// outcome is the row's.
    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write>;

    /// Puts a workflow away that was dispatched too often. Asking again is safe, as for a finish.
    async fn dead_letter(&self, owner: &Owner) -> Result<Write>;

    /// Cancels those of the workflows that have not ended, and returns them; unknown ids are ignored. Asking again is safe.
    ///
    /// Each is cancelled for itself: one that is started or resumed meanwhile may be left out while another of the call is cancelled later.
    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>>;

    /// Puts a cancelled or dead-lettered workflow back on `queue` (`None`: the internal one), its attempts at 0.
    /// Asking again is safe.
    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed>;

    /// Cancels at most `limit` unended workflows of the application (or of none) whose deadline has come, the earliest deadline
    /// first, and returns them. Asking again is safe.
    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>>;

    /// The workflows of the application (or of none) with their inputs, at most `limit`, in an order of their ids that stays the same: those
    /// after `after`, or the first. For exports; asking again is safe.
    ///
    /// Fewer than `limit` mean that there are no more. Errors: `Refused` by a layer or a backend that does not list.
    async fn list(
        &self,
        application: &str,
        after: Option<&WorkflowId>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        let _ = (application, after, limit);
        Err(DbError::Refused(
            "this database lists no workflows: its `Workflows::list` is not written".to_owned(),
        ))
    }
}

/// A workflow as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its row.
    pub row: WorkflowRow,
    /// Its encoded arguments; `None` if it has none stored.
    pub input: Option<Encoded>,
}

/// A workflow to insert.
#[derive(Clone, Debug)]
pub struct NewWorkflow {
    /// Its id.
    pub id: WorkflowId,
    /// What it is started as.
    pub key: WorkflowKey,
    /// Its encoded arguments.
    pub input: Encoded,
    /// Whether it runs here or goes on a queue.
    pub placement: Placement,
    /// This call's token; becomes the first execution's when it runs here.
    pub creator: OwnerToken,
    /// The executor that starts or enqueues it.
    pub executor: ExecutorId,
    /// Its application.
    pub application: String,
    /// Its application version.
    pub version: Option<String>,
    /// When it is cancelled.
    pub timing: Timing,
    /// The workflow that starts it.
    pub parent: Option<WorkflowId>,
}

/// Where a new workflow runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// At once, in the process that starts it.
    Here,
    /// On a queue, until an executor claims it.
    Queue {
        /// The queue's name.
        name: String,
        /// Smaller runs first; 0 is the default.
        priority: i32,
    },
}

/// What bounds a new workflow's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Nothing.
    Unbounded,
    /// Its own timeout in milliseconds, counted from its first execution's beginning.
    Timeout(i64),
    /// The deadline of the workflow that starts it.
    Inherited(Timestamp),
}

impl NewWorkflow {
    /// Whether the workflow that holds the id already counts as the child that `parent` starts as
    /// operation `number`.
    ///
    /// It must have been started as the same. A workflow is known by an id that was chosen, whoever
    /// started it; the id that a child gets otherwise is its parent's alone.
    pub fn joins(&self, existing: &Existing, parent: &WorkflowId, number: i32) -> bool {
        let is_chosen = self.id != WorkflowId::of_child(parent, number);
        existing.key == self.key && (is_chosen || existing.parent.as_ref() == Some(parent))
    }

    /// The row as it is inserted at `now` (the database's clock).
    ///
    /// Enqueues of one process must get strictly increasing `created_at` per queue: a backend passes such a `now`.
    pub fn into_row(self, now: Timestamp) -> WorkflowRow {
        let (timeout_ms, inherited) = match self.timing {
            Timing::Unbounded => (None, None),
            Timing::Timeout(ms) => (Some(ms), None),
            Timing::Inherited(deadline) => (None, Some(deadline)),
        };
        let row = WorkflowRow {
            id: self.id,
            status: Status::Enqueued,
            key: self.key,
            application: Some(self.application),
            version: self.version,
            executor: Some(self.executor),
            owner: None,
            creator: Some(self.creator.clone()),
            attempts: 0,
            queue: None,
            priority: 0,
            deduplication_id: None,
            partition_key: None,
            timeout_ms,
            deadline: inherited,
            delay_until: None,
            parent: self.parent,
            forked_from: None,
            format: self.input.format,
            created_at: now,
            updated_at: now,
            started_at: None,
            completed_at: None,
        };
        match self.placement {
            Placement::Queue { name, priority } => WorkflowRow {
                queue: Some(name),
                priority,
                ..row
            },
            Placement::Here => WorkflowRow {
                status: Status::Pending,
                owner: Some(self.creator),
                attempts: 1,
                deadline: inherited.or_else(|| {
                    timeout_ms.map(|ms| Timestamp::from_millis(now.as_millis().saturating_add(ms)))
                }),
                ..row
            },
        }
    }
}

/// What came of inserting a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// This call made the row.
    Created {
        /// The deadline that the row was given.
        deadline: Option<Timestamp>,
    },
    /// The id was taken by an earlier call.
    Exists(Existing),
}

/// The workflow that holds an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// What it was started as.
    pub key: WorkflowKey,
    /// Where it stands.
    pub status: Status,
    /// The queue it is on.
    pub queue: Option<String>,
    /// The workflow that started it.
    pub parent: Option<WorkflowId>,
}

/// What came of inserting a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildInserted {
    /// The child's row is there and the parent's step is recorded, unless the child is another workflow's (then nothing is).
    Done(Inserted),
    /// The parent's execution has lost its token; nothing was written.
    Lost(Lost),
}

/// What came of an owner's write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is committed.
    Written,
    /// The token is not the row's; nothing was written.
    Lost(Lost),
}

/// What came of a resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// It is enqueued again.
    Enqueued,
    /// Its status does not ask for it: it is on its way, or ended by itself.
    Unchanged(Status),
    /// There is no such workflow.
    Missing,
}
