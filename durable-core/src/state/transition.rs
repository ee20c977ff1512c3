//! What may happen to a workflow's row, and what it becomes.

use std::time::Duration;

use super::{INTERNAL_QUEUE, Status, WorkflowRow, claim::Claimant};
use crate::{ids::OwnerToken, sabotage::Bug, time::Timestamp};

/// Something that happens to an existing row. A start or an enqueue makes a row and is in
/// [`NewWorkflow::into_row`](crate::db::NewWorkflow::into_row).
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// An executor takes it from its queue, under a token that it chose beforehand.
    Claim {
        /// Who takes it.
        claimant: &'a Claimant,
        /// The new execution's token.
        token: &'a OwnerToken,
    },
    /// An executor takes it over from one that died, fenced by the token that was read.
    Adopt {
        /// Who takes it over.
        claimant: &'a Claimant,
        /// The token that was read together with the sign of death.
        held: Option<&'a OwnerToken>,
        /// The new execution's token.
        token: &'a OwnerToken,
    },
    /// Its executor died: it goes back onto the queue that it was claimed from, fenced by the token that was read.
    Requeue {
        /// The token that was read together with the sign of death.
        held: Option<&'a OwnerToken>,
    },
    /// Its execution ended by itself.
    Finish {
        /// The execution's token.
        token: &'a OwnerToken,
        /// Whether it returned `Ok`.
        success: bool,
    },
    /// It was dispatched too often; its newest execution puts it away.
    DeadLetter {
        /// The execution's token.
        token: &'a OwnerToken,
    },
    /// Someone cancels it.
    Cancel,
    /// Its deadline is checked.
    DeadlineCheck,
    /// Someone resumes it.
    Resume {
        /// The queue to put it on; `None`: the internal one.
        queue: Option<&'a str>,
    },
}

/// Why an event leaves the row as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The writer's token is not the row's.
    NotOwner,
    /// The row's status does not allow it.
    Status(Status),
    /// Its deadline has not come, or it has none.
    NotDue,
}

/// The row after `event` at `now` (the database's clock), or why nothing changes.
pub fn apply(row: &WorkflowRow, event: &Event<'_>, now: Timestamp) -> Result<WorkflowRow, Refusal> {
    match event {
        Event::Claim { claimant, token } => claim(row, claimant, token, now),
        Event::Adopt {
            claimant,
            held,
            token,
        } => adopt(row, claimant, *held, token, now),
        Event::Requeue { held } => requeue(row, *held, now),
        Event::Finish { token, success } => finish(row, token, *success, now),
        Event::DeadLetter { token } => dead_letter(row, token, now),
        Event::Cancel => cancel(row, now),
        Event::DeadlineCheck => match row.deadline {
            Some(deadline) if is_due(deadline, now) && !row.status.is_terminal() => {
                cancel(row, now)
            }
            _ => Err(Refusal::NotDue),
        },
        Event::Resume { queue } => resume(row, *queue, now),
    }
}

/// Whether a deadline is over.
pub fn is_due(deadline: Timestamp, now: Timestamp) -> bool {
    let early = Bug::DeadlinesComeEarly.is_planted();
    let now = now.saturating_add(Duration::from_secs(early.into()));
    deadline <= now
}

fn claim(
    row: &WorkflowRow,
    claimant: &Claimant,
    token: &OwnerToken,
    now: Timestamp,
) -> Result<WorkflowRow, Refusal> {
    if row.status != Status::Enqueued {
        return Err(Refusal::Status(row.status));
    }
    let held = row
        .deadline
        .filter(|_| !(Bug::TimeoutStartsOver.is_planted() && row.timeout_ms.is_some()));
    let deadline = held.or_else(|| {
        row.timeout_ms
            .map(|ms| Timestamp::from_millis(now.as_millis().saturating_add(ms)))
    });
    Ok(WorkflowRow {
        application: Some(claimant.application.clone()),
        version: Some(claimant.version.clone()),
        started_at: Some(now),
        deadline,
        ..dispatched(row, claimant, token, now)
    })
}

fn adopt(
    row: &WorkflowRow,
    claimant: &Claimant,
    held: Option<&OwnerToken>,
    token: &OwnerToken,
    now: Timestamp,
) -> Result<WorkflowRow, Refusal> {
    if row.status != Status::Pending {
        return Err(Refusal::Status(row.status));
    }
    if row.owner.as_ref() != held {
        return Err(Refusal::NotOwner);
    }
    let uncounted = i64::from(Bug::AdoptionsNotCounted.is_planted());
    let row = dispatched(row, claimant, token, now);
    Ok(WorkflowRow {
        application: Some(claimant.application.clone()),
        attempts: row.attempts - uncounted,
        ..row
    })
}

fn requeue(
    row: &WorkflowRow,
    held: Option<&OwnerToken>,
    now: Timestamp,
) -> Result<WorkflowRow, Refusal> {
    if row.status != Status::Pending || row.queue.is_none() {
        return Err(Refusal::Status(row.status));
    }
    if row.owner.as_ref() != held && !Bug::RequeuesWithoutFence.is_planted() {
        return Err(Refusal::NotOwner);
    }
    Ok(WorkflowRow {
        status: Status::Enqueued,
        owner: None,
        started_at: None,
        updated_at: now,
        ..row.clone()
    })
}

/// What a claim and an adoption have in common: one more execution, under a new token.
fn dispatched(
    row: &WorkflowRow,
    claimant: &Claimant,
    token: &OwnerToken,
    now: Timestamp,
) -> WorkflowRow {
    WorkflowRow {
        status: Status::Pending,
        owner: Some(token.clone()),
        executor: Some(claimant.executor.clone()),
        attempts: row.attempts.saturating_add(1),
        updated_at: now,
        ..row.clone()
    }
}

fn finish(
    row: &WorkflowRow,
    token: &OwnerToken,
    success: bool,
    now: Timestamp,
) -> Result<WorkflowRow, Refusal> {
    if !row.is_owned_by(token) {
        return Err(Refusal::NotOwner);
    }
    let status = if success {
        Status::Success
    } else {
        Status::Error
    };
    Ok(ended(row, status, now))
}

fn dead_letter(
    row: &WorkflowRow,
    token: &OwnerToken,
    now: Timestamp,
) -> Result<WorkflowRow, Refusal> {
    if !row.is_owned_by(token) {
        return Err(Refusal::NotOwner);
    }
    Ok(WorkflowRow {
        queue: None,
        started_at: None,
        ..ended(row, Status::MaxRecoveryAttemptsExceeded, now)
    })
}

fn cancel(row: &WorkflowRow, now: Timestamp) -> Result<WorkflowRow, Refusal> {
    if row.status.is_terminal() {
        return Err(Refusal::Status(row.status));
    }
    Ok(WorkflowRow {
        queue: None,
        started_at: None,
        ..ended(row, Status::Cancelled, now)
    })
}

/// What every end has in common: no owner, and the deduplication id is free again.
fn ended(row: &WorkflowRow, status: Status, now: Timestamp) -> WorkflowRow {
    WorkflowRow {
        status,
        owner: None,
        deduplication_id: None,
        updated_at: now,
        completed_at: Some(now),
        ..row.clone()
    }
}

fn resume(row: &WorkflowRow, queue: Option<&str>, now: Timestamp) -> Result<WorkflowRow, Refusal> {
    match row.status {
        Status::Cancelled | Status::MaxRecoveryAttemptsExceeded => Ok(WorkflowRow {
            status: Status::Enqueued,
            owner: None,
            queue: Some(queue.unwrap_or(INTERNAL_QUEUE).to_owned()),
            attempts: if Bug::ResumeKeepsAttempts.is_planted() {
                row.attempts
            } else {
                0
            },
            deadline: row
                .deadline
                .filter(|_| Bug::ResumeKeepsDeadline.is_planted()),
            deduplication_id: None,
            started_at: None,
            completed_at: None,
            updated_at: now,
            ..row.clone()
        }),
        other => Err(Refusal::Status(other)),
    }
}

#[cfg(test)]
mod tests;
