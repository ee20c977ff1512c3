//! Postgres databases for tests: one for each test, copied from a template and removed afterwards.
//!
//! The server is the one that `DURABLE_TEST_PG_URL` names: `cargo xtask test` has one run and sets it.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use durable_pg::{
    Connection, Driver, DriverError, Param, PgOptions, PgSystemDb, PoolSettings, Row, Servers,
};
use tokio::sync::OnceCell;

mod case;
pub mod interleave;
pub mod leases;
#[cfg(feature = "pg-local")]
pub mod local;
pub mod plans;
pub mod prepares;
pub mod refusals;
mod relay;

pub use case::PgFactory;

/// The environment variable that names the server.
pub const VARIABLE: &str = "DURABLE_TEST_PG_URL";

/// The URL of the server for tests. Panics, and says how to have one, where none is named.
pub fn server_url() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("no Postgres server for tests: run `cargo xtask test`, or set {VARIABLE} to one, as in the output of `cargo xtask pg up`")
    })
}

/// The same URL, with another database.
pub fn with_database(url: &str, database: &str) -> String {
    let (place, options) = match url.split_once('?') {
        Some((place, options)) => (place, format!("?{options}")),
        None => (url, String::new()),
    };
    let (scheme, rest) = place.split_once("://").unwrap_or(("postgres", place));
    let host = rest.split('/').next().unwrap_or(rest);
    format!("{scheme}://{host}/{database}{options}")
}

/// The role of an application that may do no more than it needs; its password is its name.
pub const APP_ROLE: &str = "durable_test_app";

/// The same URL, for that role.
fn as_app_role(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (place, more) = rest.split_at(end);
    let host = place.rsplit('@').next().unwrap_or(place);
    format!("{scheme}://{APP_ROLE}:{APP_ROLE}@{host}{more}")
}

/// A name that no other test of this machine has taken lately.
fn fresh_name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let n = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}_{}_{n}", now(), std::process::id())
}

const PREFIX: &str = "durable_test_";

/// Databases of tests that ended without removing them are removed after an hour.
const OLD: u64 = 3600;

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// A database of one test. It is removed, with whoever is connected, when this is dropped inside a runtime.
#[derive(Debug)]
pub struct TestDb<D: Driver> {
    admin: D,
    name: String,
    url: String,
}

impl<D: Driver> TestDb<D> {
    /// A migrated database that nobody else uses.
    pub async fn migrated() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(|| template::<D>(None)).await;
        Self::copied_from(template).await
    }

    /// A migrated database in which [`APP_ROLE`] was granted what it needs.
    pub async fn migrated_for_app_role() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(|| template::<D>(Some(APP_ROLE))).await;
        Self::copied_from(template).await
    }

    /// A database with nothing in it.
    pub async fn empty() -> Self {
        Self::copied_from("template0").await
    }

    async fn copied_from(template: &str) -> Self {
        let server = server_url();
        let admin = driver::<D>(&server);
        let name = fresh_name();
        batch(
            &admin,
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        Self {
            url: with_database(&server, &name),
            admin,
            name,
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to open it as one more process would.
    pub fn options(&self) -> PgOptions<D> {
        PgSystemDb::options(&self.url)
    }

    /// How to open it as [`APP_ROLE`], which is made if it is not there.
    pub async fn app_role_options(&self) -> PgOptions<D> {
        make_app_role(&self.admin).await;
        PgSystemDb::options(as_app_role(&self.url))
    }

    /// A bare connection to it, for what no call does.
    pub async fn bare(&self) -> Bare<D> {
        let driver = driver::<D>(&self.url);
        Bare(driver.dedicated().await.expect("the server answers"))
    }
}

impl<D: Driver> Drop for TestDb<D> {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let script = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                if let Ok(mut connection) = admin.dedicated().await {
                    let _ = connection.batch(&script).await;
                }
            });
        }
    }
}

/// A bare connection.
pub struct Bare<D: Driver>(D::Connection);

impl<D: Driver> Bare<D> {
    /// A connection to the database of this URL, as the server makes it. Panics if there is none.
    pub async fn connect(url: &str) -> Self {
        let connection = driver::<D>(url).dedicated().await;
        Self(connection.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Runs statements without parameters. Panics if they fail.
    pub async fn batch(&mut self, script: &str) {
        if let Err(error) = self.0.batch(script).await {
            panic!("{error}: {script}");
        }
    }

    /// Runs statements without parameters.
    pub async fn try_batch(&mut self, script: &str) -> Result<(), DriverError> {
        self.0.batch(script).await
    }

    /// Runs a statement, and gives its rows. Panics if it fails.
    pub async fn query(&mut self, statement: &str, parameters: &[Param<'_>]) -> Vec<Row> {
        let rows = self.0.query(&statement.into(), parameters).await;
        rows.unwrap_or_else(|error| panic!("{error}: {statement}"))
    }

    /// The number that a statement gives. Panics if it gives none.
    pub async fn number(&mut self, statement: &str) -> i64 {
        let mut rows = self.query(statement, &[]).await;
        let number = rows.pop().and_then(|mut row| row.integer().ok().flatten());
        number.unwrap_or_else(|| panic!("no number: {statement}"))
    }

    /// The texts that a statement gives, one in each row.
    pub async fn texts(&mut self, statement: &str) -> Vec<String> {
        let rows = self.query(statement, &[]).await;
        rows.into_iter()
            .map(|mut row| row.text().ok().flatten().unwrap_or_default())
            .collect()
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut D::Connection {
        &mut self.0
    }
}

/// A driver with a small pool on this database, whose sessions are as the server makes them.
fn driver<D: Driver>(url: &str) -> D {
    let settings = PoolSettings::bare(2);
    let servers = Servers::of(url).unwrap_or_else(|error| panic!("{VARIABLE}: {error}"));
    D::open(servers, &settings)
}

async fn batch<D: Driver>(driver: &D, script: &str) {
    let mut connection = driver.dedicated().await.expect("the server answers");
    if let Err(error) = connection.batch(script).await {
        panic!("{error}: {script}");
    }
}

/// Makes [`APP_ROLE`], if no other test has.
async fn make_app_role<D: Driver>(admin: &D) {
    let script = format!(
        "DO $make$
        BEGIN
            CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{APP_ROLE}';
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
        END
        $make$"
    );
    batch(admin, &script).await;
}

/// A database that others are copied from, made anew by each process that runs tests.
async fn template<D: Driver>(role: Option<&str>) -> String {
    let server = server_url();
    let admin = driver::<D>(&server);
    sweep(&admin).await;
    let name = fresh_name();
    batch(&admin, &format!("CREATE DATABASE {name}")).await;
    let database = PgSystemDb::<D>::options(with_database(&server, &name));
    let mut migration = database
        .migration()
        .unwrap_or_else(|error| panic!("{error}"));
    if let Some(role) = role {
        make_app_role(&admin).await;
        migration = migration.app_role(role);
    }
    let report = migration.run().await;
    report.unwrap_or_else(|error| panic!("{error}"));
    disconnected(&admin, &name).await;
    name
}

/// Waits until nobody is connected: a database that is in use is not copied.
async fn disconnected<D: Driver>(admin: &D, name: &str) {
    let statement = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
    let mut bare = Bare::<D>(admin.dedicated().await.expect("the server answers"));
    while bare.number(&statement).await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// Removes what earlier runs left.
async fn sweep<D: Driver>(admin: &D) {
    let mut bare = Bare::<D>(admin.dedicated().await.expect("the server answers"));
    let names = bare
        .texts("SELECT datname::text FROM pg_database WHERE datname LIKE 'durable\\_test\\_%'")
        .await;
    for name in names {
        let made = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('_').next()?.parse::<u64>().ok());
        if made.is_some_and(|made| made + OLD < now()) {
            bare.batch(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_is_named() {
        let cases = [
            ("postgres://ann@db:1/shop", "postgres://ann@db:1/x"),
            ("postgres://db", "postgres://db/x"),
            (
                "postgresql://ann:a%2Fb@db/shop?sslmode=require",
                "postgresql://ann:a%2Fb@db/x?sslmode=require",
            ),
        ];
        for (url, other) in cases {
            assert_eq!(with_database(url, "x"), other);
        }
    }

    #[test]
    fn the_same_database_is_named_for_the_applications_role() {
        let cases = [
            ("postgres://ann@db:1/shop", "@db:1/shop"),
            ("postgres://db", "@db"),
            ("postgresql://ann:a%40b@db/shop?x=a@b", "@db/shop?x=a@b"),
        ];
        for (url, end) in cases {
            let named = as_app_role(url);
            assert!(named.ends_with(end), "{named}");
            assert!(named.contains("://durable_test_app:"), "{named}");
        }
    }
}
