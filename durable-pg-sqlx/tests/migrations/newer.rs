//! Databases of a version that is newer than this library.

use std::fmt::Write as _;

use durable_core::db::SystemDb as _;
use durable_pg::{FoundSchema, NEEDED_COLUMNS};
use durable_pg_sqlx::SqlxDriver;
use durable_testkit::{conformance, pg::PgFactory};

use crate::common::{Db, catalog, migrate, migration};

/// Takes away all that this library does not name, as a newer version may have.
fn bare_minimum() -> String {
    let mut script = String::from("DO $drop$ DECLARE gone RECORD; BEGIN\n");
    let tables: Vec<String> = NEEDED_COLUMNS
        .iter()
        .map(|(table, _)| format!("'{table}'"))
        .collect();
    let _ = writeln!(
        script,
        "FOR gone IN SELECT tablename FROM pg_tables WHERE schemaname = 'dbos' AND tablename NOT IN ({})
         LOOP EXECUTE format('DROP TABLE dbos.%I', gone.tablename); END LOOP;",
        tables.join(", ")
    );
    for (table, columns) in NEEDED_COLUMNS {
        let columns: Vec<String> = columns
            .split_whitespace()
            .map(|column| format!("'{column}'"))
            .collect();
        let _ = writeln!(
            script,
            "FOR gone IN SELECT attname FROM pg_attribute
                WHERE attrelid = 'dbos.{table}'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ({})
             LOOP EXECUTE format('ALTER TABLE dbos.{table} DROP COLUMN %I', gone.attname); END LOOP;",
            columns.join(", ")
        );
    }
    script.push_str("UPDATE dbos.dbos_migrations SET version = 200; END $drop$");
    script
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_column_is_used_beside_those_that_a_newer_version_is_asked_for() {
    let factory = PgFactory::<SqlxDriver>::new("pg-sqlx of version 200").after(bare_minimum());
    let report = conformance::run(&factory).await;
    assert_eq!(report.passed, conformance::cases().len());
}

#[tokio::test]
async fn a_newer_version_is_taken_as_it_is_and_only_given_what_is_ours() {
    let database = Db::migrated().await;
    let mut bare = database.bare().await;
    bare.batch(&bare_minimum()).await;
    bare.batch("DROP TABLE dbos.durable_executors; CREATE TABLE dbos.of_later (id INT)")
        .await;
    let before = catalog(&mut bare, "dbos").await;
    let handle = database.options().connect().await.unwrap();
    let error = handle.verify().await.unwrap_err().to_string();
    assert!(error.contains("durable_executors"), "{error}");
    let report = migrate(&database).await;
    assert_eq!(report.found, FoundSchema::Version(200));
    assert_eq!(report.statements.len(), 1, "{:#?}", report.statements);
    assert_eq!(catalog(&mut bare, "dbos").await, before);
    assert_eq!(
        bare.number("SELECT version FROM dbos.dbos_migrations")
            .await,
        200
    );
    handle.verify().await.unwrap();
    handle.migrate().await.unwrap();
    assert!(migrate(&database).await.is_empty());
}

#[tokio::test]
async fn a_newer_version_without_what_is_needed_is_refused() {
    let database = Db::migrated().await;
    let mut bare = database.bare().await;
    bare.batch(
        "UPDATE dbos.dbos_migrations SET version = 126; DROP TABLE dbos.durable_executors;
         ALTER TABLE dbos.workflow_status DROP COLUMN serialization",
    )
    .await;
    let handle = database.options().connect().await.unwrap();
    let answers = [
        migration(&database).run().await.map(drop),
        migration(&database).check().await,
        handle.verify().await,
        handle.migrate().await,
    ];
    for answer in answers {
        let error = answer.unwrap_err().to_string();
        assert!(
            error.contains("version 126, newer than the 125")
                && error.contains("no column serialization in table workflow_status"),
            "{error}"
        );
        assert!(
            error.contains("use a newer version of `durable`"),
            "{error}"
        );
    }
    assert_eq!(
        bare.number("SELECT count(*) FROM pg_class WHERE relname = 'durable_executors'")
            .await,
        0
    );
}
