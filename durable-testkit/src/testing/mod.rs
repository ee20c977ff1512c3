//! Tests of workflows: `#[durable::test]`, on a database in memory and in virtual time.
//!
//! ```
//! use durable::prelude::*;
//! use durable_testkit::TestApp;
//!
//! #[durable::workflow]
//! async fn checkout(ctx: Ctx, order: u64) -> Result<u64, AnyError> {
//!     let charge = ctx.step("charge", || async move { Ok::<_, AnyError>(order * 2) }).await?;
//!     ctx.sleep(Duration::from_secs(30 * 86_400)).await?;
//!     Ok(charge + 1)
//! }
//!
//! # #[cfg(any())]
//! #[durable::test]
//! # fn hidden() {}
//! async fn an_order_is_paid(t: TestApp) -> Result<(), AnyError> {
//!     let app = t.launch(|app| app.workflow(checkout)).await;
//!     let handle = app.start(checkout, 20).id("order-1").await?;
//!     assert_eq!(handle.result().await?, 41); // after 30 days, which pass at once
//!     assert_eq!(t.steps("order-1"), ["charge", "DBOS.sleep"]);
//!     assert_eq!(t.outputs::<u64>("order-1", "charge")?, [40]);
//!     Ok(())
//! }
//! # durable_testkit::testing::run("an_order_is_paid", durable_testkit::testing::Options::default(), an_order_is_paid);
//! ```
//!
//! - **Time** stands still while anything can go on, and then jumps to whatever comes next: a durable sleep, a time-out, a timer of tokio's.
//!   When nothing is to come the test fails at once, and says what each workflow waits for.
//! - **Order.** `#[durable::test(seeds = 200)]` runs the test 200 times: first with whoever was woken first going first, then in orders that
//!   the numbers 1, 2, … decide. `DURABLE_SEED=17 cargo test name` runs one of them, and the same again each time.
//! - **A test that fails** prints what happened, and its seed.
//! - **Afterwards** each workflow that has ended is run again on its history, with no body run and nothing written: if its code then calls
//!   something else, or comes to another end, the test fails.
//! - **Real sockets** and virtual time do not mix: while a test waits for a socket nothing is ready, so time jumps to the next timer, and every
//!   time-out strikes at once. `#[durable::test(real_time)]` runs it once on an ordinary runtime of tokio's, still on the database in memory;
//!   nothing is skipped there, and a test that waits for what does not come waits for ever.
//! - `tokio::spawn` and `spawn_blocking` are out of the order's reach, which a warning says; [`TestApp::spawn`] is not.

mod faults;
mod progress;
mod run;

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use durable_core::{
    App, AppBuilder, Error, WorkflowError,
    db::StepRecord,
    ids::WorkflowId,
    replay::Replayer,
    runtime::{Runtime as _, Timer, TokioRuntime},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

#[doc(hidden)]
pub use run::{Options, TestEnd, run};

use crate::{
    Memory, replay,
    sim::{Seat, Waiting},
};
use faults::Faults;
use progress::Progress;

/// The name of the application that a test launches.
const APPLICATION: &str = "test";

/// What a workflow is told whose code does something else the second time.
const REPLAYED: &str = "\n    a workflow must make the same calls whenever it runs: what may differ belongs into a step";

/// The world of one test: launches apps in it, moves its time, has steps fail, and looks at what is recorded. Cheap to clone.
///
/// See the [module](self) for what a test is.
#[derive(Clone)]
pub struct TestApp {
    shared: Arc<Shared>,
}

struct Shared {
    world: World,
    apps: Mutex<Vec<Launched>>,
    faults: Faults,
    progress: Progress,
}

/// Where a test runs.
enum World {
    Simulated(Seat),
    Real(Memory, TokioRuntime),
}

/// An app that the test has launched.
struct Launched {
    app: App,
    replayer: Arc<Replayer>,
    seat: Option<Seat>,
}

impl TestApp {
    fn new(world: World) -> Self {
        Self {
            shared: Arc::new(Shared {
                world,
                apps: Mutex::default(),
                faults: Faults::default(),
                progress: Progress::default(),
            }),
        }
    }

    /// Launches an app: `build` is given a builder that has its database and its time, and adds workflows, state and queues.
    ///
    /// Each launch is a process of its own, `E1`, `E2`, …, of one application; a second one takes over what a dead one has left. Whatever
    /// backend and runtime `build` sets are replaced. Panics if the app cannot be launched.
    pub async fn launch(&self, build: impl FnOnce(AppBuilder) -> AppBuilder) -> App {
        let name = format!("E{}", self.apps().len() + 1);
        let (builder, seat) = match &self.shared.world {
            World::Simulated(seat) => {
                let seat = seat.beside(&name);
                let builder = build(seat.builder(APPLICATION));
                (seat.equip(builder), Some(seat))
            }
            World::Real(memory, _) => {
                let builder = App::builder(APPLICATION).executor_id(name);
                let builder = build(builder.version("test")).backend(memory.process());
                (builder, None)
            }
        };
        let (seen, asked) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let launched = builder
            .observe(move |event| seen.progress.see(event))
            .before_bodies(move |attempt| asked.faults.meet(attempt))
            .launch()
            .await;
        let app = launched
            .unwrap_or_else(|error| panic!("the app of the test cannot be launched: {error}"));
        self.apps().push(Launched {
            app: app.clone(),
            replayer: Arc::new(Replayer::of(&app)),
            seat,
        });
        app
    }

    /// Kills an app's process, as `kill -9` or a power cut does: nothing of it goes on, and what it had not committed is lost.
    ///
    /// Another [`launch`](Self::launch) takes its workflows over. What waits on the dead app's handles is told that its execution was
    /// stopped, or nothing any more: ask the new one, by `app.handle(…)`. Panics in real time, where nothing can be killed.
    pub fn crash(&self, app: &App) {
        let seat = {
            let apps = self.apps();
            let mut apps = apps.iter();
            let launched = apps.find(|launched| launched.app.executor() == app.executor());
            launched.and_then(|launched| launched.seat.clone())
        };
        match seat {
            Some(seat) => seat.crash_for_good(),
            None => panic!("only an app in virtual time can crash: leave `real_time` out"),
        }
    }

    /// Lets time pass: everything that comes to be due within `by` happens, in the order of its time.
    ///
    /// Virtual time is counted in milliseconds. In real time this waits.
    pub async fn advance(&self, by: Duration) {
        match &self.shared.world {
            World::Simulated(seat) => seat.sleep(by).await,
            World::Real(_, runtime) => runtime.sleep(by, Timer::Work).await,
        }
    }

    /// How much time has passed since the test began.
    pub fn elapsed(&self) -> Duration {
        match &self.shared.world {
            World::Simulated(seat) => seat.now(),
            World::Real(_, runtime) => runtime.elapsed(),
        }
    }

    /// Runs a future beside the test, in the order that the seed decides; await what this gives for its result.
    ///
    /// If the future panics, so does the test.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        let task = Box::pin(async move {
            // Nobody may want it.
            let _ = sender.send(future.await);
        });
        match &self.shared.world {
            World::Simulated(seat) => seat.runtime().spawn("spawned", task).detach(),
            World::Real(_, runtime) => runtime.spawn("spawned", task).detach(),
        }
        async move { receiver.await.expect("a task that panics ends the test") }
    }

    /// Has the next step of this name that comes to its `attempt`-th attempt, from 1, fail with `error` instead of running its body.
    ///
    /// `error` is of the type that the step fails with. Each call is good for one failure, in whichever workflow comes first. A test whose
    /// failure never happens fails.
    pub fn fail_step<E: WorkflowError>(&self, step: &str, attempt: u32, error: E) {
        self.shared.faults.add(step, attempt, error);
    }

    /// Puts a message into a workflow's mailbox. Errors: those of [`App::send`].
    pub async fn send<T: Serialize + ?Sized>(
        &self,
        destination: impl Into<WorkflowId>,
        topic: &str,
        message: &T,
    ) -> Result<(), Error> {
        self.app().send(destination, topic, message).await
    }

    /// Waits until a workflow has published a value under a key, however long that takes. Errors: those of [`App::get_event`].
    pub async fn wait_for_event<T: DeserializeOwned>(
        &self,
        workflow: impl Into<WorkflowId>,
        key: &str,
    ) -> Result<T, Error> {
        let workflow = workflow.into();
        let app = self.app();
        let _waits = self.waits(format!("event {key:?} of {workflow}"));
        loop {
            if let Some(value) = app.get_event(&workflow, key, Duration::MAX).await? {
                return Ok(value);
            }
        }
    }

    /// Waits until a workflow has come to a step of this name: its body has begun, or its record is there.
    pub async fn wait_for_step(&self, workflow: impl Into<WorkflowId>, step: &str) {
        let workflow = workflow.into();
        let _waits = self.waits(format!("step {step:?} of {workflow}"));
        self.shared.progress.reached(&workflow, step).await;
    }

    /// The names of a workflow's recorded operations, in the order of their numbers; none for an unknown workflow.
    ///
    /// Operations of the library have names of their own: `DBOS.sleep`, `DBOS.recv`, `DBOS.send`, `DBOS.setEvent`, `DBOS.getEvent`,
    /// `DBOS.getResult`; a child's start has the child's name. A wait that does not end at once records a sleep, its time-out.
    /// What has lost a race is among them only if it was recorded before it lost.
    pub fn steps(&self, workflow: impl Into<WorkflowId>) -> Vec<String> {
        let records = self.records(&workflow.into());
        records.into_iter().map(|record| record.name).collect()
    }

    /// What the recorded steps of this name gave, in the order of their numbers; those that failed are left out. Errors: `Decode`, for a value
    /// of another type.
    pub fn outputs<T: DeserializeOwned>(
        &self,
        workflow: impl Into<WorkflowId>,
        step: &str,
    ) -> Result<Vec<T>, Error> {
        self.read(&workflow.into(), step, |replayer, what, record| {
            replayer.read_value(what, &record.result)
        })
    }

    /// What the recorded steps of this name failed with, in the order of their numbers. Errors: `Decode`, for an error of another type.
    pub fn errors<E: WorkflowError>(
        &self,
        workflow: impl Into<WorkflowId>,
        step: &str,
    ) -> Result<Vec<E>, Error> {
        self.read(&workflow.into(), step, |replayer, what, record| {
            replayer.read_error(what, &record.result)
        })
    }

    fn read<T>(
        &self,
        workflow: &WorkflowId,
        step: &str,
        read: impl Fn(&Replayer, &str, &StepRecord) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let replayer = self.last(|launched| Arc::clone(&launched.replayer));
        let what = format!("step {step:?} of workflow {:?}", workflow.as_str());
        let records = self.records(workflow);
        let named = records.iter().filter(|record| record.name == step);
        named
            .filter_map(|record| read(&replayer, &what, record).transpose())
            .collect()
    }

    fn records(&self, workflow: &WorkflowId) -> Vec<StepRecord> {
        self.memory().records(workflow)
    }

    fn memory(&self) -> &Memory {
        match &self.shared.world {
            World::Simulated(seat) => seat.memory(),
            World::Real(memory, _) => memory,
        }
    }

    fn apps(&self) -> MutexGuard<'_, Vec<Launched>> {
        self.shared
            .apps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn app(&self) -> App {
        self.last(|launched| launched.app.clone())
    }

    /// The app that was launched last.
    fn last<T>(&self, take: impl FnOnce(&Launched) -> T) -> T {
        let last = self.apps().last().map(take);
        last.expect("a test launches an app first: `t.launch(|app| app.workflow(…)).await`")
    }

    /// Says what the test waits for, until this is dropped.
    fn waits(&self, what: String) -> Option<Waiting> {
        match &self.shared.world {
            World::Simulated(seat) => Some(seat.waits(what)),
            World::Real(..) => None,
        }
    }

    /// What is wrong with a test whose body has ended well.
    async fn mistakes(&self) -> Vec<String> {
        let mut mistakes = self.shared.faults.mistakes(&self.shared.progress);
        let replayers: Vec<_> = {
            let apps = self.apps();
            apps.iter()
                .rev()
                .map(|launched| Arc::clone(&launched.replayer))
                .collect()
        };
        for history in self.memory().ended() {
            let key = &history.row.key;
            let Some(replayer) = replayers.iter().find(|replayer| replayer.knows(key)) else {
                continue;
            };
            let verdict = replay::verdict(replayer, &history).await;
            if !verdict.is_safe() {
                let id = &history.row.id;
                mistakes.push(format!(
                    "{id} ({key}), run again on its history, {verdict}{REPLAYED}"
                ));
            }
        }
        mistakes
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp").finish_non_exhaustive()
    }
}
