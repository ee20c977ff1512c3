//! Claiming work from queues.

use std::{cmp::Reverse, collections::BTreeMap};

use async_trait::async_trait;
use durable_core::{
    db::{ClaimRequest, Claimed, Hint, Queues, Result, WaitingCount},
    ids::{OwnerToken, WorkflowId},
    sabotage::Bug,
    state::{
        Status, WorkflowRow,
        claim::{Claimant, order},
        transition::Event,
    },
    time::Timestamp,
};

use super::{Memory, store::Store};

#[async_trait]
impl Queues for Memory {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        self.takes("claim workflows", &[&request])?;
        Ok(self.commit(|store, now| claim(store, request, now)))
    }

    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>> {
        Ok(self.commit(|store, _| {
            store
                .rows()
                .filter(|row| tokens.iter().any(|token| row.is_owned_by(token)))
                .map(|row| claimed(store, row.clone()))
                .collect()
        }))
    }

    async fn waiting(&self, application: &str) -> Result<Vec<WaitingCount>> {
        Ok(self.commit(|store, _| {
            let mut counts: BTreeMap<(&str, Option<&str>), u64> = BTreeMap::new();
            store
                .rows()
                .filter(|row| row.application.as_deref() == Some(application))
                .filter(|row| matches!(row.status, Status::Enqueued | Status::Delayed))
                .filter_map(|row| Some((row.queue.as_deref()?, row.version.as_deref())))
                .for_each(|of| *counts.entry(of).or_default() += 1);
            let mut counts: Vec<_> = counts
                .into_iter()
                .map(|((queue, version), count)| WaitingCount {
                    queue: queue.to_owned(),
                    version: version.map(str::to_owned),
                    count,
                })
                .collect();
            counts.sort_by_key(|entry| Reverse(entry.count));
            counts
        }))
    }
}

fn claim(store: &mut Store, request: &ClaimRequest, now: Timestamp) -> Vec<Claimed> {
    let claimant = &request.claimant;
    if !store.is_current(claimant) {
        return Vec::new();
    }
    candidates(store, request)
        .iter()
        .zip(&request.tokens)
        .filter_map(|(id, token)| take(store, id, &Event::Claim { claimant, token }, now))
        .collect()
}

/// What may be claimed, most urgent and then oldest first.
fn candidates(store: &Store, request: &ClaimRequest) -> Vec<WorkflowId> {
    let claimant = &request.claimant;
    let is_latest = store.is_latest(&claimant.application, &claimant.version);
    let mut rows: Vec<&WorkflowRow> = store
        .rows()
        .filter(|row| claimant.may_claim(row, &request.queue, is_latest))
        .collect();
    rows.sort_by(|a, b| order(a, b));
    if Bug::ClaimsNewestFirst.is_planted() {
        rows.reverse();
    }
    rows.into_iter().map(|row| row.id.clone()).collect()
}

/// Lets a claim or an adoption happen, and answers what was taken.
pub(super) fn take(
    store: &mut Store,
    id: &WorkflowId,
    event: &Event<'_>,
    now: Timestamp,
) -> Option<Claimed> {
    let before = store.row(id)?.clone();
    let row = store.change(id, event, now)?.ok()?;
    if before.attempts > 0 {
        store.note_attempts(&before, |known, steps| known.dispatched(&before, steps));
    }
    store.hint(Hint::Workflow(id.clone()));
    Some(claimed(store, row))
}

fn claimed(store: &Store, row: WorkflowRow) -> Claimed {
    Claimed {
        input: store.input(&row.id),
        excused: store.excused(&row),
        row,
    }
}

impl Store {
    /// Whether the request is not of an earlier life of its executor. One that never joined has no earlier life.
    pub(super) fn is_current(&self, claimant: &Claimant) -> bool {
        self.executors
            .get(&claimant.executor)
            .is_none_or(|executor| {
                executor.incarnation <= claimant.incarnation || Bug::DeadLivesClaim.is_planted()
            })
    }
}
