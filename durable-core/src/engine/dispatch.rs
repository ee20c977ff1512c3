//! Claims work from queues, as much as this process has free places for.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{Engine, observer::notice, slot::ResultSlot};
use crate::{
    Error,
    db::{self, ClaimRequest, Claimed, History, StepRecord},
    ids::{Owner, WorkflowId},
    sabotage::Bug,
    state::WorkflowRow,
};

/// The most workflows that one claim takes, and the most that one takes which may well find nothing.
const MAX_CLAIM: usize = 100;
const FIRST_CLAIM: usize = 8;

/// This process's share in a queue.
#[derive(Debug)]
pub(super) struct Worker {
    queue: String,
    /// How many of the queue's workflows may run here at once.
    places: usize,
    taken: AtomicUsize,
    /// How many the next claim asks for: more while the queue gives all that is asked for.
    appetite: AtomicUsize,
    /// The last claim left work behind, so a freed place is worth a claim.
    backlog: AtomicBool,
    wake: Notify,
}

impl Worker {
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    pub(super) fn new(queue: String, places: usize) -> Self {
        Self {
            queue,
            places,
            taken: AtomicUsize::new(0),
            appetite: AtomicUsize::new(FIRST_CLAIM),
            backlog: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    fn free(&self) -> usize {
        if Bug::MiscountsPlaces.is_planted() {
            return self.places;
        }
        self.places
            .saturating_sub(self.taken.load(Ordering::SeqCst))
    }

    /// Says whether the queue gave all that was asked for.
    fn fed(&self, full: bool) {
        let appetite = if full {
            let more = self.appetite.load(Ordering::Relaxed).saturating_mul(4);
            more.min(MAX_CLAIM)
        } else {
            FIRST_CLAIM
        };
        self.appetite.store(appetite, Ordering::Relaxed);
    }

    fn take(self: &Arc<Self>) -> Place {
        self.taken.fetch_add(1, Ordering::SeqCst);
        Place(Arc::clone(self))
    }
}

/// A place of a worker, held while a workflow of its queue runs here.
#[derive(Debug)]
pub(super) struct Place(Arc<Worker>);

impl Drop for Place {
    fn drop(&mut self) {
        // In one total order with the worker's look at the free places: one of the two sees the other.
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
        if self.0.backlog.load(Ordering::SeqCst) {
            self.0.wake.notify_one();
        }
    }
}

impl Engine {
    /// Wakes the worker of a queue, if this process has one.
    pub(super) fn wake_queue(&self, queue: &str) {
        for worker in self.queues.iter().filter(|worker| worker.queue == queue) {
            worker.wake.notify_one();
        }
    }

    /// Wakes all workers.
    pub(super) fn wake_queues(&self) {
        for worker in &self.queues {
            worker.wake.notify_one();
        }
    }

    /// Runs the claimed workflows, each under the token that its row holds.
    pub(super) async fn run_claimed(
        self: &Arc<Self>,
        claimed: Vec<Claimed>,
        worker: Option<&Arc<Worker>>,
    ) -> db::Result<()> {
        let ids: Vec<_> = claimed
            .iter()
            .map(|claimed| claimed.row.id.clone())
            .collect();
        let read = if Bug::ForgetsHistory.is_planted() {
            Ok(Vec::new())
        } else {
            self.db.histories(&ids).await
        };
        let mut histories = match read {
            Ok(histories) => {
                let mut steps = steps_by_workflow(histories);
                for id in ids {
                    // A workflow without recorded steps may be left out.
                    steps.entry(id).or_default();
                }
                steps
            }
            Err(error) => {
                tracing::error!(%error, "histories could not be read; reading them one by one");
                self.readable_histories(&claimed).await
            }
        };
        for claimed in claimed {
            let Some(owner) = owner_of(&claimed.row) else {
                continue;
            };
            let Some(history) = histories.remove(&claimed.row.id) else {
                continue;
            };
            let place = worker.map(Worker::take);
            let slot = Arc::new(ResultSlot::new());
            self.spawn_run(self.dispatched(claimed, owner, history, slot, place));
        }
        Ok(())
    }

    /// The histories that can be read. One that cannot stops its own workflow only, which stays recoverable by others.
    async fn readable_histories(&self, claimed: &[Claimed]) -> StepsByWorkflow {
        let mut readable = StepsByWorkflow::new();
        for row in claimed.iter().map(|claimed| &claimed.row) {
            match self.db.histories(std::slice::from_ref(&row.id)).await {
                Ok(histories) => {
                    let steps = steps_by_workflow(histories).remove(&row.id);
                    readable.insert(row.id.clone(), steps.unwrap_or_default());
                }
                Err(error) => {
                    let error = Error::from(error);
                    notice(&format!(
                        "workflow {:?} is not run: {error} [{}]",
                        row.id.as_str(),
                        error.code()
                    ));
                    if let Some(owner) = owner_of(row) {
                        self.running.park(&owner, &error);
                    }
                }
            }
        }
        readable
    }
}

type StepsByWorkflow = BTreeMap<WorkflowId, Vec<StepRecord>>;

fn steps_by_workflow(histories: Vec<History>) -> StepsByWorkflow {
    let pairs = histories.into_iter();
    pairs
        .map(|history| (history.workflow, history.steps))
        .collect()
}

fn owner_of(row: &WorkflowRow) -> Option<Owner> {
    let token = row.owner.clone()?;
    Some(Owner {
        workflow: row.id.clone(),
        token,
    })
}

/// Serves one queue until the application stops.
pub(super) async fn serve(engine: Arc<Engine>, worker: Arc<Worker>) {
    while !engine.is_stopping() {
        let more = match claim_once(&engine, &worker).await {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(queue = worker.queue, %error, "claiming failed");
                false
            }
        };
        if more && worker.free() > 0 {
            continue;
        }
        let interval = if Bug::QueueWithoutPoll.is_planted() {
            Duration::from_secs(1_000_000_000)
        } else {
            engine.settings.poll
        };
        let pause = Box::pin(engine.poll_pause(interval));
        let stopped = Box::pin(engine.stopping.cancelled());
        let wake = Box::pin(worker.wake.notified());
        futures_util::future::select(wake, futures_util::future::select(stopped, pause)).await;
    }
}

/// Claims up to the free places and runs what it got; whether more may be waiting.
async fn claim_once(engine: &Arc<Engine>, worker: &Arc<Worker>) -> db::Result<bool> {
    let limit = worker.free().min(worker.appetite.load(Ordering::Relaxed));
    if limit == 0 {
        worker.backlog.store(true, Ordering::SeqCst);
        return Ok(true);
    }
    let tokens = (0..limit).map(|_| engine.new_token()).collect();
    let reserved = engine.running.reserve(engine, tokens);
    // Asked once the tokens are known: a shutdown either is seen here or sees them.
    if engine.is_stopping() {
        return Ok(false);
    }
    let request = ClaimRequest {
        queue: worker.queue.clone(),
        claimant: engine.claimant.clone(),
        tokens: reserved.tokens.clone(),
    };
    let claimed = match engine.db.claim(&request).await {
        Err(error) if error.is_retryable() && Bug::ForgetsLostClaims.is_planted() => {
            return Ok(false);
        }
        // The claim may have happened: whatever holds one of these tokens is ours to run.
        Err(error) if error.is_retryable() => {
            tracing::debug!(queue = worker.queue, %error, "a claim's answer was lost; asking for it");
            engine.outage.pause(1).await;
            engine.db.claimed_by(&reserved.tokens).await?
        }
        answer => answer?,
    };
    let full = claimed.len() == limit;
    worker.fed(full);
    worker.backlog.store(full, Ordering::SeqCst);
    if !claimed.is_empty() {
        engine.run_claimed(claimed, Some(worker)).await?;
    }
    drop(reserved);
    Ok(full)
}
