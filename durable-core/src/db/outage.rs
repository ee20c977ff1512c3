//! Whether the database answers: seen by every call of the engine, told once when it goes and once when it is back.
//!
//! What one call meets is not told, as a call that fails once says little: a connection broke, a deadlock was resolved. An outage is
//! - **seen** when the same call has failed twice in a row, or once after more than a second, and nothing was answered since it began;
//! - **over** when a call that began after that is answered. While a call that writes still waits, an answer to one that only reads is
//!   not enough: a full disk and a standby answer those. It has one of the waiting writes try, though.
//!
//! When it is over, all who wait go on at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::{Either, select};
use tokio::sync::Notify;

use super::{DbError, Result};
use crate::{
    ids::WorkflowId,
    runtime::{Runtime, Timer},
    state::retry::RetryPolicy,
};

/// A call that fails after longer than this has not met a mishap of one connection.
const SLOW: Duration = Duration::from_secs(1);

/// Those who waited for the database begin within this time after it is back, not all in one moment.
const SPREAD: Duration = Duration::from_millis(50);

tokio::task_local! {
    static CALLER: WorkflowId;
}

/// Makes calls that name no workflow count as this one's.
pub(crate) async fn on_behalf_of<T>(workflow: WorkflowId, calls: impl Future<Output = T>) -> T {
    CALLER.scope(workflow, calls).await
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A database that reads.
    Read,
    /// A database that writes.
    Write,
    /// One that writes, if there is something to write: an answer proves no more than that it reads.
    Either,
}

/// A call that is made once, and asked for by its tokens if its answer is lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Once {
    /// A claim from this queue.
    Claim(String),
    /// An adoption.
    Adopt,
}

/// How the database is, as the calls of this process see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Up,
    Away {
        since: Duration,
        error: String,
        waiting: usize,
    },
}

/// Sees all calls, and makes those that fail wait. Shared by all that call.
pub(crate) struct Outage {
    runtime: Arc<dyn Runtime>,
    /// Growing, spread waits: 50 ms, doubling up to 10 s, each spread by half.
    waits: RetryPolicy,
    /// How many calls were answered, and how many of those that write.
    answered: AtomicU64,
    written: AtomicU64,
    /// How many outages were seen.
    seen: AtomicU64,
    is_away: AtomicBool,
    state: Mutex<State>,
    /// The outage is over.
    back: Notify,
    /// A call that only reads was answered: a write may try.
    probe: Notify,
}

#[derive(Default)]
struct State {
    away: Option<Away>,
    /// Workflows with calls that wait now, and how many.
    waiting: BTreeMap<WorkflowId, usize>,
    /// How many calls that write wait now.
    writes: usize,
    /// Calls of these failed at their last time while others were answered; how often in a row.
    failing: BTreeMap<Once, u32>,
}

struct Away {
    since: Duration,
    error: String,
    /// All workflows that had to wait.
    waited: BTreeSet<WorkflowId>,
}

/// One attempt at a call.
pub(crate) struct Attempt {
    kind: Kind,
    began: Duration,
    answered: u64,
    written: u64,
    seen: u64,
}

impl Outage {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Self {
        let waits = RetryPolicy::attempts(u32::MAX)
            .initial(Duration::from_millis(50))
            .cap(Duration::from_secs(10))
            .jitter(0.5);
        Self {
            runtime,
            waits,
            answered: AtomicU64::new(0),
            written: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            state: Mutex::default(),
            back: Notify::new(),
            probe: Notify::new(),
        }
    }

    /// How the database is.
    pub(crate) fn sight(&self) -> Sight {
        if !self.is_away.load(SeqCst) {
            return Sight::Up;
        }
        let state = self.lock();
        state.away.as_ref().map_or(Sight::Up, |away| Sight::Away {
            since: away.since,
            error: away.error.clone(),
            waiting: state.waiting.len(),
        })
    }

    /// Calls until the answer is not `Unavailable`. `workflow`: whose call it is; the caller's, if it names none.
    pub(crate) async fn retry<T, F, Fut>(
        &self,
        kind: Kind,
        workflow: Option<&WorkflowId>,
        mut call: F,
    ) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut held = None;
        loop {
            let attempt = self.begin(kind);
            match call().await {
                Err(error) if error.is_retryable() => {
                    let held = held.get_or_insert_with(|| Held::new(self, &attempt, workflow));
                    held.wait_after(&attempt, &error).await;
                }
                answer => {
                    // It no longer waits; what it proves others need to know.
                    drop(held);
                    if answer.is_ok() {
                        self.succeeded(&attempt);
                    }
                    return answer;
                }
            }
        }
    }

    /// Calls once; the caller sees to what an `Unavailable` means.
    pub(crate) async fn once<T>(
        &self,
        what: Once,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let attempt = self.begin(Kind::Either);
        let answer = call.await;
        match &answer {
            Ok(_) => {
                self.works(&what);
                self.succeeded(&attempt);
            }
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, ?what, "a call failed");
                let failures = {
                    let mut state = self.lock();
                    let failures = state.failing.entry(what).or_default();
                    *failures = failures.saturating_add(1);
                    *failures
                };
                self.failed(&attempt, attempt.began, failures, error);
            }
            Err(_) => {}
        }
        answer
    }

    /// Says that such a call is no longer known to fail.
    pub(crate) fn works(&self, what: &Once) {
        self.lock().failing.remove(what);
    }

    /// Waits after the `attempt`-th failure (from 1) of a call that is not retried here.
    pub(crate) async fn pause(&self, attempt: u32) {
        self.runtime.sleep(self.wait(attempt), Timer::Work).await;
    }

    fn wait(&self, attempt: u32) -> Duration {
        self.waits.wait_after(attempt, self.runtime.random())
    }

    fn begin(&self, kind: Kind) -> Attempt {
        Attempt {
            kind,
            began: self.runtime.elapsed(),
            answered: self.answered.load(SeqCst),
            written: self.written.load(SeqCst),
            seen: self.seen.load(SeqCst),
        }
    }

    fn succeeded(&self, attempt: &Attempt) {
        self.answered.fetch_add(1, SeqCst);
        if attempt.kind == Kind::Write {
            self.written.fetch_add(1, SeqCst);
        }
        if self.is_away.load(SeqCst) && attempt.seen == self.seen.load(SeqCst) {
            self.answers(attempt);
        }
    }

    /// An answer while the database was thought to be away.
    fn answers(&self, attempt: &Attempt) {
        let over = {
            let mut state = self.lock();
            if attempt.kind != Kind::Write && (state.writes > 0 || !state.failing.is_empty()) {
                self.probe.notify_one();
                return;
            }
            state.failing.clear();
            self.is_away.store(false, SeqCst);
            state.away.take()
        };
        let Some(over) = over else { return };
        self.back.notify_waiters();
        let away = self.runtime.elapsed().saturating_sub(over.since);
        let workflows = over.waited.len();
        tracing::info!(
            away_ms = away.as_millis(),
            workflows,
            "the database is back after {away:.1?}; {workflows} workflow{} waited for it",
            if workflows == 1 { "" } else { "s" },
        );
    }

    /// A call failed for the `failures`-th time in a row, for the first time at `since`.
    fn failed(&self, attempt: &Attempt, since: Duration, failures: u32, error: &DbError) {
        let newer = match attempt.kind {
            Kind::Read => self.answered.load(SeqCst) != attempt.answered,
            Kind::Write | Kind::Either => self.written.load(SeqCst) != attempt.written,
        };
        let slow = self.runtime.elapsed().saturating_sub(attempt.began) >= SLOW;
        {
            let mut state = self.lock();
            let state = &mut *state;
            if let Some(away) = &mut state.away {
                away.error = error.to_string();
                return;
            }
            if newer || (failures < 2 && !slow) {
                return;
            }
            state.away = Some(Away {
                since,
                error: error.to_string(),
                waited: state.waiting.keys().cloned().collect(),
            });
            self.seen.fetch_add(1, SeqCst);
            self.is_away.store(true, SeqCst);
        }
        tracing::warn!(
            %error,
            "the database is away; what needs it waits, and goes on when it is back"
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outage").field(&self.sight()).finish()
    }
}

/// A call that is held up, until this is dropped.
struct Held<'a> {
    outage: &'a Outage,
    kind: Kind,
    workflow: Option<WorkflowId>,
    since: Duration,
    failures: u32,
}

impl<'a> Held<'a> {
    fn new(outage: &'a Outage, attempt: &Attempt, workflow: Option<&WorkflowId>) -> Self {
        let caller = || CALLER.try_with(WorkflowId::clone).ok();
        let held = Self {
            outage,
            kind: attempt.kind,
            workflow: workflow.cloned().or_else(caller),
            since: attempt.began,
            failures: 0,
        };
        let mut state = outage.lock();
        let state = &mut *state;
        match held.kind {
            Kind::Write | Kind::Either => state.writes += 1,
            // Nothing is answered, so what failed says nothing of its own.
            Kind::Read => state.failing.clear(),
        }
        if let Some(workflow) = &held.workflow {
            *state.waiting.entry(workflow.clone()).or_default() += 1;
            if let Some(away) = &mut state.away {
                away.waited.insert(workflow.clone());
            }
        }
        held
    }

    /// Waits until the next attempt is due: by the clock, or because the database is back.
    async fn wait_after(&mut self, attempt: &Attempt, error: &DbError) {
        let outage = self.outage;
        // Made before anybody can tell of it, so that it is not missed.
        let back = pin!(outage.back.notified());
        self.failures = self.failures.saturating_add(1);
        tracing::debug!(%error, failures = self.failures, "a call failed; it is made again");
        outage.failed(attempt, self.since, self.failures, error);
        let wait = outage
            .runtime
            .sleep(outage.wait(self.failures), Timer::Work);
        let probe = pin!(async {
            match self.kind {
                Kind::Write | Kind::Either => outage.probe.notified().await,
                Kind::Read => std::future::pending().await,
            }
        });
        let alone = select(probe, wait);
        if let Either::Left(_) = select(back, alone).await {
            // What comes now is another outage.
            self.failures = 0;
            let spread = u32::try_from(outage.runtime.random() % 101).unwrap_or(50);
            let spread = SPREAD.saturating_mul(spread) / 100;
            outage.runtime.sleep(spread, Timer::Work).await;
            self.since = outage.runtime.elapsed();
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.outage.lock();
        if self.kind != Kind::Read {
            state.writes -= 1;
        }
        if let Some(workflow) = &self.workflow
            && let Some(calls) = state.waiting.get_mut(workflow)
        {
            *calls -= 1;
            if *calls == 0 {
                state.waiting.remove(workflow);
            }
        }
    }
}
