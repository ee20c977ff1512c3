//! A layer over any [`SystemDb`] that waits out an absent database.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{
    Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, Events, Executors,
    Hint, History, Inserted, Joined, Message, Messages, NewWorkflow, Queues, Received, Recorded,
    Result, Resumed, Sent, StepRecord, StepStamp, Steps, SystemDb, Unrunnable, VersionCount,
    Versions, Waits, Wakes, WantedExecutor, Workflows, Write,
};
use crate::{
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    payload::{Encoded, Outcome},
    runtime::{Runtime, Timer},
    state::{WorkflowRow, claim::Claimant, retry::RetryPolicy},
    time::Timestamp,
};

/// Asks again, with growing waits and for as long as it takes, whatever ends as `Unavailable`; every method is safe to ask again.
///
/// `claim` and `adopt` are passed through: after a lost answer their callers must ask for it by token.
pub struct Retrying {
    inner: Arc<dyn SystemDb>,
    backoff: Backoff,
}

impl Retrying {
    /// Wraps `inner`; waits by `runtime`.
    pub fn new(inner: Arc<dyn SystemDb>, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            inner,
            backoff: Backoff::new(runtime),
        }
    }
}

impl fmt::Debug for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Retrying").field(&self.inner).finish()
    }
}

/// Growing, spread waits between attempts at an absent database: 50 ms, doubling up to 10 s, each spread by half.
#[derive(Clone)]
pub struct Backoff {
    runtime: Arc<dyn Runtime>,
    policy: RetryPolicy,
}

impl Backoff {
    /// Waits by `runtime`.
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        let policy = RetryPolicy::attempts(u32::MAX)
            .initial(Duration::from_millis(50))
            .cap(Duration::from_secs(10))
            .jitter(0.5);
        Self { runtime, policy }
    }

    /// Waits after the `attempt`-th failure (from 1).
    pub async fn wait(&self, attempt: u32) {
        let wait = self.policy.wait_after(attempt, self.runtime.random());
        self.runtime.sleep(wait, Timer::Work).await;
    }

    /// Calls until the answer is not `Unavailable`.
    pub async fn call<T, F, Fut>(&self, mut call: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut failures: u32 = 0;
        loop {
            match call().await {
                Err(error) if error.is_retryable() => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        tracing::warn!(%error, "the database is away; trying again until it is back");
                    }
                    self.wait(failures).await;
                }
                answer => {
                    if failures > 0 && answer.is_ok() {
                        tracing::info!(failures, "the database is back");
                    }
                    return answer;
                }
            }
        }
    }
}

#[async_trait]
impl SystemDb for Retrying {
    async fn migrate(&self) -> Result<()> {
        self.backoff.call(|| self.inner.migrate()).await
    }

    async fn verify(&self) -> Result<()> {
        self.backoff.call(|| self.inner.verify()).await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.backoff.call(|| self.inner.now()).await
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        self.backoff.call(|| self.inner.poll(waits)).await
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        self.inner.hints()
    }
}

#[async_trait]
impl Workflows for Retrying {
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted> {
        self.backoff.call(|| self.inner.insert_workflow(new)).await
    }

    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        self.backoff
            .call(|| self.inner.insert_child(new, parent, step))
            .await
    }

    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>> {
        self.backoff.call(|| self.inner.workflow(id)).await
    }

    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write> {
        self.backoff
            .call(|| self.inner.finish_workflow(owner, outcome))
            .await
    }

    async fn dead_letter(&self, owner: &Owner) -> Result<Write> {
        self.backoff.call(|| self.inner.dead_letter(owner)).await
    }

    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>> {
        self.backoff.call(|| self.inner.cancel(ids)).await
    }

    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed> {
        self.backoff.call(|| self.inner.resume(id, queue)).await
    }

    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>> {
        self.backoff
            .call(|| self.inner.expire_deadlines(application, limit))
            .await
    }
}

#[async_trait]
impl Steps for Retrying {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        self.backoff
            .call(|| self.inner.record_step(owner, step))
            .await
    }

    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>> {
        self.backoff.call(|| self.inner.histories(ids)).await
    }
}

#[async_trait]
impl Queues for Retrying {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        self.inner.claim(request).await
    }

    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>> {
        self.backoff.call(|| self.inner.claimed_by(tokens)).await
    }
}

#[async_trait]
impl Messages for Retrying {
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent> {
        self.backoff.call(|| self.inner.send(message, step)).await
    }

    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received> {
        self.backoff
            .call(|| self.inner.receive(owner, topic, step, otherwise))
            .await
    }
}

#[async_trait]
impl Events for Retrying {
    async fn set_event(
        &self,
        owner: &Owner,
        key: &str,
        value: &Encoded,
        step: &StepStamp,
    ) -> Result<Recorded> {
        self.backoff
            .call(|| self.inner.set_event(owner, key, value, step))
            .await
    }

    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>> {
        self.backoff.call(|| self.inner.event(workflow, key)).await
    }
}

#[async_trait]
impl Versions for Retrying {
    async fn register_version(&self, application: &str, version: &str) -> Result<()> {
        self.backoff
            .call(|| self.inner.register_version(application, version))
            .await
    }

    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>> {
        self.backoff
            .call(|| self.inner.stranded(application, version))
            .await
    }

    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>> {
        self.backoff.call(|| self.inner.unrunnable(claimant)).await
    }
}

#[async_trait]
impl Executors for Retrying {
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined> {
        self.backoff.call(|| self.inner.join(wanted)).await
    }

    async fn leave(&self, executor: &ExecutorId) -> Result<()> {
        self.backoff.call(|| self.inner.leave(executor)).await
    }

    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>> {
        self.backoff.call(|| self.inner.abandoned(query)).await
    }

    async fn requeue(
        &self,
        claimant: &Claimant,
        abandoned: &[Abandoned],
    ) -> Result<Vec<WorkflowId>> {
        self.backoff
            .call(|| self.inner.requeue(claimant, abandoned))
            .await
    }

    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>> {
        self.inner.adopt(claimant, adoptions).await
    }
}
