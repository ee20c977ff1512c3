//! Postgres for tests: a server, a database for each test, and faults between the two.
//!
//! - [`PgServer`]: the server of a program's tests, named, found or started; [`TestDb`]: a database of one test, copied from a migrated one and
//!   removed afterwards
//! - [`local`]: servers of a test's own, for what may not happen to the one that all share
//! - [`Proxy`]: stands between a program and a server, and cuts, delays, refuses and swallows
//! - [`PgFactory`]: the conformance suite on Postgres; [`interleave`], [`leases`], [`plans`],
//!   [`prepares`], [`refusals`], [`stale`], [`values`]: what each driver of
//!   this workspace must pass

use durable_pg::{Connection, Driver, DriverError, Param, PoolSettings, Row, Servers};

mod case;
mod database;
pub mod interleave;
pub mod leases;
pub mod local;
pub mod plans;
pub mod prepares;
mod provision;
pub mod proxy;
pub mod refusals;
pub mod stale;
pub mod values;

pub use case::PgFactory;
pub use database::TestDb;
pub use provision::{Missing, PgServer, PgServerError, Started};
pub use proxy::Proxy;

/// The environment variable that names a server which is there for tests only: `cargo xtask test` has one run and sets it.
pub const VARIABLE: &str = "DURABLE_TEST_PG_URL";

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

/// A bare connection.
pub struct Bare<D: Driver>(D::Connection);

impl<D: Driver> Bare<D> {
    /// A connection to the database of this URL, as the server makes it. Panics if there is none.
    pub async fn connect(url: &str) -> Self {
        let connected = Self::try_connect(url).await;
        connected.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same. Errors: there is none.
    async fn try_connect(url: &str) -> Result<Self, DriverError> {
        driver::<D>(url)?.dedicated().await.map(Self)
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

/// A driver with a small pool on this database, whose sessions are as the server makes them. Errors: what is wrong with the URL, without it.
fn driver<D: Driver>(url: &str) -> Result<D, DriverError> {
    let settings = PoolSettings::bare(2);
    Ok(D::open(Servers::of(url)?, &settings))
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
    let mut bare = Bare::<D>(admin.dedicated().await.expect("the server answers"));
    bare.batch(&script).await;
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
