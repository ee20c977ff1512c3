//! What waiters wait for, and how they are woken.

use super::Lost;
use crate::{
    ids::{Owner, WorkflowId},
    payload::Ended,
};

/// Everything that one process waits for, asked in one query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Workflows whose end is awaited.
    pub results: Vec<WorkflowId>,
    /// Mailboxes in which a message is awaited: workflow and topic.
    pub messages: Vec<(WorkflowId, String)>,
    /// Events that are awaited: workflow and key.
    pub events: Vec<(WorkflowId, String)>,
    /// Executions that want to know when they lose their token.
    pub owners: Vec<Owner>,
}

impl Waits {
    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
            && self.messages.is_empty()
            && self.events.is_empty()
            && self.owners.is_empty()
    }
}

/// The part of [`Waits`] that has come; what has not is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wakes {
    /// Workflows that have ended, or do not exist.
    pub results: Vec<(WorkflowId, Ended)>,
    /// Mailboxes with an unconsumed message.
    pub messages: Vec<(WorkflowId, String)>,
    /// Events that are set.
    pub events: Vec<(WorkflowId, String)>,
    /// Executions whose token is no longer the row's.
    pub owners: Vec<(Owner, Lost)>,
}

/// A sign that something may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Hint {
    /// A message arrived: destination and topic.
    Message(WorkflowId, String),
    /// An event was set: workflow and key.
    Event(WorkflowId, String),
    /// Work was put on a queue.
    Queue(String),
    /// A workflow ended, or its owner changed.
    Workflow(WorkflowId),
    /// Something changed; the backend cannot tell what.
    Anything,
}
