//! Several migrations at once, and ones that were broken off.

use std::time::Duration;

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::Bare;

use crate::common::{Db, OLD, assert_current, made_by, migration, version};

async fn ten_at_once(database: &Db) {
    let mut running = Vec::new();
    for _ in 0..10 {
        running.push(tokio::spawn(migration(database).run()));
    }
    let mut did = 0;
    for one in running {
        let report = one.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
        did += usize::from(!report.is_empty());
    }
    assert_eq!(did, 1, "one has migrated, and the others found it done");
    assert_current(&mut database.bare().await, "dbos").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_at_once_make_an_empty_database_once() {
    ten_at_once(&Db::empty().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_at_once_migrate_an_older_database_once() {
    ten_at_once(&made_by(OLD).await).await;
}

#[tokio::test]
async fn another_migration_is_waited_for_but_not_for_ever() {
    let database = Db::empty().await;
    let mut other = database.bare().await;
    let pid = other.number("SELECT pg_backend_pid()").await;
    other
        .batch("SELECT pg_advisory_lock(hashtextextended('durable migrate dbos', 0))")
        .await;
    let impatient = migration(&database).patience(Duration::from_millis(150));
    let error = impatient.run().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.to_string().contains(&format!("session {pid}")),
        "{error}"
    );
    // Another schema is nobody's concern.
    let elsewhere = database.options().schema("elsewhere").migration().unwrap();
    let elsewhere = elsewhere.patience(Duration::ZERO).run().await;
    elsewhere.unwrap_or_else(|error| panic!("{error}"));
}

/// The session of the migration that builds an index and waits for others to end, once there is one.
async fn building(bare: &mut Bare<SqlxDriver>) -> i64 {
    let building = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'";
    for _ in 0..1000 {
        let pid = bare.number(building).await;
        if pid != 0 {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no index was built within ten seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_build_locks_nobody_out_and_when_broken_off_is_finished_by_the_next_run() {
    let database = made_by(OLD).await;
    let mut bare = database.bare().await;
    // An index that is built in a table in use waits for whoever may still see the table as it was.
    let mut reader = database.bare().await;
    reader
        .batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .await;
    let broken_off = tokio::spawn(migration(&database).run());
    let pid = building(&mut bare).await;
    bare.batch(
        "SET lock_timeout = '2s';
         INSERT INTO dbos.workflow_status (workflow_uuid, status, name) VALUES ('meanwhile', 'PENDING', 'x');
         UPDATE dbos.workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'meanwhile'",
    )
    .await;
    bare.batch(&format!("SELECT pg_terminate_backend({pid})"))
        .await;
    let error = broken_off.await.unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    reader.batch("COMMIT").await;
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(bare.number(invalid).await, 1);
    assert_eq!(version(&mut bare).await, 19, "the number comes last");
    let report = migration(&database).run().await.unwrap();
    let dropped = report.statements.iter().any(|sql| {
        sql.starts_with("DROP INDEX CONCURRENTLY IF EXISTS dbos.\"workflow_status_")
            || sql.starts_with("DROP INDEX CONCURRENTLY IF EXISTS dbos.\"idx_")
    });
    assert!(dropped, "{:#?}", report.statements);
    assert_eq!(bare.number(invalid).await, 0);
    assert_current(&mut bare, "dbos").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_holds_is_waited_for() {
    let database = made_by(OLD).await;
    let mut holder = database.bare().await;
    holder
        .batch("BEGIN; LOCK TABLE dbos.workflow_status IN ROW EXCLUSIVE MODE")
        .await;
    let running = tokio::spawn(migration(&database).run());
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'BEGIN;%' AND wait_event_type = 'Lock'";
    let mut bare = database.bare().await;
    for _ in 0..1000 {
        if bare.number(waiting).await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bare.number(waiting).await, 1);
    // It gives way to others again and again, and goes on when the table is free.
    holder.batch("COMMIT").await;
    running
        .await
        .unwrap()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_current(&mut bare, "dbos").await;
}
