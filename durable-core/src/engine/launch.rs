//! Launching an application.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    App, AppBuilder, Engine, clock::DbClock, dispatch, dispatch::Worker, housekeeping, notices,
    observer::notice, running::Running, unserved, unserved::unserved_notice, version, waiters,
    witnesses::Keepers,
};
use crate::{
    Error,
    db::{
        self, Joined, Retrying, Serves, SystemDb, Unrunnable, VersionCount, WaitingCount,
        WantedExecutor,
    },
    ids::{ExecutorId, Format},
    runtime::Runtime,
    source::writer::Holders,
    state::{INTERNAL_QUEUE, claim::Claimant},
};

/// The executor id of a process that was given none, as in the reference.
const DEFAULT_EXECUTOR: &str = "local";

/// How many resumed and forked workflows run in one process at once.
const INTERNAL_PLACES: usize = 1000;

/// What a launch found and did. Its text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchReport {
    /// The executor id that this process got.
    pub executor: ExecutorId,
    /// The application version that it runs.
    pub version: String,
    /// How many abandoned workflows it took over.
    pub recovered: usize,
    /// Unfinished workflows of other versions, which this process does not run.
    pub stranded: Vec<VersionCount>,
    /// Unfinished workflows of this version (or of none) that are not registered here.
    pub unregistered: Vec<Unrunnable>,
    /// Unfinished workflows of this version (or of none) whose input is in a format that this process cannot read.
    pub unreadable: Vec<Unrunnable>,
    /// Workflows of this version (or of none) that wait on queues which no living executor serves.
    pub unserved: Vec<WaitingCount>,
}

impl LaunchReport {
    /// What somebody has to know, one text for each.
    fn notices(&self) -> impl Iterator<Item = String> {
        let unserved = self.unserved.iter();
        let unserved = unserved.map(|found| unserved_notice(found, &self.version));
        let stranded = self.stranded.iter();
        let stranded = stranded.map(|found| stranded_notice(found, &self.version));
        stranded
            .chain(self.unregistered.iter().map(unregistered_notice))
            .chain(self.unreadable.iter().map(unreadable_notice))
            .chain(unserved)
    }
}

impl fmt::Display for LaunchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "executor {} runs version {}; {} unfinished workflow{} recovered",
            self.executor,
            self.version,
            self.recovered,
            plural(self.recovered as u64),
        )?;
        for notice in self.notices() {
            write!(f, "\n{notice}")?;
        }
        Ok(())
    }
}

/// What to tell about workflows that wait for another version.
fn stranded_notice(stranded: &VersionCount, ours: &str) -> String {
    format!(
        "{} unfinished workflow{} of version {} will not run here: this process runs version {ours}. \
         A workflow goes on only in the code it was started with. Ways out: run a process of that version until they are done; \
         or, if the change does not touch what they have recorded, launch this code as `.version({:?})`; \
         or cancel them and start them anew",
        stranded.count,
        plural(stranded.count),
        stranded.version,
        stranded.version,
    )
}

/// What to tell about workflows that this process does not know.
fn unregistered_notice(found: &Unrunnable) -> String {
    format!(
        "{} unfinished workflow{} of {} will not run here, where it is not registered; nothing is lost, and others go on. \
         Ways out: add `.workflow(…)` (for a method `.instance(…)`) to the builder; or run a process that has it; or cancel them",
        found.count,
        plural(found.count),
        found.key,
    )
}

/// What to tell about workflows whose input this process cannot read.
fn unreadable_notice(found: &Unrunnable) -> String {
    format!(
        "{} unfinished workflow{} of {} will not run here: the input is stored as {:?}, which this process cannot read; nothing is \
         lost, and others go on. Ways out: register its codec; or cancel them and start them anew as `portable_json` (in Python and \
         TypeScript a setting of the call)",
        found.count,
        plural(found.count),
        found.key,
        found.format.as_ref().map_or("(none)", Format::as_str),
    )
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

pub(super) async fn launch(mut builder: AppBuilder) -> Result<App, Error> {
    if let Some(error) = builder.failed {
        return Err(error);
    }
    let backend = builder.backend.clone().ok_or_else(|| {
        Error::Invalid("an application needs a database: `.backend(…)`".to_owned())
    })?;
    let runtime = builder.runtime_or_tokio();
    // The first contact is not waited for: a database that cannot be reached at launch is most likely a wrong address.
    if builder.migrate {
        backend.migrate().await?;
    } else {
        backend.verify().await?;
    }
    let clock = DbClock::read(Arc::clone(&runtime), &*backend).await?;
    let retrying = Retrying::new(backend, Arc::clone(&runtime));
    let joined = join(&retrying, &mut builder).await?;
    let engine = Arc::new(assemble(builder, retrying, runtime, clock, joined));
    let unfinished = Unfinished(Some(Arc::clone(&engine)));
    let report = match begin(&engine).await {
        Ok(report) => report,
        Err(error) => {
            unfinished.undone().await;
            return Err(error);
        }
    };
    unfinished.done();
    if report.recovered > 0 {
        tracing::info!(count = report.recovered, "abandoned workflows recovered");
    }
    for text in report.notices() {
        notice(&text);
    }
    Ok(App {
        engine,
        report: Arc::new(report),
    })
}

/// Starts the engine's tasks and takes over what is abandoned.
async fn begin(engine: &Arc<Engine>) -> Result<LaunchReport, Error> {
    let claimant = &engine.claimant;
    let stranded = register(&*engine.db, &claimant.application, &claimant.version).await?;
    let unrunnable = engine.db.unrunnable(claimant).await?;
    let (unreadable, unregistered) = unrunnable
        .into_iter()
        .partition(|found| claimant.runnable.contains(&found.key));
    engine.spawn_tasks();
    let recovered = engine.recover().await?;
    let unserved = engine.unserved().await?;
    // Not before: what it took over in the meantime would be missing in the report.
    engine.keep(
        "recovery",
        housekeeping::keep_recovering(Arc::clone(engine)),
    );
    Ok(LaunchReport {
        executor: engine.claimant.executor.clone(),
        version: engine.claimant.version.clone(),
        recovered,
        stranded,
        unregistered,
        unreadable,
        unserved,
    })
}

/// The engine of what was given to the builder; nothing of it runs yet.
pub(super) fn assemble(
    mut builder: AppBuilder,
    db: Retrying,
    runtime: Arc<dyn Runtime>,
    clock: DbClock,
    joined: Joined,
) -> Engine {
    let version = version_of(&mut builder);
    Engine {
        outage: Arc::clone(db.outage()),
        db: Arc::new(db),
        runtime,
        claimant: Claimant {
            executor: joined.id,
            incarnation: joined.incarnation,
            application: builder.name,
            version,
            runnable: builder.registry.keys(),
            formats: builder.codecs.formats(),
        },
        codecs: builder.codecs,
        registry: builder.registry,
        states: builder.states,
        clock,
        waiters: waiters::Waiters::default(),
        settings: builder.settings,
        running: Running::default(),
        queues: workers(builder.queues),
        observer: builder.observer,
        told: notices::Told::default(),
        last_looks: unserved::LastLooks::default(),
        body_hook: builder.body_hook,
        holders: Holders::default(),
        keepers: Keepers::default(),
        stopping: CancellationToken::new(),
        stopped: CancellationToken::new(),
        ended: CancellationToken::new(),
        tasks: Mutex::default(),
    }
}

/// The time that bodies have to end which a failed launch has set off.
const GRACE: Duration = Duration::from_secs(5);

/// A launch under way. If it fails, or its caller gives up, whatever it has started is shut down.
struct Unfinished(Option<Arc<Engine>>);

impl Unfinished {
    fn done(mut self) {
        self.0 = None;
    }

    /// Shuts down, and waits for that.
    async fn undone(mut self) {
        if let Some(stopped) = self.stop() {
            // Without an answer the runtime has ended, and everything with it.
            let _ = stopped.await;
        }
    }

    /// Begins to shut down, as [`App::shutdown`] does.
    fn stop(&mut self) -> Option<oneshot::Receiver<()>> {
        let engine = self.0.take()?;
        // At once, for whatever is polled before that task.
        engine.stopping.cancel();
        Some(engine.stop_apart(GRACE))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

/// Makes the version known; what waits for others.
async fn register(
    db: &dyn SystemDb,
    application: &str,
    version: &str,
) -> db::Result<Vec<VersionCount>> {
    db.register_version(application, version).await?;
    db.stranded(application, version).await
}

/// The version that was given, or the digest of what is registered.
fn version_of(builder: &mut AppBuilder) -> String {
    let digest = || version::digest(&builder.name, &builder.registry);
    builder.version.get_or_insert_with(digest).clone()
}

async fn join(db: &dyn SystemDb, builder: &mut AppBuilder) -> Result<Joined, Error> {
    let version = version_of(builder);
    let queues = builder.queues.iter().map(|queue| queue.name.as_str());
    let queues = queues.chain([INTERNAL_QUEUE]).map(str::to_owned);
    let default = ExecutorId::from(DEFAULT_EXECUTOR);
    let wanted = WantedExecutor {
        id: builder.executor.clone().unwrap_or(default),
        given: builder.executor.is_some(),
        application: builder.name.clone(),
        serves: Serves {
            version,
            queues: queues.collect(),
        },
    };
    let joined = db.join(&wanted).await?;
    if joined.id != wanted.id {
        tracing::info!(
            executor = %joined.id,
            "another process holds executor id {:?}, so this one is called {:?}",
            wanted.id.as_str(),
            joined.id.as_str(),
        );
    }
    Ok(joined)
}

fn workers(queues: Vec<super::Queue>) -> Vec<Arc<Worker>> {
    let internal = Worker::new(INTERNAL_QUEUE.to_owned(), INTERNAL_PLACES);
    queues
        .into_iter()
        .map(|queue| Worker::new(queue.name, queue.worker_concurrency))
        .chain([internal])
        .map(Arc::new)
        .collect()
}

/// Held by a task that runs as long as the application does: dropped without a shutdown, the
/// runtime has ended, or that task has panicked.
struct Alive(Arc<Engine>);

impl Drop for Alive {
    fn drop(&mut self) {
        let engine = &self.0;
        if !engine.is_stopping() {
            engine.ended.cancel();
            engine.stopping.cancel();
            engine.stopped.cancel();
        }
    }
}

impl Engine {
    /// Starts what runs as long as the application does, but for the recovery that follows the first.
    fn spawn_tasks(self: &Arc<Self>) {
        self.keep("hints", housekeeping::listen(Arc::clone(self)));
        let alive = Alive(Arc::clone(self));
        let waiters = waiters::multiplex(Arc::clone(self));
        self.keep("waiters", async move {
            let _alive = alive;
            waiters.await;
        });
        self.keep("deadlines", housekeeping::sweep_deadlines(Arc::clone(self)));
        self.keep("clock", housekeeping::keep_clock(Arc::clone(self)));
        for worker in &self.queues {
            self.keep(
                "queue",
                dispatch::serve(Arc::clone(self), Arc::clone(worker)),
            );
        }
    }

    pub(super) fn keep(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.runtime.spawn(name, Box::pin(task));
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(handle);
    }

    /// Ends what [`spawn_tasks`](Self::spawn_tasks) started.
    pub(super) fn stop_tasks(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        drop(tasks);
    }
}
