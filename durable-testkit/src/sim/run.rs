//! One run: a scenario under a plan, from its first poll to its end.

use std::{
    collections::BTreeMap,
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    choice::Chooser,
    fact::Fact,
    invariant::{Invariant, Violation},
    plan::Plan,
    record::Record,
    world::{DATABASE, Main, World},
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

/// What is run: by each executor, again after each crash, and by a client that nothing happens to but its network.
#[derive(Clone)]
pub struct Scenario {
    executor: Main,
    client: Option<Main>,
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
}

impl Scenario {
    /// Executors that run this.
    pub fn new<Fut>(executor: impl Fn(super::Seat) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self {
            executor: Arc::new(move |seat| Box::pin(executor(seat))),
            client: None,
        }
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
        let world = World::new(Arc::clone(&plan), chooser, Record::new(invariants, timeline));
        for executor in 1..=plan.executors {
            let skew = plan.skew.get(executor - 1).copied().unwrap_or(0);
            world.add_process(format!("E{executor}"), Arc::clone(&self.executor), skew);
        }
        if let Some(client) = &self.client {
            world.add_process("client".to_owned(), Arc::clone(client), 0);
        }
        let calm = world.sleep(plan.faults);
        let calmed = Arc::clone(&world);
        world.spawn(DATABASE, "calm", async move {
            calm.await;
            let mut state = calmed.lock();
            state.calm = true;
            state.tell(DATABASE, Fact::Calm);
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without input and output needs nothing of the system");
        let drive = async {
            let mut drive = Drive::new(Arc::clone(&world));
            poll_fn(|cx| drive.poll(cx)).await;
        };
        // The timeline says more, and what happens many thousand times is no news.
        let silence = tracing::subscriber::NoSubscriber::new();
        tracing::subscriber::with_default(silence, || runtime.block_on(drive));
        let outcome = conclude(&world, plan);
        world.clear();
        outcome
    }
}

fn conclude(world: &World, plan: Arc<Plan>) -> Outcome {
    let mut state = world.lock();
    let now = state.now;
    state.record.end();
    let violation = state.record.violation.clone();
    Outcome {
        plan: Plan::clone(&plan),
        choices: state.chooser.made().to_vec(),
        digest: state.record.digest.value(),
        polls: state.polls,
        lasted: now,
        landmarks: state.record.landmarks(),
        timeline: state.record.timeline(),
        state: if violation.is_some() { describe(world) } else { Vec::new() },
        violation,
    }
}

/// Every workflow that has not ended.
fn describe(world: &World) -> Vec<String> {
    let unended = world.memory.unended();
    unended
        .iter()
        .map(|row| {
            let executor = row.executor.as_ref().map_or("nobody", |executor| executor.as_str());
            let token = row.owner.as_ref().map_or("none", |token| token.as_str());
            let steps = world.memory.recorded_steps(&row.id);
            format!(
                "{} ({}) is {}, of {executor}, token {token}; recorded: {}",
                row.id,
                row.key,
                row.status,
                if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") },
            )
        })
        .collect()
}

/// Polls the world's tasks inside one task of tokio.
struct Drive {
    world: Arc<World>,
    origin: tokio::time::Instant,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Until when housekeeping was put off.
    skipping: Option<Duration>,
}

impl Drive {
    fn new(world: Arc<World>) -> Self {
        Self {
            world,
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
            world.set_now(now);
            self.stop_skipping(now);
            world.fire_timers();
            while world.poll_one() {
                if self.is_over() {
                    return Poll::Ready(());
                }
            }
            if self.is_done() {
                return Poll::Ready(());
            }
            let Some(at) = self.next(now) else {
                self.fail("no_deadlock", "nothing is ready and no timer is set");
                return Poll::Ready(());
            };
            let at = self.origin + at;
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

    /// When something is to happen next.
    fn next(&mut self, now: Duration) -> Option<Duration> {
        let mut state = self.world.lock();
        let (work, housekeeping) = (state.timers.next_work(), state.timers.next_housekeeping());
        let (Some(work), Some(soon)) = (work, housekeeping) else {
            return work.or(housekeeping);
        };
        let due = self.world.memory.next_due();
        let due = due.map_or(work, |due| due.since(super::world::EPOCH).min(work));
        let quiet = now.saturating_sub(state.last_work) >= QUIET;
        let idle = state.plan.skip && state.calm && state.is_whole() && state.in_flight == 0;
        if soon < work && quiet && idle && state.record.bodies == 0 && due > now + 2 * QUIET {
            let until = due.saturating_sub(QUIET);
            state.timers.skip(until - now);
            state.last_work += until - now;
            state.tell(DATABASE, Fact::Skipped(until - now));
            self.skipping = Some(until);
            return Some(until);
        }
        Some(work.min(soon))
    }

    /// Takes back what was skipped too much: a timer of the user's, which the world does not know, came in between.
    fn stop_skipping(&mut self, now: Duration) {
        if let Some(until) = self.skipping.take()
            && now < until
        {
            let mut state = self.world.lock();
            state.timers.unskip(until - now);
            state.last_work = state.last_work.saturating_sub(until - now);
        }
    }

    fn is_over(&self) -> bool {
        let state = self.world.lock();
        if state.record.violation.is_some() {
            return true;
        }
        if state.polls < POLLS {
            return false;
        }
        drop(state);
        self.fail("every_workflow_ends", format!("no end after {POLLS} polls"));
        true
    }

    /// Whether the run is over, well or not.
    fn is_done(&self) -> bool {
        let state = self.world.lock();
        if state.record.violation.is_some() {
            return true;
        }
        let processes = state.processes.iter().skip(1);
        let quiet = state.is_whole() && state.in_flight == 0;
        if quiet && processes.clone().all(|process| process.done) && self.world.memory.is_all_ended() {
            return true;
        }
        let still = state.now.saturating_sub(state.last_work);
        let waits = state.timers.next_work().is_some() || state.record.bodies > 0;
        let stuck = state.calm && quiet && still > STUCK && !waits;
        let late = state.calm && still > LIMIT;
        if !stuck && !late {
            return false;
        }
        let undone: Vec<_> = processes
            .filter(|process| !process.done)
            .map(|process| process.name.clone())
            .collect();
        drop(state);
        let why = if stuck { "nothing happens any more" } else { "it takes too long" };
        self.fail("every_workflow_ends", self.unended(why, &undone));
        true
    }

    fn unended(&self, why: &str, undone: &[String]) -> String {
        let unended = self.world.memory.unended();
        let unended: Vec<_> = unended
            .iter()
            .map(|row| {
                let state = self.world.lock();
                let waits = state.record.waits_of(&row.id).into_iter();
                let waits: String = waits.map(|what| format!(", waits for {what}")).collect();
                format!("{} is {}{waits}", row.id, row.status)
            })
            .collect();
        let mut text = why.to_owned();
        for part in [unended.join("; "), undone.join(", ")] {
            if !part.is_empty() {
                text.push_str(": ");
                text.push_str(&part);
            }
        }
        if !undone.is_empty() {
            text.push_str(" still waits");
        }
        text
    }

    fn fail(&self, invariant: &'static str, what: impl Into<String>) {
        self.world.lock().record.fail(invariant, what);
    }
}
