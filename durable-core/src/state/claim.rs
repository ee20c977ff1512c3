//! Who may claim what, and in which order.

use std::{cmp::Ordering, sync::Arc};

use super::{Status, WorkflowRow};
use crate::{
    ids::{ExecutorId, Format, WorkflowKey},
    sabotage::Bug,
};

/// An executor as it shows itself when it takes workflows: who it is, and what it can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its id.
    pub executor: ExecutorId,
    /// Its life: a request of an earlier life of the same id is refused.
    pub incarnation: i64,
    /// Its application.
    pub application: String,
    /// Its application version.
    pub version: String,
    /// The workflows it has registered.
    pub runnable: Arc<[WorkflowKey]>,
    /// The payload formats it can read.
    pub formats: Arc<[Format]>,
}

impl Claimant {
    /// Whether this executor can run the row at all: its application or nobody's, a registered
    /// name, and an input in a format that it reads.
    pub fn can_run(&self, row: &WorkflowRow) -> bool {
        let ours = row
            .application
            .as_ref()
            .is_none_or(|name| *name == self.application);
        let readable = row
            .format
            .as_ref()
            .is_some_and(|format| self.formats.contains(format));
        ours && readable && self.runnable.contains(&row.key)
    }

    /// Whether this executor may claim the row from `queue`. `is_latest`: its version is the newest registered one
    /// of its application, or none is registered; then it also takes rows that name no version.
    pub fn may_claim(&self, row: &WorkflowRow, queue: &str, is_latest: bool) -> bool {
        let version = match &row.version {
            Some(version) => *version == self.version,
            None => is_latest,
        };
        row.status == Status::Enqueued
            && row.queue.as_deref() == Some(queue)
            && (version || Bug::ClaimsAnyVersion.is_planted())
            && self.can_run(row)
    }
}

/// The order in which rows of one queue are claimed: most urgent first, then oldest, then by id.
pub fn order(a: &WorkflowRow, b: &WorkflowRow) -> Ordering {
    (a.priority, a.created_at, &a.id).cmp(&(b.priority, b.created_at, &b.id))
}
