//! What waiters are told.

use durable_core::{
    db::{DbError, Result, Waits, Wakes},
    ids::WorkflowId,
    payload::Ended,
    state::Status,
};

use super::store::Store;

pub(super) fn poll(store: &Store, waits: &Waits) -> Result<Wakes> {
    let mut wakes = Wakes::default();
    for id in &waits.results {
        if let Some(ended) = ended(store, id)? {
            wakes.results.push((id.clone(), ended));
        }
    }
    for (id, topic) in &waits.messages {
        let mut mailbox = store.mailboxes.get(id).into_iter().flatten();
        if mailbox.any(|mail| mail.waits_in(topic)) {
            wakes.messages.push((id.clone(), topic.clone()));
        }
    }
    for event in &waits.events {
        if store.events.contains_key(event) {
            wakes.events.push(event.clone());
        }
    }
    for owner in &waits.owners {
        if let Err(lost) = store.check_owner(owner) {
            wakes.owners.push((owner.clone(), lost));
        }
    }
    Ok(wakes)
}

fn ended(store: &Store, id: &WorkflowId) -> Result<Option<Ended>> {
    let Some(row) = store.row(id) else {
        return Ok(Some(Ended::Missing));
    };
    match row.status {
        Status::Pending | Status::Enqueued | Status::Delayed => Ok(None),
        Status::Cancelled => Ok(Some(Ended::Cancelled)),
        Status::MaxRecoveryAttemptsExceeded => Ok(Some(Ended::DeadLettered)),
        Status::Success | Status::Error => match store.outcome(id) {
            Some(outcome) => Ok(Some(Ended::Outcome(outcome.clone()))),
            None => Err(DbError::broken(
                "read a result",
                format!(
                    "workflow {:?} ended as {} without an outcome",
                    id.as_str(),
                    row.status
                ),
            )),
        },
    }
}
