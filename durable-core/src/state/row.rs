//! The row of a workflow, without its payloads.

use super::Status;
use crate::{
    ids::{ExecutorId, Format, OwnerToken, WorkflowId, WorkflowKey},
    time::Timestamp,
};

/// A workflow's row as the engine knows it. Instants are of the database's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRow {
    /// Its id and idempotency key.
    pub id: WorkflowId,
    /// Where it stands.
    pub status: Status,
    /// What it was started as.
    pub key: WorkflowKey,
    /// The application it belongs to; `None`: unclaimed, any application may take it.
    pub application: Option<String>,
    /// The application version that may run it; `None`: the newest registered one.
    pub version: Option<String>,
    /// Who started, enqueued or last claimed it.
    pub executor: Option<ExecutorId>,
    /// The token of the running execution; means nothing unless the status is `Pending`.
    pub owner: Option<OwnerToken>,
    /// The token of the call that inserted the row; never changes.
    pub creator: Option<OwnerToken>,
    /// How many executions were dispatched, the first included; set to 0 by a resume.
    pub attempts: i64,
    /// The queue it is on, or was last claimed from.
    pub queue: Option<String>,
    /// Smaller runs first; 0, the default, runs before every explicit priority.
    pub priority: i32,
    /// Holds its place against others with the same id on the same queue until the workflow ends.
    pub deduplication_id: Option<String>,
    /// The partition of the queue that it belongs to.
    pub partition_key: Option<String>,
    /// The timeout it was given, in milliseconds; an inherited deadline leaves it empty.
    pub timeout_ms: Option<i64>,
    /// When it is cancelled unless it has ended.
    pub deadline: Option<Timestamp>,
    /// Not to be claimed before this instant, while the status is `Delayed`.
    pub delay_until: Option<Timestamp>,
    /// The workflow that started it.
    pub parent: Option<WorkflowId>,
    /// The workflow that it is a fork of.
    pub forked_from: Option<WorkflowId>,
    /// The format of its input, and of its outcome once it has one.
    pub format: Option<Format>,
    /// When the row was inserted: the order within a priority.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// When it was last claimed from a queue.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

impl WorkflowRow {
    /// Tells this workflow from an earlier, deleted one of its id: the token of the call that
    /// inserted the row, which no other row has. Rows of other SDKs may have none, and are told by
    /// their instant.
    pub fn incarnation(&self) -> String {
        match &self.creator {
            Some(creator) => creator.to_string(),
            None => self.created_at.as_millis().to_string(),
        }
    }

    /// Whether `token` is the running execution's.
    pub fn is_owned_by(&self, token: &OwnerToken) -> bool {
        self.status == Status::Pending && self.owner.as_ref() == Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{at, row};

    #[test]
    fn an_incarnation_is_named_by_its_creator_or_else_by_its_instant() {
        let created = row(Status::Pending);
        assert_eq!(created.incarnation(), "creator");
        let foreign = WorkflowRow {
            creator: None,
            created_at: at(7),
            ..created
        };
        assert_eq!(foreign.incarnation(), "7");
    }

    #[test]
    fn a_row_is_owned_only_by_its_token_and_only_while_it_is_pending() {
        let (owner, other) = ("owner".into(), "other".into());
        assert!(row(Status::Pending).is_owned_by(&owner));
        assert!(!row(Status::Pending).is_owned_by(&other));
        assert!(!row(Status::Enqueued).is_owned_by(&owner));
    }
}
