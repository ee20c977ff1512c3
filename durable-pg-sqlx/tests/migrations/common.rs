//! What these tests have in common.

use std::fmt::Write as _;

use durable_pg::{Migration, MigrationReport};
use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::{Bare, TestDb};

/// The catalog of version 125, as a server of version 15 writes it.
const EXPECTED: &str = include_str!("../../../durable-pg/tests-data/dbos-schema-125.json");
const CATALOG: &str = include_str!("../../../durable-pg/tests-data/catalog.sql");

pub(crate) type Db = TestDb<SqlxDriver>;

pub(crate) fn migration(database: &Db) -> Migration<SqlxDriver> {
    database.options().migration().expect("the URL is right")
}

pub(crate) async fn migrate(database: &Db) -> MigrationReport {
    let report = migration(database).run().await;
    report.unwrap_or_else(|error| panic!("{error}"))
}

/// What the server says of a schema.
pub(crate) async fn catalog(bare: &mut Bare<SqlxDriver>, schema: &str) -> String {
    let query = CATALOG
        .replace("'dbos'", &format!("'{schema}'"))
        .replace("'dbos.", &format!("'{schema}."));
    let mut texts = bare.texts(&query).await;
    let text = texts.pop().expect("the catalog is one document");
    text.replace(&format!("{schema}."), "dbos.")
}

/// Panics, and shows what differs, if the schema is not that of version 125.
pub(crate) async fn assert_current(bare: &mut Bare<SqlxDriver>, schema: &str) {
    let found = catalog(bare, schema).await;
    let version = bare
        .number("SELECT current_setting('server_version_num')::int / 10000")
        .await;
    let expected = as_written_by(version);
    assert!(found == expected, "{}", differences(&expected, &found));
}

/// The expected catalog in the words of that version of the server.
fn as_written_by(version: i64) -> String {
    let expected = EXPECTED.trim_end();
    if version >= 14 {
        return expected.to_owned();
    }
    expected.replace(
        "((EXTRACT(epoch FROM now()) * 1000.0))::bigint",
        "((date_part('epoch'::text, now()) * (1000.0)::double precision))::bigint",
    )
}

/// The lines that only one of the two has.
fn differences(expected: &str, found: &str) -> String {
    let mut shown = String::from("the catalogs differ:\n");
    let (left, right): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    for line in left.iter().filter(|line| !right.contains(line)) {
        let _ = writeln!(shown, "- {line}");
    }
    for line in right.iter().filter(|line| !left.contains(line)) {
        let _ = writeln!(shown, "+ {line}");
    }
    shown
}

/// How many rows each table has, except that of the version and ours.
pub(crate) async fn counts(bare: &mut Bare<SqlxDriver>) -> Vec<(String, i64)> {
    let tables = bare
        .texts(
            "SELECT table_name::text FROM information_schema.tables
             WHERE table_schema = 'dbos' AND table_name <> 'dbos_migrations' ORDER BY 1",
        )
        .await;
    let mut counts = Vec::new();
    for table in tables {
        let count = bare
            .number(&format!("SELECT count(*) FROM dbos.\"{table}\""))
            .await;
        counts.push((table, count));
    }
    counts
}

pub(crate) async fn version(bare: &mut Bare<SqlxDriver>) -> i64 {
    bare.number("SELECT version FROM dbos.dbos_migrations")
        .await
}

/// A database that this script has made.
pub(crate) async fn made_by(script: &str) -> Db {
    let database = Db::empty().await;
    database.bare().await.batch(script).await;
    database
}

/// What `dbos` 2.17.0 for Python leaves: version 19.
pub(crate) const OLD: &str = include_str!("../../../durable-pg/tests-data/older/python-2.17.0.sql");
