//! Puts an application together.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    App, Event, Settings,
    hook::{Attempt, BodyHook, Injected},
    launch::launch,
    observer::Observer,
    registry::{MethodSet, Registrar, Registry, States},
};
use crate::{
    Error,
    codec::{Codec, Codecs, PORTABLE_JSON},
    db::SystemDb,
    ids::ExecutorId,
    names::Name,
    runtime::{Runtime, TokioRuntime},
    workflow::{WorkflowDef, WorkflowFn},
};

/// How many of a queue's workflows run in one process at once, unless the queue says otherwise.
const DEFAULT_WORKER_CONCURRENCY: usize = 100;

/// A queue that this process serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    pub(super) name: String,
    pub(super) worker_concurrency: usize,
}

impl Queue {
    /// The queue of this name, with 100 places in this process.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            worker_concurrency: DEFAULT_WORKER_CONCURRENCY,
        }
    }

    /// How many of its workflows run in this process at once; a sleeping or waiting one counts. 0 lets the queue stand still here.
    pub fn worker_concurrency(mut self, places: usize) -> Self {
        self.worker_concurrency = places;
        self
    }
}

impl From<&str> for Queue {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// An application being put together; [`launch`](Self::launch) starts it.
#[must_use = "an application runs once it is launched"]
pub struct AppBuilder {
    pub(super) name: String,
    pub(super) backend: Option<Arc<dyn SystemDb>>,
    pub(super) runtime: Option<Arc<dyn Runtime>>,
    pub(super) registry: Registry,
    pub(super) states: States,
    pub(super) codecs: Codecs,
    pub(super) queues: Vec<Queue>,
    pub(super) executor: Option<ExecutorId>,
    pub(super) version: Option<String>,
    pub(super) observer: Option<Observer>,
    pub(super) body_hook: Option<BodyHook>,
    pub(super) migrate: bool,
    pub(super) settings: Settings,
    /// The first mistake; told by the launch, so that the builder's methods chain.
    pub(super) failed: Option<Error>,
}

impl AppBuilder {
    pub(super) fn new(name: String) -> Self {
        let failed = Name::Application.check(&name).err();
        Self {
            name,
            backend: None,
            runtime: None,
            registry: Registry::default(),
            states: States::default(),
            codecs: Codecs::default(),
            queues: Vec::new(),
            executor: None,
            version: None,
            observer: None,
            body_hook: None,
            migrate: true,
            settings: Settings::default(),
            failed,
        }
    }

    /// The database. Required.
    pub fn backend(mut self, backend: impl SystemDb) -> Self {
        self.backend = Some(Arc::new(backend));
        self
    }

    /// Registers a workflow: only registered ones are run here.
    pub fn workflow<D: WorkflowDef, Args>(mut self, workflow: impl WorkflowFn<D, Args>) -> Self {
        let added = self.registry.add_function(workflow);
        self.check(added)
    }

    /// Registers an instance whose methods are workflows, under a name that must stay the same over restarts.
    pub fn instance<T: MethodSet>(mut self, name: impl Into<String>, instance: Arc<T>) -> Self {
        let added = Registrar::add_all(&mut self.registry, name.into(), instance);
        self.check(added)
    }

    /// A value for workflows to find by its type: `ctx.state::<HttpClient>()`. A second one of a type replaces the first.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(value);
        self
    }

    /// Serves a queue: claims its workflows and runs them here.
    pub fn queue(mut self, queue: impl Into<Queue>) -> Self {
        let queue = queue.into();
        let checked = self.check_queue(&queue);
        self.queues.push(queue);
        self.check(checked)
    }

    fn check_queue(&self, queue: &Queue) -> Result<(), Error> {
        let name = &queue.name;
        Name::Queue.check(name)?;
        if name.starts_with("_dbos_") {
            return Err(Error::Invalid(format!(
                "a queue cannot be named {name:?}: names that begin with \"_dbos_\" are taken"
            )));
        }
        if self.queues.iter().any(|other| other.name == *name) {
            return Err(Error::Invalid(format!("queue {name:?} is given twice")));
        }
        Ok(())
    }

    /// This process's executor id: one living process at a time holds it. By default `local`, suffixed where that is in use.
    pub fn executor_id(mut self, id: impl Into<ExecutorId>) -> Self {
        let id = id.into();
        let checked = Name::Executor.check(id.as_str());
        self.executor = Some(id);
        self.check(checked)
    }

    /// The application version, instead of the digest of what is registered. Workflows are run by the version that started them.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        let version = version.into();
        let checked = Name::Version.check(&version);
        self.version = Some(version);
        self.check(checked)
    }

    /// Stores payloads through a codec (encryption, compression), and reads its rows besides plain ones.
    pub fn codec(mut self, codec: impl Codec) -> Self {
        let checked = check_codec(&codec);
        self.codecs.write_with(Arc::new(codec));
        self.check(checked)
    }

    /// Also reads the rows of a codec that was in use before.
    pub fn read_codec(mut self, codec: impl Codec) -> Self {
        let checked = check_codec(&codec);
        self.codecs.read_with(Arc::new(codec));
        self.check(checked)
    }

    /// How many bytes one argument list, result, message or event may have as it is stored: 16 MiB unless given. A larger one is refused
    /// with `Encode`, and what is stored already is read however large it is. Databases have limits of their own, up to 1 GB.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.codecs.limit_to(bytes);
        self
    }

    /// Calls `observer` for everything that happens in this process, in the task where it happens: it must return at once. Those that were
    /// given before it are called first.
    pub fn observe(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(match self.observer.take() {
            None => Arc::new(observer),
            Some(first) => Arc::new(move |event| {
                first(event);
                observer(event);
            }),
        });
        self
    }

    /// Asks `hook` before each attempt of a step; what it gives is the attempt's error, and its body is not run. For tests.
    #[doc(hidden)]
    pub fn before_bodies(
        mut self,
        hook: impl Fn(&Attempt<'_>) -> Option<Injected> + Send + Sync + 'static,
    ) -> Self {
        self.body_hook = Some(BodyHook::new(hook));
        self
    }

    /// Whether the launch brings the schema up to date; otherwise it only checks it, and an error names the command that brings it:
    /// `cargo xtask migrate`. On unless turned off.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// How often to look for what no wake-up told of: queued work, results and messages of other processes. 1 s unless given;
    /// at least 1 ms.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll = interval.max(Duration::from_millis(1));
        self
    }

    /// How often to look for workflows of executors that died. 5 s unless given; at least 1 ms.
    pub fn recovery_interval(mut self, interval: Duration) -> Self {
        self.settings.recovery = interval.max(Duration::from_millis(1));
        self
    }

    /// Turns warnings of failures on or off; on unless given.
    ///
    /// A workflow that fails is a warning in the log: its id and name, what it failed with, and the
    /// step if that is known; a cancelled one is no failure. A step that fails in each of several
    /// attempts is a line at `info`. At most ten of each kind are told in a minute, then how many
    /// more there were. They are events of `tracing`: without a subscriber nobody sees them.
    pub fn warn_of_failures(mut self, warn: bool) -> Self {
        self.settings.tell_failures = warn;
        self
    }

    /// Takes time, randomness and tasks from `runtime` instead of tokio: for simulations.
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Brings the schema up to date, takes over what dead executors left, and begins to run workflows.
    ///
    /// Errors: `Invalid` and `InvalidName` for what was given to the builder, `Database` when the database cannot be used or the executor id is in use.
    pub async fn launch(self) -> Result<App, Error> {
        launch(self).await
    }

    pub(super) fn runtime_or_tokio(&self) -> Arc<dyn Runtime> {
        self.runtime
            .clone()
            .unwrap_or_else(|| Arc::new(TokioRuntime::new()))
    }

    fn check(mut self, result: Result<(), Error>) -> Self {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
        self
    }
}

fn check_codec(codec: &impl Codec) -> Result<(), Error> {
    let name = codec.name();
    Name::Codec.check(name)?;
    if name == PORTABLE_JSON {
        return Err(Error::Invalid(format!(
            "a codec cannot be named {name:?}: rows carry the name, so it must be its own"
        )));
    }
    Ok(())
}

impl fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder")
            .field("name", &self.name)
            .field("backend", &self.backend)
            .field("registry", &self.registry)
            .field("queues", &self.queues)
            .finish_non_exhaustive()
    }
}
