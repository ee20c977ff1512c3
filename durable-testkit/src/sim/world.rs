//! A simulated world: processes whose tasks run one poll at a time, in an order and with faults that a [`Chooser`] decides.
//!
//! It knows processes, tasks and time, and nothing of workflows. All of it runs inside one task of a paused tokio runtime, whose clock is
//! the world's: user code may use `tokio::time`, and when nothing is ready tokio jumps to whatever comes first.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use durable_core::{
    __private::{discard, panic_ended},
    runtime::{BoxFuture, Timer},
    source::Layout,
    time::Timestamp,
};

use super::{
    Seat,
    choice::{Chooser, mix},
    fact::Fact,
    here,
    plan::{Order, Plan},
    record::Record,
    tables::Tables,
    tasks::{Ready, Task, TaskId, Tasks},
    timers::Timers,
};
use crate::{ManualClock, Memory};

/// The process of the database: it never crashes, and requests are tasks of it, so that they outlive whoever sent them.
pub(super) const DATABASE: usize = 0;

/// What a process runs when it starts.
pub(super) type Main = Arc<dyn Fn(Seat) -> BoxFuture<'static, ()> + Send + Sync>;

/// Shuts the application of a process down within this grace.
pub(super) type Shutdown = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Names of tasks that only look around: polled alone, they are no sign of progress.
const HOUSEKEEPING: &[&str] = &[
    "hints",
    "waiters",
    "deadlines",
    "clock",
    "queue",
    "recovery",
    "request",
    "delivery",
];

/// Instant zero of every world, of the database's clock: the first second of 2026.
pub(super) const EPOCH: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// No timer that is set for this time of the world or a later one ever fires: a hundred years.
pub(super) const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A simulated world.
pub(super) struct World {
    pub(super) memory: Memory,
    clock: ManualClock,
    pub(super) ready: Arc<Ready>,
    state: Mutex<State>,
}

/// All that changes in a world.
pub(super) struct State {
    pub(super) now: Duration,
    pub(super) chooser: Chooser,
    pub(super) plan: Arc<Plan>,
    pub(super) tasks: Tasks,
    pub(super) timers: Timers,
    pub(super) processes: Vec<Process>,
    pub(super) record: Record,
    /// Tables of the application: in the system database, and in another one.
    tables: [Tables; 2],
    /// Faults are over: from now on everything must end.
    pub(super) calm: bool,
    /// By how much the database's clock is ahead.
    ahead: Duration,
    /// Requests that were sent and not answered.
    pub(super) in_flight: usize,
    /// Polls so far.
    pub(super) polls: u64,
    /// How many of the plan's strikes have happened.
    struck: usize,
    /// Processes that killed themselves, and how long they will be down.
    pub(super) crashing: Vec<(usize, Duration)>,
    /// When something other than housekeeping was polled last, moved on by idle time that was skipped.
    pub(super) last_work: Duration,
    ids: u64,
    randoms: u64,
    salt: u64,
}

/// A process: its present life, and how it stands.
#[allow(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) life: u32,
    pub(super) alive: bool,
    pub(super) paused: bool,
    /// It will not be started again.
    pub(super) gone: bool,
    /// What it was started for is done.
    pub(super) done: bool,
    /// How far its wall clock is off.
    pub(super) skew: i64,
    pub(super) main: Option<Main>,
    /// Shuts its present life down; there once that has launched its application.
    pub(super) shutdown: Option<Shutdown>,
    /// It is being shut down.
    pub(super) ending: bool,
    /// The database as its present life is connected to it.
    pub(super) db: Option<Memory>,
}

impl World {
    pub(super) fn new(plan: Arc<Plan>, mut chooser: Chooser, record: Record) -> Arc<Self> {
        let clock = ManualClock::new(EPOCH);
        let ready = Arc::new(Ready::default());
        let salt = u64::from(chooser.choose(1 << 16));
        let state = State {
            now: Duration::ZERO,
            chooser,
            plan,
            tasks: Tasks::new(Arc::clone(&ready)),
            timers: Timers::default(),
            processes: vec![Process::new("db".to_owned(), None, 0)],
            record,
            tables: Default::default(),
            calm: false,
            ahead: Duration::ZERO,
            in_flight: 0,
            polls: 0,
            struck: 0,
            crashing: Vec::new(),
            last_work: Duration::ZERO,
            ids: 0,
            randoms: 0,
            salt,
        };
        Arc::new(Self {
            memory: Memory::lacking(super::LACKED, clock.clone()),
            clock,
            ready,
            state: Mutex::new(state),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.lock().now
    }

    /// Moves all clocks to this time.
    pub(super) fn set_now(&self, now: Duration) {
        let ahead = {
            let mut state = self.lock();
            state.now = now;
            let ahead = state.plan.ahead_at(now, state.calm);
            if std::mem::replace(&mut state.ahead, ahead) != ahead {
                state.tell(DATABASE, Fact::Ahead(ahead));
            }
            ahead
        };
        self.clock.set(EPOCH.saturating_add(now + ahead));
    }

    /// A process's wall clock.
    pub(super) fn wall_clock(&self, process: usize) -> Timestamp {
        let state = self.lock();
        let skew = state.processes[process].skew;
        let now = EPOCH.saturating_add(state.now);
        Timestamp::from_millis(now.as_millis().saturating_add(skew))
    }

    /// Says that something happened in a process.
    pub(super) fn tell(&self, process: usize, fact: Fact) {
        self.lock().tell(process, fact);
    }

    /// Adds a process, and starts it.
    pub(super) fn add_process(self: &Arc<Self>, name: String, main: Main, skew: i64) {
        let process = {
            let mut state = self.lock();
            state.processes.push(Process::new(name, Some(main), skew));
            state.processes.len() - 1
        };
        self.start(process);
    }

    /// Adds a process that only runs what others give it; and the database as it is connected to it.
    pub(super) fn add_idle_process(&self, name: String) -> (usize, Memory) {
        let db = self.memory.process();
        let mut state = self.lock();
        let mut process = Process::new(name, None, 0);
        process.done = true;
        process.db = Some(db.clone());
        state.processes.push(process);
        (state.processes.len() - 1, db)
    }

    /// Starts a process, for the first time or again.
    pub(super) fn start(self: &Arc<Self>, process: usize) {
        // Made outside the lock: dropping it goes to the database.
        let db = self.memory.process();
        let (main, life) = {
            let mut state = self.lock();
            let started = &mut state.processes[process];
            if started.gone {
                return;
            }
            started.life += 1;
            started.shutdown = None;
            started.ending = false;
            started.alive = true;
            started.done = started.main.is_none();
            started.db = Some(db.clone());
            let (main, life) = (started.main.clone(), started.life);
            if life > 1 {
                state.tell(process, Fact::Restarted);
            }
            (main, life)
        };
        let Some(main) = main else { return };
        let seat = Seat::new(Arc::clone(self), db, process, life);
        let world = Arc::clone(self);
        self.spawn(process, "main", async move {
            main(seat).await;
            world.lock().processes[process].done = true;
        });
    }

    /// Adds a task to a process.
    pub(super) fn spawn(
        &self,
        process: usize,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> TaskId {
        self.lock().tasks.add(process, name, task)
    }

    /// Ends a task. One that is being polled goes on to the end of its poll.
    pub(super) fn abort(&self, task: TaskId) {
        let task = self.lock().tasks.remove(task);
        drop_task(task);
    }

    /// Waits, by a timer that counts as work.
    pub(super) fn sleep(self: &Arc<Self>, lasting: Duration) -> super::runtime::Sleep {
        let at = self.now().saturating_add(lasting);
        super::runtime::Sleep::new(Arc::clone(self), at, Timer::Work)
    }

    /// Wakes whose time has come.
    pub(super) fn fire_timers(&self) {
        loop {
            let (kind, waker) = {
                let mut state = self.lock();
                let now = state.now;
                let Some(due) = state.timers.due(now) else {
                    return;
                };
                due
            };
            if kind == Timer::Work {
                let mut state = self.lock();
                state.last_work = state.now;
            }
            waker.wake();
        }
    }

    /// Polls one of the tasks that are ready; whether there was one.
    pub(super) fn poll_one(self: &Arc<Self>) -> bool {
        self.strike();
        let Some(Taken {
            id,
            process,
            name,
            mut task,
            waker,
        }) = self.take_ready()
        else {
            return false;
        };
        let mut cx = Context::from_waker(&waker);
        let polled = here::at(self, process, || {
            catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut cx)))
        });
        match polled {
            Ok(poll) if poll.is_pending() => {
                let dropped = match self.lock().tasks.get_mut(id) {
                    Some(slot) => {
                        slot.future = Some(task);
                        None
                    }
                    // It was aborted by what it did itself.
                    None => Some(task),
                };
                drop_future(dropped);
            }
            Ok(_) => {
                let ended = self.lock().tasks.remove(id);
                drop_task(ended);
                drop_future(Some(task));
            }
            Err(panic) => {
                let words = panic_ended(panic);
                let mut state = self.lock();
                state.tasks.remove(id);
                state
                    .record
                    .fail("no_task_panics", format!("task {name:?} panicked: {words}"));
                drop(state);
                drop_future(Some(task));
            }
        }
        true
    }

    /// Takes a ready task out, as the plan's order says.
    fn take_ready(&self) -> Option<Taken> {
        let mut state = self.lock();
        let state = &mut *state;
        loop {
            let id = {
                let mut list = self.ready.lock();
                let index = state.pick(&list)?;
                list.remove(index)?
            };
            let now = state.now;
            let Some(task) = state.tasks.get_mut(id) else {
                continue;
            };
            task.taken();
            let (name, process, waker) = (task.name, task.process, task.waker.clone());
            let Some(task) = task.future.take() else {
                continue;
            };
            state.polls += 1;
            if !HOUSEKEEPING.contains(&name) {
                state.last_work = now;
            }
            state.record.polled(now, process, id);
            return Some(Taken {
                id,
                process,
                name,
                task,
                waker,
            });
        }
    }

    /// Has happen what the plan has for this moment.
    fn strike(self: &Arc<Self>) {
        let crashing = std::mem::take(&mut self.lock().crashing);
        for (process, down) in crashing {
            self.lock().processes[process].alive = true;
            self.crash(process, down, Duration::ZERO);
        }
        loop {
            let strike = {
                let mut state = self.lock();
                // Without a time of faults, strikes are all that may happen.
                if state.calm && !state.plan.faults.is_zero() {
                    return;
                }
                let due = state.plan.strike_at(state.struck, state.polls);
                state.struck += usize::from(due.is_some());
                due
            };
            let Some(strike) = strike else { return };
            strike.happen(self);
        }
    }

    /// Ends all tasks, so that nothing keeps the world.
    pub(super) fn clear(&self) {
        let mut shutdowns = Vec::new();
        let (tasks, timers) = {
            let mut state = self.lock();
            for process in &mut state.processes {
                process.alive = false;
                process.main = None;
                process.db = None;
                shutdowns.extend(process.shutdown.take());
            }
            (state.tasks.take_all(), state.timers.take_all())
        };
        drop(shutdowns);
        for task in tasks {
            drop_task(Some(task));
        }
        drop(timers);
    }
}

/// A task that is about to be polled.
struct Taken {
    id: TaskId,
    process: usize,
    name: &'static str,
    task: BoxFuture<'static, ()>,
    waker: Waker,
}

impl State {
    /// The application's tables of this layout.
    pub(super) fn tables_of(&mut self, layout: Layout) -> &mut Tables {
        &mut self.tables[usize::from(layout == Layout::Other)]
    }

    pub(super) fn tell(&mut self, process: usize, fact: Fact) {
        let name = &self.processes[process].name;
        self.record.tell(self.now, process, name, fact);
    }

    /// Which of the ready tasks goes on.
    fn pick(&mut self, ready: &std::collections::VecDeque<TaskId>) -> Option<usize> {
        let any_paused = self.processes.iter().any(|process| process.paused);
        let starved = match self.plan.order {
            Order::Starve(process) if !self.calm => Some(process),
            _ => None,
        };
        if !any_paused && starved.is_none() {
            return self.choose_of(ready.len());
        }
        let process_of = |id: &TaskId| self.tasks.get(*id).map(|task| task.process);
        let runnable = |id: &TaskId| process_of(id).is_none_or(|of| !self.processes[of].paused);
        let fed = |id: &TaskId| runnable(id) && (starved.is_none() || process_of(id) != starved);
        let mut open: Vec<_> = (0..ready.len()).filter(|at| fed(&ready[*at])).collect();
        if open.is_empty() {
            open = (0..ready.len())
                .filter(|at| runnable(&ready[*at]))
                .collect();
        }
        let chosen = self.choose_of(open.len())?;
        Some(open[chosen])
    }

    fn choose_of(&mut self, n: usize) -> Option<usize> {
        if n == 0 {
            return None;
        }
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        let uniform = match self.plan.order {
            Order::Fifo => false,
            Order::Sometimes(rate) => n > 1 && self.chooser.happens(rate),
            Order::Uniform | Order::Starve(_) => true,
        };
        Some(if uniform {
            self.chooser.choose(n) as usize
        } else {
            0
        })
    }

    /// Whether this life of a process goes on.
    pub(super) fn is_living(&self, process: usize, life: u32) -> bool {
        let of = &self.processes[process];
        of.alive && of.life == life
    }

    /// The next number that names something.
    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// A number for jitter, which is no decision.
    pub(super) fn random(&mut self) -> u64 {
        self.randoms += 1;
        mix(self.randoms ^ (self.salt << 32))
    }

    /// Whether faults have left all processes running.
    pub(super) fn is_whole(&self) -> bool {
        self.processes
            .iter()
            .skip(1)
            .all(|process| process.gone || process.alive && !process.paused)
    }
}

impl Process {
    fn new(name: String, main: Option<Main>, skew: i64) -> Self {
        Self {
            name,
            life: 0,
            alive: main.is_none(),
            paused: false,
            gone: false,
            done: false,
            skew,
            main,
            shutdown: None,
            ending: false,
            db: None,
        }
    }
}

/// Drops a task; what its destructors do wrong is nobody's concern here.
pub(super) fn drop_task(task: Option<Task>) {
    drop_future(task.and_then(|task| task.future));
}

fn drop_future(future: Option<BoxFuture<'static, ()>>) {
    discard(future);
}
