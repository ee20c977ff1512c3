//! What an application can watch its workflows do.

use std::{sync::Arc, time::Duration};

use crate::{
    Error,
    ids::{OwnerToken, WorkflowId},
    panics::caught,
    payload::Outcome,
};

/// Something that happened in this process; given to the builder's `.observe(…)`, and a `tracing` event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An execution began: the `attempt`-th of its workflow.
    WorkflowStarted {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// Its name.
        name: &'a str,
        /// How many executions were dispatched, this one included.
        attempt: i64,
    },
    /// A workflow ended by itself, and its outcome is committed.
    WorkflowFinished {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// How.
        outcome: &'a Outcome,
    },
    /// An execution was stopped before its workflow ended: cancelled, superseded, shut down or refused.
    WorkflowStopped {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// Why.
        reason: &'a str,
        /// What is wrong with the code, its history or the database, if that is why: the workflow is not tried again by this process.
        error: Option<&'a Error>,
    },
    /// A step's body begins.
    StepStarted {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// The step's number.
        number: i32,
        /// Its name.
        name: &'a str,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// An attempt of a step failed; another follows.
    StepRetried {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// The step's number.
        number: i32,
        /// Its name.
        name: &'a str,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// What it said.
        error: &'a str,
        /// How long until the next.
        wait: Duration,
    },
    /// An operation's record is committed.
    StepRecorded {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// The operation's number.
        number: i32,
        /// Its name.
        name: &'a str,
        /// Whether it recorded a value rather than an error.
        success: bool,
    },
    /// An operation waits for what others do.
    Waits {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// The operation's number.
        number: i32,
        /// For what.
        awaited: Awaited<'a>,
    },
    /// A durable sleep is over.
    Slept {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// The operation's number.
        number: i32,
    },
    /// The code dropped an operation that had begun and not ended: it lost a race. What it did stays done, also its record if there is one.
    OperationDropped {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// The operation's number.
        number: i32,
    },
    /// An operation was answered from its record; nothing ran.
    StepReplayed {
        /// The workflow.
        workflow: &'a WorkflowId,
        /// The token of its execution, which no other execution has.
        execution: &'a OwnerToken,
        /// The operation's number.
        number: i32,
        /// Its name.
        name: &'a str,
    },
}

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited<'a> {
    /// A message to its workflow, under this topic; the null topic's name where it was sent without one.
    Message(&'a str),
    /// That a workflow publishes a value under a key.
    Event(&'a WorkflowId, &'a str),
    /// A workflow's end.
    End(&'a WorkflowId),
}

pub(super) type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Tells `tracing`, and the application's observer if it has one.
pub(super) fn observe(observer: Option<&Observer>, event: &Event<'_>) {
    match event {
        Event::WorkflowStarted {
            workflow,
            name,
            attempt,
            ..
        } => tracing::debug!(%workflow, name, attempt, "workflow started"),
        Event::WorkflowFinished {
            workflow, outcome, ..
        } => {
            let success = matches!(outcome, Outcome::Success(_));
            tracing::debug!(%workflow, success, "workflow finished");
        }
        Event::WorkflowStopped {
            workflow, reason, ..
        } => {
            tracing::debug!(%workflow, reason, "workflow stopped");
        }
        Event::StepStarted {
            workflow,
            number,
            name,
            attempt,
            ..
        } => tracing::trace!(%workflow, number, name, attempt, "step started"),
        Event::StepRetried {
            workflow,
            number,
            name,
            attempt,
            error,
            wait,
            ..
        } => tracing::debug!(%workflow, number, name, attempt, error, ?wait, "step attempt failed"),
        Event::StepRecorded {
            workflow,
            number,
            name,
            success,
            ..
        } => tracing::trace!(%workflow, number, name, success, "step recorded"),
        Event::StepReplayed {
            workflow,
            number,
            name,
            ..
        } => tracing::trace!(%workflow, number, name, "step replayed"),
        Event::Waits {
            workflow,
            number,
            awaited,
            ..
        } => tracing::trace!(%workflow, number, ?awaited, "operation waits"),
        Event::Slept {
            workflow, number, ..
        } => tracing::trace!(%workflow, number, "sleep over"),
        Event::OperationDropped {
            workflow, number, ..
        } => tracing::trace!(%workflow, number, "operation dropped"),
    }
    if let Some(observer) = observer
        && let Err(panic) = caught(|| observer(event))
    {
        // An observer's mistake is not the workflow's.
        tracing::error!(?event, panic, "the observer panicked");
    }
}

/// Says something that must be heard: to `tracing`, or to standard error in a program that has no subscriber. What happens in the best of
/// programs, as that a workflow fails, is for `tracing` only.
pub(crate) fn notice(text: &str) {
    tracing::warn!("{text}");
    if !tracing::dispatcher::has_been_set() {
        eprintln!("durable: {text}");
    }
}
