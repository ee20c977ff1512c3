//! A Postgres server for the tests of a program: named, found, or started.
//!
//! - `error`: why there is none
//! - `sources`: where one is looked for
//! - `janitor`: who removes databases of tests that have ended

mod error;
mod janitor;
mod sources;

pub use error::{Missing, PgServerError};
pub use sources::Started;

use std::{any::Any, fmt};

use durable_pg::{Driver, DriverError, PgSystemDb};
use tokio::sync::OnceCell;

use self::janitor::Janitor;
pub(super) use self::janitor::Removal;
use super::{APP_ROLE, Bare, TestDb, driver, make_app_role, with_database};

/// A Postgres server for tests, and databases on it.
///
/// One serves all tests of a program: whoever asks first has it found or started, and migrates a database of which each test gets a copy.
/// It is, in this order:
///
/// 1. the one that `DATABASE_URL` names, if that is a `postgres://` or `postgresql://` URL. Its role must be allowed to create databases;
///    nothing is touched there but databases whose names begin with `durable_test_`. (`DURABLE_TEST_PG_URL` goes before it, for a
///    server that is there for tests only.)
/// 2. a private one, of the programs that are installed: `initdb` and `postgres` in the directory that `DURABLE_TEST_PG_BIN` names, on PATH,
///    or where packages put them (Debian, PGDG, Homebrew, Postgres.app). It takes a second to start, listens on a free port of
///    127.0.0.1, asks for a password, and goes with its data when the program ends, in whatever way.
/// 3. a container, if the test asks crate `durable-testkit-containers` for its server. It is a crate of its own because its dependencies
///    take minutes to compile.
///
/// ```no_run
/// # use durable_testkit::pg::PgServer;
/// # async fn test<SqlxDriver: durable_pg::Driver>() -> Result<(), Box<dyn std::error::Error>> {
/// let database = PgServer::shared().await?.database::<SqlxDriver>().await?;
/// let backend = database.options().connect().await?;      // `App::builder("shop").backend(backend)…`
/// # Ok(())
/// # }
/// ```
pub struct PgServer {
    url: String,
    source: String,
    /// Whether it is somebody's server, and not there for tests only.
    kept: bool,
    template: OnceCell<String>,
    app_template: OnceCell<String>,
    janitor: OnceCell<Janitor>,
    _held: Option<Box<dyn Any + Send + Sync>>,
}

static SHARED: OnceCell<PgServer> = OnceCell::const_new();

impl PgServer {
    /// The server of this program's tests. Errors: there is none, with all places that were looked at and how to provide one, or the one that
    /// was found does not start; the next call looks again.
    pub async fn shared() -> Result<&'static Self, PgServerError> {
        Self::shared_or(async || Err(PgServerError::NoServer(vec![sources::no_container()]))).await
    }

    /// The same, with one more source, which is asked if no other has a server and none was started before. What it answers by
    /// [`PgServerError::NoServer`] is told with what the others miss.
    pub async fn shared_or(
        more: impl AsyncFnOnce() -> Result<Started, PgServerError>,
    ) -> Result<&'static Self, PgServerError> {
        let start = async || {
            let found = sources::find(more).await?;
            Ok(Self {
                url: found.url,
                source: found.source,
                kept: found.kept,
                template: OnceCell::new(),
                app_template: OnceCell::new(),
                janitor: OnceCell::new(),
                _held: found.held,
            })
        };
        SHARED.get_or_try_init(start).await
    }

    /// The URL of a database that is there, with the password if there is one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it is from, as in `DATABASE_URL` or `/usr/lib/postgresql/15/bin`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A migrated database that nobody else uses, for a test through this driver. Errors: the server does not answer, or refuses.
    pub async fn database<D: Driver>(&self) -> Result<TestDb<D>, PgServerError> {
        let make = || self.make_template::<D>(None);
        let template = self.template.get_or_try_init(make).await?;
        self.copy_of(template).await
    }

    /// A database with nothing in it. Errors as [`database`](Self::database).
    pub async fn empty_database<D: Driver>(&self) -> Result<TestDb<D>, PgServerError> {
        self.copy_of("template0").await
    }

    /// A migrated database in which [`APP_ROLE`] was granted what it needs.
    pub(super) async fn database_for_app_role<D: Driver>(
        &self,
    ) -> Result<TestDb<D>, PgServerError> {
        let make = || self.make_template::<D>(Some(APP_ROLE));
        let template = self.app_template.get_or_try_init(make).await?;
        self.copy_of(template).await
    }

    async fn copy_of<D: Driver>(&self, template: &str) -> Result<TestDb<D>, PgServerError> {
        let admin = self.admin::<D>()?;
        let janitor = self.janitor::<D>().await?;
        let name = janitor.fresh_name();
        let script = format!("CREATE DATABASE {name} TEMPLATE {template}");
        self.run(&admin, &script).await?;
        let removal = janitor.removal(name.clone(), self.kept);
        let url = with_database(&self.url, &name);
        Ok(TestDb::new(admin, name, url, removal))
    }

    /// A database that others are copied from, made anew by each program.
    async fn make_template<D: Driver>(&self, role: Option<&str>) -> Result<String, PgServerError> {
        let admin = self.admin::<D>()?;
        let name = self.janitor::<D>().await?.fresh_name();
        self.run(&admin, &format!("CREATE DATABASE {name}")).await?;
        let database = PgSystemDb::<D>::options(with_database(&self.url, &name));
        let migration = database.migration();
        let mut migration = migration.map_err(|error| self.refused(&error))?;
        if let Some(role) = role {
            make_app_role(&admin).await;
            migration = migration.app_role(role);
        }
        let ran = migration.run().await;
        ran.map_err(|error| PgServerError::refused(&self.source, "migrating", &error))?;
        self.left_alone(&admin, &name).await?;
        Ok(name)
    }

    /// Waits until nobody is connected: a database that is in use is not copied.
    async fn left_alone<D: Driver>(&self, admin: &D, name: &str) -> Result<(), PgServerError> {
        let statement = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
        let connection = admin.dedicated().await;
        let mut bare = Bare::<D>(connection.map_err(|error| self.refused(&error))?);
        while bare.number(&statement).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        Ok(())
    }

    fn admin<D: Driver>(&self) -> Result<D, PgServerError> {
        driver(&self.url).map_err(|error| PgServerError::refused(&self.source, "its URL", &error))
    }

    async fn janitor<D: Driver>(&self) -> Result<&Janitor, PgServerError> {
        let start = async || {
            let started = Janitor::start(self.admin::<D>()?).await;
            started.map_err(|error| self.refused(&error))
        };
        self.janitor.get_or_try_init(start).await
    }

    async fn run<D: Driver>(&self, admin: &D, script: &str) -> Result<(), PgServerError> {
        use durable_pg::Connection as _;

        let connection = admin.dedicated().await;
        let mut connection = connection.map_err(|error| self.refused(&error))?;
        let ran = connection.batch(script).await;
        ran.map_err(|error| PgServerError::refused(&self.source, "making a database", &error))
    }

    fn refused(&self, error: &DriverError) -> PgServerError {
        PgServerError::refused(&self.source, "connecting", error)
    }
}

/// Shows no URL: it may hold a password.
impl fmt::Debug for PgServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgServer")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
