//! The conformance suite finds what it is there for: each promise that is broken here, one at a time, fails a case.

mod support;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, Events,
        Executors, Hint, History, Inserted, Joined, Message, Messages, NewWorkflow, Queues,
        Received, Recorded, Result, Resumed, Sent, Serving, StepRecord, StepResult, StepStamp,
        Steps, SystemDb, Timing, Unrunnable, VersionCount, Versions, WaitingCount, Waits, Wakes,
        WantedExecutor, Workflows, Write,
    },
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    payload::{Encoded, Outcome},
    state::{WorkflowRow, claim::Claimant},
    time::Timestamp,
};
#[cfg(feature = "model-check")]
use durable_testkit::{
    ManualClock,
    model_check::{self, Subject},
};
use durable_testkit::{Memory, conformance};
use futures_util::stream::BoxStream;
use support::MemoryFactory;

/// A way to break a promise.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    StepsOfAnyoneAreRecorded,
    LostStepsAreCalledWritten,
    ConflictsAreCalledWritten,
    HistoriesAreBackwards,
    TimeoutsAreForgotten,
    TakenIdsAreCalledCreated,
    ChildrenAreNotRecorded,
    OutcomesOfAnyoneAreWritten,
    FailuresAreSuccesses,
    EndedWorkflowsAreCancelled,
    ResumesGoToOneQueue,
    AllDeadlinesExpireAtOnce,
    EveryFormatIsReadable,
    LostClaimsAreNotFound,
    SendsAreNotRecorded,
    MessagesAreConsumedUnrecorded,
    EventsHaveNoSteps,
    VersionsAreNotRegistered,
    WhatCannotBeRunIsNotTold,
    LivesAreNotCounted,
    QueuesAreNotDeclared,
    WaitingVersionsAreNotTold,
    IdsAreNotGivenBack,
    AdoptionsAreNotFenced,
    RequeuesAreNotFenced,
    AbandonedWorkflowsComeAgain,
    LostOwnersAreNotTold,
    HintsDoNotCome,
    /// Nothing is wrong with calls one after the other.
    ChecksComeBeforeWrites,
}

use Bug::*;

const BUGS: &[Bug] = &[
    StepsOfAnyoneAreRecorded,
    LostStepsAreCalledWritten,
    ConflictsAreCalledWritten,
    HistoriesAreBackwards,
    TimeoutsAreForgotten,
    TakenIdsAreCalledCreated,
    ChildrenAreNotRecorded,
    OutcomesOfAnyoneAreWritten,
    FailuresAreSuccesses,
    EndedWorkflowsAreCancelled,
    ResumesGoToOneQueue,
    AllDeadlinesExpireAtOnce,
    EveryFormatIsReadable,
    LostClaimsAreNotFound,
    SendsAreNotRecorded,
    MessagesAreConsumedUnrecorded,
    EventsHaveNoSteps,
    VersionsAreNotRegistered,
    WhatCannotBeRunIsNotTold,
    LivesAreNotCounted,
    QueuesAreNotDeclared,
    WaitingVersionsAreNotTold,
    IdsAreNotGivenBack,
    AdoptionsAreNotFenced,
    RequeuesAreNotFenced,
    AbandonedWorkflowsComeAgain,
    LostOwnersAreNotTold,
    HintsDoNotCome,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_promise_fails_a_case() {
    let mut unseen = Vec::new();
    for &bug in BUGS {
        let factory = MemoryFactory {
            wrap: Arc::new(move |memory| Arc::new(Sabotaged { memory, bug })),
            patience: Duration::from_millis(100),
        };
        // The cases fail by panics, which are what is wanted here.
        let report = conformance::check(&factory, "", &mut |_| ()).await;
        match report.failed.first() {
            Some(first) => println!("{bug:?}: {} cases, {}", report.failed.len(), first.case),
            None => unseen.push(bug),
        }
    }
    assert!(unseen.is_empty(), "no case fails for {unseen:?}");
}

/// What the conformance suite alone sees: hints are no answers, and no call tells of them.
#[cfg(feature = "model-check")]
const ONLY_IN_CASES: &[Bug] = &[HintsDoNotCome];

#[cfg(feature = "model-check")]
#[test]
fn every_broken_promise_is_found_by_calls_drawn_at_random() {
    let mut unseen = Vec::new();
    for &bug in BUGS.iter().filter(|bug| !ONLY_IN_CASES.contains(bug)) {
        match model_check::try_sequences(2_000, async { broken(bug) }) {
            Err(found) => println!("{bug:?} {found}"),
            Ok(()) => unseen.push(bug),
        }
    }
    assert!(unseen.is_empty(), "no sequence finds {unseen:?}");
}

#[cfg(feature = "model-check")]
#[test]
fn a_check_that_is_apart_from_its_write_is_found_by_calls_at_the_same_time() {
    let alone = model_check::try_sequences(300, async { broken(ChecksComeBeforeWrites) });
    assert!(alone.is_ok(), "{alone:?}");
    let found = model_check::try_bursts(1_000, async { broken(ChecksComeBeforeWrites) });
    println!("{}", found.expect_err("it is found"));
}

/// Two processes on the model, both broken.
#[cfg(feature = "model-check")]
fn broken(bug: Bug) -> Subject {
    let clock = ManualClock::default();
    let memory = Memory::with_clock(clock.clone());
    let processes = [memory.process(), memory];
    let processes =
        processes.map(|memory| Arc::new(Sabotaged { memory, bug }) as Arc<dyn SystemDb>);
    Subject::new(format!("{bug:?}"), processes, Some(clock))
}

/// The model with one promise broken.
#[derive(Debug)]
struct Sabotaged {
    memory: Memory,
    bug: Bug,
}

impl Sabotaged {
    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    /// The owner under the token that the row holds, whoever asks.
    async fn forged(&self, owner: &Owner) -> Owner {
        let token = self.held(&owner.workflow).await;
        Owner {
            workflow: owner.workflow.clone(),
            token: token.unwrap_or_else(|| owner.token.clone()),
        }
    }

    async fn held(&self, workflow: &WorkflowId) -> Option<OwnerToken> {
        let row = self.memory.workflow(workflow).await.ok().flatten();
        row.and_then(|row| row.owner)
    }
}

#[async_trait]
impl SystemDb for Sabotaged {
    async fn migrate(&self) -> Result<()> {
        self.memory.migrate().await
    }

    async fn verify(&self) -> Result<()> {
        self.memory.verify().await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.memory.now().await
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        let mut wakes = self.memory.poll(waits).await?;
        if self.is(LostOwnersAreNotTold) {
            wakes.owners.clear();
        }
        Ok(wakes)
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        if self.is(HintsDoNotCome) {
            return Box::pin(futures_util::stream::pending());
        }
        self.memory.hints()
    }
}

#[async_trait]
impl Workflows for Sabotaged {
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted> {
        let mut new = new.clone();
        if self.is(TimeoutsAreForgotten) {
            new.timing = Timing::Unbounded;
        }
        let inserted = self.memory.insert_workflow(&new).await?;
        Ok(match inserted {
            Inserted::Exists(_) if self.is(TakenIdsAreCalledCreated) => {
                Inserted::Created { deadline: None }
            }
            other => other,
        })
    }

    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        if self.is(ChildrenAreNotRecorded) {
            let inserted = self.memory.insert_workflow(new).await?;
            return Ok(ChildInserted::Done(inserted));
        }
        self.memory.insert_child(new, parent, step).await
    }

    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>> {
        self.memory.workflow(id).await
    }

    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write> {
        match outcome {
            Outcome::Failure(value) if self.is(FailuresAreSuccesses) => {
                let outcome = Outcome::Success(value.clone());
                self.memory.finish_workflow(owner, &outcome).await
            }
            outcome if self.is(OutcomesOfAnyoneAreWritten) => {
                let owner = self.forged(owner).await;
                self.memory.finish_workflow(&owner, outcome).await
            }
            outcome => self.memory.finish_workflow(owner, outcome).await,
        }
    }

    async fn dead_letter(&self, owner: &Owner) -> Result<Write> {
        self.memory.dead_letter(owner).await
    }

    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>> {
        let cancelled = self.memory.cancel(ids).await?;
        if self.is(EndedWorkflowsAreCancelled) {
            return Ok(ids.to_vec());
        }
        Ok(cancelled)
    }

    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed> {
        let queue = queue.filter(|_| !self.is(ResumesGoToOneQueue));
        self.memory.resume(id, queue).await
    }

    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>> {
        let all = self.is(AllDeadlinesExpireAtOnce);
        let limit = if all { usize::MAX } else { limit };
        self.memory.expire_deadlines(application, limit).await
    }
}

#[async_trait]
impl Steps for Sabotaged {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        if self.is(StepsOfAnyoneAreRecorded) {
            let owner = self.forged(owner).await;
            return self.memory.record_step(&owner, step).await;
        }
        if self.is(ChecksComeBeforeWrites)
            && self.held(&owner.workflow).await.as_ref() == Some(&owner.token)
        {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let owner = self.forged(owner).await;
            return self.memory.record_step(&owner, step).await;
        }
        let recorded = self.memory.record_step(owner, step).await?;
        Ok(match recorded {
            Recorded::Lost(_) if self.is(LostStepsAreCalledWritten) => Recorded::Written,
            Recorded::Conflict(_) if self.is(ConflictsAreCalledWritten) => Recorded::Written,
            other => other,
        })
    }

    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>> {
        let mut histories = self.memory.histories(ids).await?;
        if self.is(HistoriesAreBackwards) {
            for history in &mut histories {
                history.steps.reverse();
            }
        }
        Ok(histories)
    }
}

#[async_trait]
impl Queues for Sabotaged {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let mut request = request.clone();
        if self.is(EveryFormatIsReadable) {
            let readable = request.claimant.formats.iter().cloned();
            let more = ["py_pickle", "js_superjson", "java_jackson", "xml"];
            request.claimant.formats = readable.chain(more.map(Into::into)).collect();
        }
        self.memory.claim(&request).await
    }

    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>> {
        if self.is(LostClaimsAreNotFound) {
            return Ok(Vec::new());
        }
        self.memory.claimed_by(tokens).await
    }

    async fn waiting(&self, application: &str) -> Result<Vec<WaitingCount>> {
        let mut counts = self.memory.waiting(application).await?;
        if self.is(WaitingVersionsAreNotTold) {
            for entry in &mut counts {
                entry.version = None;
            }
        }
        Ok(counts)
    }
}

#[async_trait]
impl Messages for Sabotaged {
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent> {
        let step = step.filter(|_| !self.is(SendsAreNotRecorded));
        self.memory.send(message, step).await
    }

    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received> {
        if self.is(MessagesAreConsumedUnrecorded) {
            // As a backend does that consumes, and then records under a number of its own making.
            let elsewhere = StepStamp {
                number: step.number + 1_000,
                ..step.clone()
            };
            return self
                .memory
                .receive(owner, topic, &elsewhere, otherwise)
                .await;
        }
        self.memory.receive(owner, topic, step, otherwise).await
    }
}

#[async_trait]
impl Events for Sabotaged {
    async fn set_event(
        &self,
        owner: &Owner,
        key: &str,
        value: &Encoded,
        step: &StepStamp,
    ) -> Result<Recorded> {
        if self.is(EventsHaveNoSteps) {
            let record = step.record(StepResult::Nothing, None);
            return self.memory.record_step(owner, &record).await;
        }
        self.memory.set_event(owner, key, value, step).await
    }

    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>> {
        self.memory.event(workflow, key).await
    }
}

#[async_trait]
impl Versions for Sabotaged {
    async fn register_version(&self, application: &str, version: &str) -> Result<()> {
        if self.is(VersionsAreNotRegistered) {
            return Ok(());
        }
        self.memory.register_version(application, version).await
    }

    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>> {
        self.memory.stranded(application, version).await
    }

    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>> {
        if self.is(WhatCannotBeRunIsNotTold) {
            return Ok(Vec::new());
        }
        self.memory.unrunnable(claimant).await
    }
}

#[async_trait]
impl Executors for Sabotaged {
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined> {
        let joined = self.memory.join(wanted).await?;
        let incarnation = if self.is(LivesAreNotCounted) {
            1
        } else {
            joined.incarnation
        };
        Ok(Joined {
            incarnation,
            ..joined
        })
    }

    async fn leave(&self, executor: &ExecutorId) -> Result<()> {
        if self.is(IdsAreNotGivenBack) {
            return Ok(());
        }
        self.memory.leave(executor).await
    }

    async fn release(&self, owners: &[Owner]) -> Result<Vec<WorkflowId>> {
        self.memory.release(owners).await
    }

    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>> {
        let mut query = query.clone();
        if self.is(AbandonedWorkflowsComeAgain) {
            query.after = None;
        }
        self.memory.abandoned(&query).await
    }

    async fn requeue(
        &self,
        claimant: &Claimant,
        abandoned: &[Abandoned],
    ) -> Result<Vec<WorkflowId>> {
        let mut abandoned = abandoned.to_vec();
        if self.is(RequeuesAreNotFenced) {
            for one in &mut abandoned {
                one.held = self.held(&one.workflow).await;
            }
        }
        self.memory.requeue(claimant, &abandoned).await
    }

    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>> {
        let mut adoptions = adoptions.to_vec();
        if self.is(AdoptionsAreNotFenced) {
            for one in &mut adoptions {
                one.held = self.held(&one.workflow).await;
            }
        }
        self.memory.adopt(claimant, &adoptions).await
    }

    async fn serving(&self, application: &str) -> Result<Vec<Serving>> {
        let mut serving = self.memory.serving(application).await?;
        if self.is(QueuesAreNotDeclared) {
            for entry in &mut serving {
                entry.serves = None;
            }
        }
        Ok(serving)
    }
}
