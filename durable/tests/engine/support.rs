//! What the tests share: databases to run on, workflows that count, waiting with a bound.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use durable::{
    App, AppBuilder,
    db::{StepRecord, SystemDb},
    sqlite::Sqlite,
    state::Status,
};
#[cfg(any(feature = "pg-sqlx", feature = "pg-diesel"))]
use durable_testkit::pg::TestDb;
use durable_testkit::{Memory, faults::Faulty};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database that lives as long as a test, for any number of processes.
pub enum World {
    Memory(Memory),
    Sqlite(tempfile::TempDir),
    #[cfg(feature = "pg-sqlx")]
    PgSqlx(TestDb<durable::pg_sqlx::SqlxDriver>),
    #[cfg(feature = "pg-diesel")]
    PgDiesel(TestDb<durable::pg_diesel::DieselDriver>),
}

impl World {
    pub fn memory() -> Self {
        Self::Memory(Memory::new())
    }

    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary directory"))
    }

    #[cfg(feature = "pg-sqlx")]
    pub async fn pg_sqlx() -> Self {
        Self::PgSqlx(TestDb::migrated().await)
    }

    #[cfg(feature = "pg-diesel")]
    pub async fn pg_diesel() -> Self {
        Self::PgDiesel(TestDb::migrated().await)
    }

    /// An application as a process of its own would have it, looking around often so that tests are quick.
    pub async fn builder(&self) -> AppBuilder {
        self.doomed().await.0
    }

    /// As [`builder`](Self::builder), and the means to make the world think that this process is dead while it goes on.
    pub async fn doomed(&self) -> (AppBuilder, Arc<dyn SystemDb>) {
        let db = self.process().await;
        let builder = App::builder("test")
            .poll_interval(Duration::from_millis(20))
            .recovery_interval(Duration::from_millis(50))
            .version("1")
            .backend(Faulty::over(Arc::clone(&db)));
        (builder, db)
    }

    /// The database as one more process has it.
    pub async fn process(&self) -> Arc<dyn SystemDb> {
        match self {
            Self::Memory(memory) => Arc::new(memory.process()),
            Self::Sqlite(dir) => {
                let path = dir.path().join("test.db");
                Arc::new(Sqlite::open(path).await.expect("the file opens"))
            }
            #[cfg(feature = "pg-sqlx")]
            Self::PgSqlx(database) => Arc::new(opened(database).await),
            #[cfg(feature = "pg-diesel")]
            Self::PgDiesel(database) => Arc::new(opened(database).await),
        }
    }
}

/// A small pool: many tests run at once on one server.
#[cfg(any(feature = "pg-sqlx", feature = "pg-diesel"))]
async fn opened<D: durable_pg::Driver>(database: &TestDb<D>) -> durable_pg::PgSystemDb<D> {
    let options = database.options().pool_size(5);
    options.connect().await.expect("the server answers")
}

/// Runs each test on every backend.
macro_rules! on_every_backend {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                async fn test($world: crate::support::World) $body

                #[tokio::test]
                async fn memory() {
                    crate::support::bounded(test(crate::support::World::memory())).await;
                }

                #[tokio::test]
                async fn sqlite() {
                    crate::support::bounded(test(crate::support::World::sqlite())).await;
                }

                #[cfg(feature = "pg-sqlx")]
                #[tokio::test]
                async fn pg_sqlx() {
                    let world = crate::support::World::pg_sqlx().await;
                    crate::support::bounded(test(world)).await;
                }

                #[cfg(feature = "pg-diesel")]
                #[tokio::test]
                async fn pg_diesel() {
                    let world = crate::support::World::pg_diesel().await;
                    crate::support::bounded(test(world)).await;
                }
            }
        )*
    };
}
pub(crate) use on_every_backend;

/// Fails a test that hangs.
pub async fn bounded(test: impl Future<Output = ()>) {
    tokio::time::timeout(2 * PATIENCE, test)
        .await
        .expect("the test ends");
}

/// Waits until `condition` gives a value.
pub async fn until<T, Fut>(what: &str, mut condition: impl FnMut() -> Fut) -> T
where
    Fut: Future<Output = Option<T>>,
{
    let begin = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a workflow has this status.
pub async fn until_status(app: &App, id: &str, status: Status) {
    until(&format!("{id} to be {status}"), || async {
        // It may not have been started yet.
        let row = app.workflow(id).await.ok()?;
        (row.status == status).then_some(())
    })
    .await;
}

/// Waits until a workflow has recorded this many operations.
pub async fn until_recorded(app: &App, id: &str, count: usize) {
    until(&format!("{id} to record {count} operations"), || async {
        let steps = app.steps(id).await.expect("the steps");
        (steps.len() >= count).then_some(())
    })
    .await;
}

/// Number and name of each recorded operation.
pub fn outline(steps: &[StepRecord]) -> Vec<(i32, &str)> {
    steps
        .iter()
        .map(|step| (step.number, step.name.as_str()))
        .collect()
}

/// Stops an application as a crash would: nothing is waited for.
pub async fn crash(app: App) {
    app.shutdown(Duration::ZERO).await;
}

/// Counts what bodies do, and lets a test hold them at a gate.
#[derive(Clone, Default)]
pub struct Tally(Arc<Inner>);

#[derive(Default)]
struct Inner {
    counts: Mutex<BTreeMap<String, usize>>,
    order: Mutex<Vec<String>>,
    gates: Mutex<BTreeMap<String, Arc<tokio::sync::Semaphore>>>,
}

impl Tally {
    /// Counts one run of `what`.
    pub fn hit(&self, what: &str) {
        *self
            .0
            .counts
            .lock()
            .unwrap()
            .entry(what.to_owned())
            .or_default() += 1;
        self.0.order.lock().unwrap().push(what.to_owned());
    }

    /// How often `what` ran.
    pub fn count(&self, what: &str) -> usize {
        self.0
            .counts
            .lock()
            .unwrap()
            .get(what)
            .copied()
            .unwrap_or(0)
    }

    /// Everything that ran, in order.
    pub fn order(&self) -> Vec<String> {
        self.0.order.lock().unwrap().clone()
    }

    /// Counts one arrival at a gate and waits until it is open.
    pub async fn pass(&self, gate: &str) {
        self.hit(gate);
        let semaphore = self.gate(gate);
        let _ = semaphore.acquire().await.expect("gates are not closed");
    }

    /// Opens a gate for ever.
    pub fn open(&self, gate: &str) {
        self.gate(gate).add_permits(1);
    }

    /// Waits until somebody stands at a gate, or `what` has run.
    pub async fn reached(&self, what: &str) {
        until(what, || async { (self.count(what) > 0).then_some(()) }).await;
    }

    fn gate(&self, gate: &str) -> Arc<tokio::sync::Semaphore> {
        let mut gates = self.0.gates.lock().unwrap();
        let fresh = || Arc::new(tokio::sync::Semaphore::new(0));
        Arc::clone(gates.entry(gate.to_owned()).or_insert_with(fresh))
    }
}
