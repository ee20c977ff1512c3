//! Takes over the workflows that nobody runs: of dead executors, and of this one's own lost answers.

use std::sync::Arc;

use super::Engine;
use crate::{
    db::{self, Abandoned, AbandonedQuery, Adoption, Claimed},
    ids::WorkflowId,
    sabotage::Bug,
};

/// How many abandoned workflows are looked at and taken over at a time.
const BATCH: usize = 100;

impl Engine {
    /// Takes over all abandoned workflows that this process can run; how many.
    ///
    /// What was claimed from a queue goes back onto it, to be claimed within its limits; the rest runs here at once.
    pub(super) async fn recover(self: &Arc<Self>) -> db::Result<usize> {
        let mut recovered = 0;
        let mut after: Option<WorkflowId> = None;
        while !self.is_stopping() {
            let query = AbandonedQuery {
                claimant: self.claimant.clone(),
                own: true,
                after: after.take(),
                limit: BATCH,
            };
            let found = self.db.abandoned(&query).await?;
            let last = found.last().map(|abandoned| abandoned.workflow.clone());
            let full = found.len() == BATCH;
            recovered += self.take_over(found).await?;
            if !full {
                break;
            }
            after = last;
        }
        Ok(recovered)
    }

    async fn take_over(self: &Arc<Self>, found: Vec<Abandoned>) -> db::Result<usize> {
        let orphans = found
            .into_iter()
            .filter(|abandoned| !self.is_running(abandoned));
        let (queued, direct): (Vec<_>, Vec<_>) = orphans.partition(|abandoned| {
            abandoned.queue.is_some() && !Bug::RecoversPastPlaces.is_planted()
        });
        let mut count = 0;
        if !queued.is_empty() {
            let requeued = self.db.requeue(&self.claimant, &queued).await?;
            count += requeued.len();
            self.wake_queues();
        }
        if !direct.is_empty() {
            count += self.adopt(direct).await?;
        }
        Ok(count)
    }

    /// Whether an execution of this process holds the row, or is about to.
    fn is_running(&self, abandoned: &Abandoned) -> bool {
        let own = abandoned.executor == self.claimant.executor;
        if Bug::ForgetsLostClaims.is_planted() && own && abandoned.queue.is_some() {
            return true;
        }
        abandoned.executor == self.claimant.executor
            && abandoned
                .held
                .as_ref()
                .is_some_and(|held| self.running.knows(&abandoned.workflow, held))
    }

    async fn adopt(self: &Arc<Self>, orphans: Vec<Abandoned>) -> db::Result<usize> {
        let adoptions: Vec<_> = orphans
            .into_iter()
            .map(|orphan| Adoption {
                workflow: orphan.workflow,
                token: match &orphan.held {
                    Some(held) if Bug::AdoptsWithOldToken.is_planted() => held.clone(),
                    _ => self.new_token(),
                },
                held: orphan.held,
            })
            .collect();
        let tokens = adoptions
            .iter()
            .map(|adoption| adoption.token.clone())
            .collect();
        let reserved = self.running.reserve(self, tokens);
        if self.is_stopping() {
            return Ok(0);
        }
        let adopted: Vec<Claimed> = match self.db.adopt(&self.claimant, &adoptions).await {
            // The adoption may have happened: whatever holds one of these tokens is ours to run.
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "an adoption's answer was lost; asking for it");
                self.outage.pause(1).await;
                self.db.claimed_by(&reserved.tokens).await?
            }
            answer => answer?,
        };
        let count = adopted.len();
        for claimed in &adopted {
            tracing::debug!(workflow = %claimed.row.id, attempts = claimed.row.attempts, "workflow recovered");
        }
        self.run_claimed(adopted, None).await?;
        drop(reserved);
        Ok(count)
    }
}
