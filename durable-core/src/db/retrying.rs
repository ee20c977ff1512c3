//! A layer over any [`SystemDb`] that waits out an absent database.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{
    Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, Events, Executors,
    Hint, History, Inserted, Joined, Listed, Message, Messages, NewWorkflow, Queues, Received,
    Recorded, Result, Resumed, Sent, Serving, StepRecord, StepStamp, Steps, SystemDb, Unrunnable,
    VersionCount, Versions, WaitingCount, Waits, Wakes, WantedExecutor, Workflows, Write,
    outage::{Kind, Once, Outage},
};
use crate::{
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    payload::{Encoded, Outcome},
    runtime::Runtime,
    state::{WorkflowRow, claim::Claimant},
    time::Timestamp,
};

/// Asks again, with growing waits and for as long as it takes, whatever ends as `Unavailable`; every method is safe to ask again.
///
/// It says once that the database is away, and once that it is back; see the module `outage`.
///
/// `claim` and `adopt` are passed through: after a lost answer their callers must ask for it by token.
pub struct Retrying {
    inner: Arc<dyn SystemDb>,
    outage: Arc<Outage>,
}

impl Retrying {
    /// Wraps `inner`; waits by `runtime`.
    pub fn new(inner: Arc<dyn SystemDb>, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            inner,
            outage: Arc::new(Outage::new(runtime)),
        }
    }

    /// What sees its calls.
    pub(crate) fn outage(&self) -> &Arc<Outage> {
        &self.outage
    }

    /// Asks what may be answered by reading alone.
    async fn ask<T, F, Fut>(&self, call: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.outage.retry(Kind::Read, None, call).await
    }

    /// Asks for what writes if there is anything to write.
    async fn change<T, F, Fut>(&self, call: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.outage.retry(Kind::Either, None, call).await
    }

    /// Asks for what writes, on behalf of a workflow if it names one.
    async fn write<T, F, Fut>(&self, workflow: Option<&WorkflowId>, call: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.outage.retry(Kind::Write, workflow, call).await
    }
}

impl fmt::Debug for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Retrying").field(&self.inner).finish()
    }
}

#[async_trait]
impl SystemDb for Retrying {
    async fn migrate(&self) -> Result<()> {
        self.ask(|| self.inner.migrate()).await
    }

    async fn verify(&self) -> Result<()> {
        self.ask(|| self.inner.verify()).await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.ask(|| self.inner.now()).await
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        self.ask(|| self.inner.poll(waits)).await
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        self.inner.hints()
    }
}

#[async_trait]
impl Workflows for Retrying {
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted> {
        self.write(Some(&new.id), || self.inner.insert_workflow(new))
            .await
    }

    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        self.write(Some(&parent.workflow), || {
            self.inner.insert_child(new, parent, step)
        })
        .await
    }

    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>> {
        self.ask(|| self.inner.workflow(id)).await
    }

    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write> {
        self.write(Some(&owner.workflow), || {
            self.inner.finish_workflow(owner, outcome)
        })
        .await
    }

    async fn dead_letter(&self, owner: &Owner) -> Result<Write> {
        self.write(Some(&owner.workflow), || self.inner.dead_letter(owner))
            .await
    }

    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>> {
        self.change(|| self.inner.cancel(ids)).await
    }

    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed> {
        self.change(|| self.inner.resume(id, queue)).await
    }

    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>> {
        self.change(|| self.inner.expire_deadlines(application, limit))
            .await
    }

    async fn list(
        &self,
        application: &str,
        after: Option<&WorkflowId>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        self.ask(|| self.inner.list(application, after, limit))
            .await
    }
}

#[async_trait]
impl Steps for Retrying {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        self.write(Some(&owner.workflow), || {
            self.inner.record_step(owner, step)
        })
        .await
    }

    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>> {
        self.ask(|| self.inner.histories(ids)).await
    }
}

#[async_trait]
impl Queues for Retrying {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let what = Once::Claim(request.queue.clone());
        self.outage.once(what, self.inner.claim(request)).await
    }

    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>> {
        self.ask(|| self.inner.claimed_by(tokens)).await
    }

    async fn waiting(&self, application: &str) -> Result<Vec<WaitingCount>> {
        self.ask(|| self.inner.waiting(application)).await
    }
}

#[async_trait]
impl Messages for Retrying {
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent> {
        self.write(step.map(|(owner, _)| &owner.workflow), || {
            self.inner.send(message, step)
        })
        .await
    }

    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received> {
        self.write(Some(&owner.workflow), || {
            self.inner.receive(owner, topic, step, otherwise)
        })
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
        self.write(Some(&owner.workflow), || {
            self.inner.set_event(owner, key, value, step)
        })
        .await
    }

    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>> {
        self.ask(|| self.inner.event(workflow, key)).await
    }
}

#[async_trait]
impl Versions for Retrying {
    async fn register_version(&self, application: &str, version: &str) -> Result<()> {
        self.change(|| self.inner.register_version(application, version))
            .await
    }

    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>> {
        self.ask(|| self.inner.stranded(application, version)).await
    }

    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>> {
        self.ask(|| self.inner.unrunnable(claimant)).await
    }
}

#[async_trait]
impl Executors for Retrying {
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined> {
        self.change(|| self.inner.join(wanted)).await
    }

    async fn leave(&self, executor: &ExecutorId) -> Result<()> {
        self.change(|| self.inner.leave(executor)).await
    }

    async fn release(&self, owners: &[Owner]) -> Result<Vec<WorkflowId>> {
        self.change(|| self.inner.release(owners)).await
    }

    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>> {
        let found = self.ask(|| self.inner.abandoned(query)).await?;
        if found.is_empty() {
            // There is nothing to adopt that could fail.
            self.outage.works(&Once::Adopt);
        }
        Ok(found)
    }

    async fn requeue(
        &self,
        claimant: &Claimant,
        abandoned: &[Abandoned],
    ) -> Result<Vec<WorkflowId>> {
        self.change(|| self.inner.requeue(claimant, abandoned))
            .await
    }

    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>> {
        let adopted = self.inner.adopt(claimant, adoptions);
        self.outage.once(Once::Adopt, adopted).await
    }

    async fn serving(&self, application: &str) -> Result<Vec<Serving>> {
        self.ask(|| self.inner.serving(application)).await
    }
}
