//! A simulated process's place in the world: what it runs its application with.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use durable_core::{
    __private::panic_ended, AnyError, App, AppBuilder, Awaited, DataSource, Error, Event,
    ids::Owner, runtime::Runtime, source::Layout,
};

use super::{
    fact::{Awaits, Fact},
    network::{SimDb, SimTables},
    plan::Plan,
    runtime::SimRuntime,
    tables::Rows,
    world::{Shutdown, World},
};
use crate::Memory;

/// One life of a simulated process.
#[derive(Clone)]
pub struct Seat {
    world: Arc<World>,
    db: SimDb,
    runtime: Arc<SimRuntime>,
    process: usize,
    life: u32,
    name: String,
}

impl Seat {
    pub(super) fn new(world: Arc<World>, memory: Memory, process: usize, life: u32) -> Self {
        let name = world.lock().processes[process].name.clone();
        Self {
            db: SimDb::new(Arc::clone(&world), memory, process, life),
            runtime: Arc::new(SimRuntime::new(Arc::clone(&world), process, life)),
            world,
            process,
            life,
            name,
        }
    }

    /// Which process this is: the executors are 1, 2, ….
    pub fn process(&self) -> usize {
        self.process
    }

    /// Which life of it, from 1.
    pub fn life(&self) -> u32 {
        self.life
    }

    /// What may happen in this run.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.world.lock().plan)
    }

    /// Time, tasks and ids of this process.
    pub fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.runtime) as Arc<dyn Runtime>
    }

    /// Begins an application of this process.
    pub fn builder(&self, application: &str) -> AppBuilder {
        self.builder_of(application, "simulated")
    }

    /// Begins an application of this process that has this version.
    pub fn builder_of(&self, application: &str, version: &str) -> AppBuilder {
        let plan = self.plan();
        let (world, process) = (Arc::clone(&self.world), self.process);
        let executor = self.executor_id();
        self.tell(Fact::Launches {
            executor: executor.as_str().into(),
            version: version.to_owned(),
        });
        App::builder(application)
            .backend(self.db.clone())
            .runtime(self.runtime())
            .executor_id(executor)
            .version(version)
            .poll_interval(plan.poll)
            .recovery_interval(plan.recovery)
            .observe(move |event| observe(&world, process, event))
    }

    /// The id of this life's executor: now and then another one than that of the life before, as where ids are names of containers.
    fn executor_id(&self) -> String {
        if self.life > 1 && self.choose(4) == 3 {
            format!("{}-{}", self.name, self.life)
        } else {
            self.name.clone()
        }
    }

    /// Gives an application this process's database and runtime, whatever it had.
    pub(crate) fn equip(&self, builder: AppBuilder) -> AppBuilder {
        builder.backend(self.db.clone()).runtime(self.runtime())
    }

    /// Kills this process, at once and for good.
    pub(crate) fn crash_for_good(&self) {
        self.world.crash_for_good(self.process);
    }

    /// Says what the client waits for, until this is dropped.
    pub(crate) fn waits(&self, what: String) -> Waiting {
        let mut state = self.world.lock();
        let waits = &mut state.record.client_waits;
        let key = waits.last_key_value().map_or(0, |(key, _)| key + 1);
        waits.insert(key, what);
        Waiting(Arc::clone(&self.world), key)
    }

    /// Says that code of this process outside of workflows waits for what they do, until this is dropped.
    pub fn awaits(&self, what: Awaits) -> Asking {
        let ticket = self.world.lock().next_id();
        self.tell(Fact::Asks { ticket, what });
        Asking(self.clone(), ticket)
    }

    /// How long the world has lasted.
    pub(crate) fn now(&self) -> Duration {
        self.world.now()
    }

    /// Launches an application, again and again while the database or an earlier life of this process is in the way.
    pub async fn launch(&self, application: &str, build: impl Fn(AppBuilder) -> AppBuilder) -> App {
        self.launch_of(application, "simulated", build).await
    }

    /// As [`launch`](Self::launch), with this version.
    pub async fn launch_of(
        &self,
        application: &str,
        version: &str,
        build: impl Fn(AppBuilder) -> AppBuilder,
    ) -> App {
        loop {
            let builder = self.builder_of(application, version);
            match build(builder).launch().await {
                Ok(app) => {
                    self.shuts_down(&app);
                    return app;
                }
                Err(Error::Database { .. }) => {}
                Err(error) => self.fail("launch", error.to_string()),
            }
            self.sleep(Duration::from_millis(500)).await;
        }
    }

    /// Lets the plan shut this application down, and start this process again.
    fn shuts_down(&self, app: &App) {
        let app = app.clone();
        let shutdown: Shutdown = Arc::new(move |grace| {
            let app = app.clone();
            Box::pin(async move { app.shutdown(grace).await })
        });
        let mut state = self.world.lock();
        if state.is_living(self.process, self.life) {
            state.processes[self.process].shutdown = Some(shutdown);
        }
    }

    /// A process beside this one, for an application that this one launches and uses: it runs nothing by itself, and nothing happens to it
    /// but its network.
    pub fn beside(&self, name: &str) -> Self {
        let (process, memory) = self.world.add_idle_process(name.to_owned());
        Self::new(Arc::clone(&self.world), memory, process, 0)
    }

    /// Waits, by the world's clock.
    pub async fn sleep(&self, lasting: Duration) {
        self.world.sleep(lasting).await;
    }

    /// Says something in the timeline.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Fact::Note(text.into()));
    }

    /// Says that something happened in this process.
    pub fn tell(&self, fact: Fact) {
        self.world.tell(self.process, fact);
    }

    /// Says that something is wrong: the run ends here.
    pub fn fail(&self, invariant: &'static str, what: impl Into<String>) {
        self.world.lock().record.fail(invariant, what);
    }

    /// Ends the run as failed, as a call failed that must not; unless the plan shuts this process's
    /// application down and the error tells so.
    pub fn fail_unless_shut_down(&self, error: impl Into<AnyError>) {
        const SHUT_DOWN: [&str; 2] = ["DURABLE_STOPPED", "DURABLE_SHUTTING_DOWN"];
        let error = error.into();
        if !self.is_shut_down() || error.code().is_none_or(|code| !SHUT_DOWN.contains(&code)) {
            self.fail("trouble_is_no_outcome", error.to_string());
        }
    }

    /// Returns `true` if the plan shuts this process's application down.
    pub fn is_shut_down(&self) -> bool {
        self.world.lock().processes[self.process].ending
    }

    /// A decision of this run, below `n`.
    pub fn choose(&self, n: u32) -> u32 {
        self.world.lock().chooser.choose(n)
    }

    /// Tables for transactional steps, beside the system tables or in another database: numbers under keys. They have no outbox.
    pub fn tables(&self, layout: Layout) -> DataSource<Rows> {
        DataSource::new(SimTables::new(self.db.clone(), layout))
    }

    /// The database, past the network: for looking at the end.
    pub fn memory(&self) -> &Memory {
        &self.world.memory
    }
}

/// A wait of the client's own code.
pub(crate) struct Waiting(Arc<World>, u64);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.lock().record.client_waits.remove(&self.1);
    }
}

/// A wait of code outside of workflows: see [`Seat::awaits`].
#[derive(Debug)]
pub struct Asking(Seat, u64);

impl Drop for Asking {
    fn drop(&mut self) {
        let is_living = self.0.world.lock().is_living(self.0.process, self.0.life);
        if is_living {
            self.0.tell(Fact::Answered(self.1));
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({}.{})", self.name, self.life)
    }
}

/// Tells the world what an engine says.
fn observe(world: &World, process: usize, event: &Event<'_>) {
    let Some(fact) = fact_of(event) else { return };
    // The engine holds back the panics of its observers, and these are not its.
    let told = catch_unwind(AssertUnwindSafe(|| world.tell(process, fact)));
    let mut state = world.lock();
    if let Err(panic) = told {
        let words = panic_ended(panic);
        state
            .record
            .fail("no_task_panics", format!("an invariant panicked: {words}"));
    }
    if let Event::WorkflowStopped {
        error: Some(error), ..
    } = event
    {
        let (invariant, what) = match error {
            Error::MissingState { .. } => (
                "state_is_given",
                format!(
                    "{error}; a check has `.shared(…)` for it, and `.service(…)` for a fake of a service"
                ),
            ),
            _ => ("code_fits_its_history", error.to_string()),
        };
        state.record.fail(invariant, what);
    }
}

/// What an event of an engine is to the world, if it is anything.
fn fact_of(event: &Event<'_>) -> Option<Fact> {
    let owner = |workflow: &durable_core::ids::WorkflowId,
                 token: &durable_core::ids::OwnerToken| Owner {
        workflow: workflow.clone(),
        token: token.clone(),
    };
    Some(match *event {
        Event::WorkflowStarted {
            workflow,
            execution,
            attempt,
            ..
        } => Fact::Execution {
            owner: owner(workflow, execution),
            attempt,
        },
        Event::WorkflowFinished {
            workflow,
            execution,
            ..
        } => Fact::Finished(owner(workflow, execution)),
        Event::WorkflowStopped {
            workflow,
            execution,
            reason,
            ..
        } => Fact::Stopped {
            owner: owner(workflow, execution),
            reason: reason.to_owned(),
        },
        Event::StepStarted {
            workflow,
            execution,
            number,
            name,
            attempt,
        } => Fact::Body {
            owner: owner(workflow, execution),
            number,
            name: name.to_owned(),
            attempt,
        },
        Event::StepReplayed {
            workflow,
            execution,
            number,
            ..
        } => Fact::Replayed {
            owner: owner(workflow, execution),
            number,
        },
        Event::StepRecorded {
            workflow,
            execution,
            number,
            ..
        } => Fact::Acknowledged {
            owner: owner(workflow, execution),
            number,
        },
        Event::Slept {
            workflow,
            execution,
            number,
            ..
        } => Fact::Woke {
            owner: owner(workflow, execution),
            number,
        },
        Event::OperationDropped {
            workflow,
            execution,
            number,
            ..
        } => Fact::Dropped {
            owner: owner(workflow, execution),
            number,
        },
        Event::Waits {
            workflow,
            execution,
            number,
            awaited,
        } => Fact::Waits {
            owner: owner(workflow, execution),
            number,
            what: match awaited {
                Awaited::Message(topic) => Awaits::Message(topic.to_owned()),
                Awaited::Event(workflow, key) => Awaits::Event(workflow.clone(), key.to_owned()),
                Awaited::End(workflow) => Awaits::End(workflow.clone()),
                _ => return None,
            },
        },
        _ => return None,
    })
}
