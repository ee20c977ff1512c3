//! Files: which are taken, which are refused, and that a refused one stays as it was.

mod common;

use std::{path::Path, time::Duration};

use common::{Directory, close, here, number, open, raw, soon};
use durable_core::db::{DbError, SystemDb, Workflows};
use durable_sqlite::{Sqlite, SqliteError};

/// The bytes of the file, and what lies beside it.
fn content(path: &Path) -> (Vec<u8>, usize) {
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    (std::fs::read(path).unwrap(), beside)
}

#[tokio::test]
async fn a_file_is_made_and_found_again() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    database.insert_workflow(&here("a", "local")).await.unwrap();
    database.migrate().await.unwrap();
    close(database, &path).await;
    let again = open(&path).await;
    again.migrate().await.unwrap();
    assert!(again.workflow(&"a".into()).await.unwrap().is_some());
    assert_eq!(
        format!("{again:?}"),
        format!("Sqlite({:?})", path.canonicalize().unwrap())
    );
}

#[tokio::test]
async fn processes_that_migrate_at_the_same_time_all_succeed() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let mut handles = Vec::new();
    for _ in 0..8 {
        handles.push(Sqlite::open(&path).await.unwrap());
    }
    let migrations = handles.iter().map(SystemDb::migrate);
    for migrated in soon(futures_util::future::join_all(migrations)).await {
        migrated.unwrap();
    }
    handles[0]
        .insert_workflow(&here("a", "local"))
        .await
        .unwrap();
    assert!(handles[7].workflow(&"a".into()).await.unwrap().is_some());
}

#[tokio::test]
async fn tables_of_the_application_may_stand_beside_ours() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    raw(&path, "CREATE TABLE orders (id TEXT)").await;
    open(&path).await;
}

#[tokio::test]
async fn what_only_the_application_can_read_may_stand_beside_ours() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    raw(
        &path,
        "CREATE TABLE orders (id TEXT);
         CREATE VIEW broken AS SELECT * FROM gone;
         CREATE VIEW ranked AS SELECT only_the_application_has_this(id) AS rank FROM orders;
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
         VALUES ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING a_module_of_the_application (id)')",
    )
    .await;
    let database = open(&path).await;
    database.insert_workflow(&here("a", "local")).await.unwrap();
    close(database, &path).await;
    let again = open(&path).await;
    assert!(again.workflow(&"a".into()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_table_of_ours_that_cannot_be_looked_at_is_not_waited_for() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = Sqlite::open(&path).await.unwrap();
    raw(
        &path,
        "CREATE TABLE dbos_migrations (version INTEGER); INSERT INTO dbos_migrations VALUES (125);
         CREATE VIEW workflow_status AS SELECT * FROM gone",
    )
    .await;
    let error = database.migrate().await.unwrap_err();
    assert!(!error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("gone"), "{error}");
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(&error, SqliteError::Open { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_somebody_writes_to_is_waited_for() {
    use sqlx::{ConnectOptions, Connection};
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = Sqlite::options(&path).busy_timeout(Duration::from_millis(1));
    let database = database.open().await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut conn)
        .await
        .unwrap();
    let error = database.migrate().await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    conn.close().await.unwrap();
    database.migrate().await.unwrap();
}

#[tokio::test]
async fn a_file_in_a_directory_that_is_not_there_is_refused() {
    let directory = Directory::new();
    let error = Sqlite::open(directory.file("no/shop.db"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SqliteError::DirectoryMissing { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("create it first"), "{error}");
    let error = Sqlite::open(directory.file("")).await.unwrap_err();
    assert!(matches!(error, SqliteError::NotAFile { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_untouched() {
    let directory = Directory::new();
    let path = directory.file("notes.txt");
    std::fs::write(
        &path,
        "Not a database, but a text that is long enough to be read as one. ".repeat(40),
    )
    .unwrap();
    let before = content(&path);
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, SqliteError::NotADatabase { .. }), "{error}");
    assert_eq!(content(&path), before);
}

#[tokio::test]
async fn an_older_schema_is_refused_untouched() {
    let directory = Directory::new();
    let path = directory.file("old.db");
    raw(
        &path,
        "CREATE TABLE dbos_migrations (version INTEGER); INSERT INTO dbos_migrations VALUES (108)",
    )
    .await;
    let before = content(&path);
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(
        matches!(error, SqliteError::OlderSchema { found: 108, .. }),
        "{error}"
    );
    assert_eq!(content(&path), before);
}

#[tokio::test]
async fn a_newer_schema_that_lacks_what_is_needed_is_refused_untouched() {
    let directory = Directory::new();
    let path = directory.file("new.db");
    close(open(&path).await, &path).await;
    raw(
        &path,
        "PRAGMA journal_mode = DELETE; UPDATE dbos_migrations SET version = 200;
         ALTER TABLE operation_outputs DROP COLUMN child_workflow_id",
    )
    .await;
    let before = content(&path);
    let error = Sqlite::open(&path).await.unwrap_err();
    let SqliteError::UnlikeSchema { problem, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        problem.contains("200") && problem.contains("child_workflow_id"),
        "{problem}"
    );
    assert_eq!(content(&path), before);
}

#[tokio::test]
async fn a_newer_schema_with_all_that_is_needed_is_taken() {
    let directory = Directory::new();
    let path = directory.file("new.db");
    close(open(&path).await, &path).await;
    raw(
        &path,
        "UPDATE dbos_migrations SET version = 200; ALTER TABLE workflow_status ADD COLUMN mood TEXT;
         DROP TABLE durable_executors",
    )
    .await;
    let database = open(&path).await;
    database.insert_workflow(&here("a", "local")).await.unwrap();
    let version = number(&path, "SELECT version FROM dbos_migrations").await;
    assert_eq!(version, 200, "the newer version's mark stays");
}

#[tokio::test]
async fn a_table_of_somebody_else_with_our_name_is_refused() {
    let directory = Directory::new();
    let path = directory.file("other.db");
    raw(&path, "CREATE TABLE notifications (id INTEGER)").await;
    let before = content(&path);
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(
        matches!(&error, SqliteError::UnlikeSchema { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("notifications"), "{error}");
    assert_eq!(content(&path), before);
}

#[tokio::test]
async fn a_table_of_the_application_with_a_name_that_we_will_need_is_refused() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    raw(&path, "CREATE TABLE queues (id INTEGER)").await;
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(error.to_string().contains("queues"), "{error}");
    raw(&path, "DROP TABLE queues; CREATE TABLE Queues (id INTEGER)").await;
    let error = Sqlite::open(&path).await.unwrap_err();
    let in_the_way = |error: &SqliteError| matches!(error, SqliteError::UnlikeSchema { .. });
    assert!(in_the_way(&error), "{error}");
    assert!(error.to_string().contains("\"Queues\""), "{error}");
}

#[tokio::test]
async fn tables_of_ours_are_known_however_their_names_are_written() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    close(open(&path).await, &path).await;
    raw(
        &path,
        "ALTER TABLE workflow_status RENAME TO other; ALTER TABLE other RENAME TO Workflow_Status;
         ALTER TABLE dbos_migrations RENAME TO other; ALTER TABLE other RENAME TO DBOS_Migrations",
    )
    .await;
    let database = open(&path).await;
    database.insert_workflow(&here("a", "local")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_became_unlike_after_it_was_opened_is_refused_by_the_migration() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = Sqlite::open(&path).await.unwrap();
    raw(
        &path,
        "CREATE TABLE streams (id INTEGER); CREATE TABLE workflow_status (id INTEGER)",
    )
    .await;
    let error = database.migrate().await.unwrap_err();
    assert!(
        matches!(&error, DbError::Refused(why) if why.contains("workflow_status")),
        "{error}"
    );
}
