//! One run: a scenario under a plan, from its first poll to its end.

use std::{
    collections::BTreeMap,
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::{
    choice::Chooser,
    deadlock,
    fact::Fact,
    invariant::{Invariant, Violation},
    plan::Plan,
    record::Record,
    world::{DATABASE, Main, NEVER, World},
};

/// How long nothing but housekeeping may happen after the last fault, while somebody waits for a timer: longer than any that a scenario
/// may set which does not let idle time be skipped.
const LIMIT: Duration = Duration::from_secs(1800);

/// How long nothing but housekeeping happens before idle time is skipped, and what is left of it before the next event.
const QUIET: Duration = Duration::from_secs(30);

/// How long nothing but housekeeping happens, with nothing to come, before a run counts as stuck.
const STUCK: Duration = Duration::from_secs(120);

/// The most polls of a run.
const POLLS: u64 = 1_000_000;

/// The most polls of a user's test.
const TEST_POLLS: u64 = 10 * POLLS;

/// What is run: by each executor, again after each crash, and by a client that nothing happens to but its network.
#[derive(Clone)]
pub struct Scenario {
    executor: Main,
    client: Option<Main>,
    /// The run ends with the client, and fails when nothing is to come.
    is_test: bool,
    /// The most polls of a run.
    polls: u64,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was allowed to happen.
    pub plan: Plan,
    /// Everything that was decided.
    pub choices: Vec<u32>,
    /// A digest of everything that happened.
    pub digest: u64,
    /// How many polls there were.
    pub polls: u64,
    /// How long it took, by the world's clock.
    pub lasted: Duration,
    /// What did not hold.
    pub violation: Option<Violation>,
    /// How often what happened.
    pub landmarks: BTreeMap<&'static str, u64>,
    /// What happened, if it was asked for: one line for each thing that a person would tell.
    pub timeline: Vec<String>,
    /// How everything stood at the end, if it did not end well.
    pub state: Vec<String>,
    /// What ran beside the world, out of the seed's reach.
    pub strays: Strays,
}

/// What ran beside a world: its order is not decided by the seed, and no crash ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// How many tasks of tokio's there were at once, at most: `tokio::spawn`.
    pub tasks: usize,
    /// How many threads tokio started: `spawn_blocking`.
    pub threads: usize,
}

impl Scenario {
    /// A client alone: a user's test. The run ends when it does, or as soon as nothing is ready and no timer is set.
    pub(crate) fn test<Fut>(client: impl Fn(super::Seat) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut test = Self::new(|_| std::future::ready(())).client(client);
        test.is_test = true;
        test.polls = TEST_POLLS;
        test
    }

    /// Executors that run this.
    pub fn new<Fut>(executor: impl Fn(super::Seat) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self {
            executor: Arc::new(move |seat| Box::pin(executor(seat))),
            client: None,
            is_test: false,
            polls: POLLS,
        }
    }

    pub(super) fn of(executor: Main) -> Self {
        Self {
            executor,
            client: None,
            is_test: false,
            polls: POLLS,
        }
    }

    /// The most polls of a run, a million unless given: with more it counts as one without an end, and says who waits for what.
    pub fn most_polls(mut self, most: u64) -> Self {
        self.polls = most;
        self
    }

    /// And a client that runs this.
    pub fn client<Fut>(
        mut self,
        client: impl Fn(super::Seat) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.client = Some(Arc::new(move |seat| Box::pin(client(seat))));
        self
    }

    /// Runs it under a plan, with the decisions of `chooser`.
    pub fn run(
        &self,
        plan: Plan,
        chooser: Chooser,
        invariants: Vec<Box<dyn Invariant>>,
        timeline: bool,
    ) -> Outcome {
        let plan = Arc::new(plan);
        let world = World::new(
            Arc::clone(&plan),
            chooser,
            Record::new(invariants, timeline),
        );
        for executor in 1..=plan.executors {
            let skew = plan.skew.get(executor - 1).copied().unwrap_or(0);
            world.add_process(format!("E{executor}"), Arc::clone(&self.executor), skew);
        }
        if let Some(client) = &self.client {
            let name = if self.is_test { "test" } else { "client" };
            world.add_process(name.to_owned(), Arc::clone(client), 0);
        }
        if self.is_test {
            world.lock().calm = true;
        } else {
            let calm = world.sleep(plan.faults);
            let calmed = Arc::clone(&world);
            world.spawn(DATABASE, "calm", async move {
                calm.await;
                let mut state = calmed.lock();
                state.calm = true;
                state.tell(DATABASE, Fact::Calm);
            });
        }
        let threads = Arc::new(AtomicUsize::new(0));
        let started = Arc::clone(&threads);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_start(move || {
                started.fetch_add(1, Ordering::Relaxed);
            })
            .build()
            .expect("a runtime without input and output needs nothing of the system");
        let drive = async {
            let mut drive = Drive::new(Arc::clone(&world), self.is_test, self.polls);
            poll_fn(|cx| {
                let polled = drive.poll(cx);
                // A task that was spawned in this poll has not run yet.
                drive.tasks = drive.tasks.max(runtime.metrics().num_alive_tasks());
                polled
            })
            .await;
            drive.tasks
        };
        let tasks = if self.is_test {
            runtime.block_on(drive)
        } else {
            // The timeline says more, and what happens many thousand times is no news.
            let silence = tracing::subscriber::NoSubscriber::new();
            tracing::subscriber::with_default(silence, || runtime.block_on(drive))
        };
        let mut outcome = conclude(&world, plan);
        outcome.strays = Strays {
            tasks,
            threads: threads.load(Ordering::Relaxed),
        };
        world.clear();
        outcome
    }
}

fn conclude(world: &World, plan: Arc<Plan>) -> Outcome {
    let mut state = world.lock();
    let now = state.now;
    let violation = state.record.violation.clone();
    Outcome {
        plan: Plan::clone(&plan),
        choices: state.chooser.made().to_vec(),
        digest: state.record.digest.value(),
        polls: state.polls,
        lasted: now,
        landmarks: state.record.landmarks(),
        timeline: state.record.timeline(),
        state: if violation.is_some() {
            describe(world)
        } else {
            Vec::new()
        },
        violation,
        strays: Strays::default(),
    }
}

/// Every workflow that has not ended.
fn describe(world: &World) -> Vec<String> {
    let unended = world.memory.unended();
    unended
        .iter()
        .map(|row| {
            let executor = row
                .executor
                .as_ref()
                .map_or("nobody", |executor| executor.as_str());
            let token = row.owner.as_ref().map_or("none", |token| token.as_str());
            let steps = world.memory.recorded_steps(&row.id);
            format!(
                "{} ({}) is {}, of {executor}, token {token}; recorded: {}",
                row.id,
                row.key,
                row.status,
                if steps.is_empty() {
                    "nothing".to_owned()
                } else {
                    steps.join(", ")
                },
            )
        })
        .collect()
}

/// Polls the world's tasks inside one task of tokio.
struct Drive {
    world: Arc<World>,
    origin: tokio::time::Instant,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Since when and until when housekeeping is put off.
    skipping: Option<(Duration, Duration)>,
    is_test: bool,
    /// The most polls.
    polls: u64,
    /// The most tasks of tokio's that there were.
    tasks: usize,
}

impl Drive {
    fn new(world: Arc<World>, is_test: bool, polls: u64) -> Self {
        Self {
            world,
            is_test,
            polls,
            tasks: 0,
            origin: tokio::time::Instant::now(),
            sleep: None,
            skipping: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let world = Arc::clone(&self.world);
        world.ready.set_root(cx.waker());
        loop {
            let now = self.origin.elapsed();
            if now >= NEVER {
                self.fail("no_deadlock", self.deadlock());
                return Poll::Ready(());
            }
            world.set_now(now);
            self.stop_skipping(now);
            world.lock().record.passes(now);
            world.fire_timers();
            while world.poll_one() {
                if self.is_over() {
                    return Poll::Ready(());
                }
            }
            if self.is_done() {
                return Poll::Ready(());
            }
            let at = self.origin + self.next(now);
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    sleep.as_mut().reset(at);
                    sleep
                }
                None => self.sleep.insert(Box::pin(tokio::time::sleep_until(at))),
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// When something is to happen next. Where nothing but housekeeping happens it is put off, up to shortly before what comes next; what the
    /// world does not know of, timers of the user's, may come before that.
    fn next(&mut self, now: Duration) -> Duration {
        let mut state = self.world.lock();
        let work = state.timers.next_work().unwrap_or(NEVER);
        let Some(soon) = state.timers.next_housekeeping() else {
            return work;
        };
        let due = self.world.memory.next_due();
        let due = due.map(|due| due.since(super::world::EPOCH));
        // What is long due is not to come.
        let due = due
            .filter(|due| *due + QUIET > now)
            .map_or(work, |due| due.min(work));
        let quiet = now.saturating_sub(state.last_work) >= QUIET && state.in_flight == 0;
        let is_away = state.plan.is_away(&state);
        let allowed = self.is_test || state.plan.skip && state.is_whole() && !is_away;
        if soon >= work || !quiet || !allowed || due <= now + 2 * QUIET {
            return work.min(soon);
        }
        let until = match due {
            // A test ends so, and so does a wait for a timer that only a body knows; otherwise the run is stuck, which is found elsewhere.
            NEVER if self.is_test || state.record.bodies > 0 => NEVER,
            NEVER => return soon,
            due => due.saturating_sub(QUIET),
        };
        let by = until.saturating_sub(now);
        state.timers.skip(by);
        state.last_work += by;
        self.skipping = Some((now, until));
        until
    }

    /// Takes back what was skipped too much, and tells what was skipped.
    fn stop_skipping(&mut self, now: Duration) {
        let Some((since, until)) = self.skipping.take() else {
            return;
        };
        let mut state = self.world.lock();
        if now > since {
            state.tell(DATABASE, Fact::Skipped(now.saturating_sub(since)));
        }
        if now < until {
            let too_much = until.saturating_sub(now);
            state.timers.unskip(too_much);
            state.last_work = state.last_work.saturating_sub(too_much);
        }
    }

    fn is_over(&self) -> bool {
        let state = self.world.lock();
        if state.record.violation.is_some() {
            return true;
        }
        let most = self.polls;
        if state.polls < most {
            return false;
        }
        drop(state);
        let why = format!("no end after {most} polls");
        self.fail("every_workflow_ends", self.unended(&why));
        true
    }

    /// Whether the run is over, well or not.
    fn is_done(&self) -> bool {
        let state = self.world.lock();
        if state.record.violation.is_some() {
            return true;
        }
        let mut processes = state.processes.iter().skip(1);
        if self.is_test {
            return processes.all(|process| process.done);
        }
        let quiet = state.is_whole() && state.in_flight == 0;
        let still = state.now.saturating_sub(state.last_work);
        // What a superseded execution is about to do still counts; a body that was dropped does not end.
        let bodies = state.record.bodies > 0 && still < STUCK / 2;
        if quiet
            && !bodies
            && processes.clone().all(|process| process.done)
            && self.world.memory.is_all_ended()
        {
            return true;
        }
        let waits = state.timers.next_work().is_some() || state.record.bodies > 0;
        let stuck = state.calm && quiet && still > STUCK && !waits;
        let late = state.calm && still > LIMIT;
        if !stuck && !late {
            return false;
        }
        drop(state);
        let why = if stuck {
            "nothing happens any more"
        } else {
            "it takes too long"
        };
        self.fail("every_workflow_ends", self.unended(why));
        true
    }

    fn deadlock(&self) -> String {
        self.unended("nothing is ready and no timer is set")
    }

    /// The processes that have not done what they were started for.
    fn undone(&self) -> Vec<String> {
        let state = self.world.lock();
        let processes = state.processes.iter().skip(1);
        let undone = processes.filter(|process| !process.done);
        undone.map(|process| process.name.clone()).collect()
    }

    /// What has not ended, and what it waits for.
    fn unended(&self, why: &str) -> String {
        let mut lines = deadlock::told(&self.world);
        if lines.is_empty() {
            let undone = self.undone().into_iter();
            lines.extend(undone.map(|process| format!("{process} still waits")));
        }
        lines.insert(0, why.to_owned());
        lines.join("\n  ")
    }

    fn fail(&self, invariant: &'static str, what: impl Into<String>) {
        self.world.lock().record.fail(invariant, what);
    }
}
