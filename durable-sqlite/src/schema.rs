//! The tables: making them, and telling whether a file's are those that this library needs.

use std::{collections::BTreeMap, path::Path, time::Duration};

use sqlx::{Row, SqliteConnection};

use crate::{
    SqliteError,
    error::{Failure, is_busy},
    lane::Session,
    rows,
};

/// The version of the DBOS system tables that this library reads and writes.
pub(crate) const VERSION: i64 = 125;

/// The columns that statements of this crate name. A newer version may have more; without one of these nothing works.
const NEEDED: [(&str, &str); 11] = [
    (
        "workflow_status",
        "workflow_uuid status name class_name config_name inputs output error serialization executor_id application_id \
         application_name application_version owner_xid creator_xid recovery_attempts queue_name queue_partition_key priority \
         deduplication_id delay_until_epoch_ms workflow_timeout_ms workflow_deadline_epoch_ms parent_workflow_id forked_from \
         created_at updated_at started_at_epoch_ms completed_at rate_limited",
    ),
    ("workflow_input", "workflow_uuid inputs retention_timestamp"),
    (
        "workflow_output",
        "workflow_uuid output error retention_timestamp",
    ),
    (
        "operation_outputs",
        "workflow_uuid function_id function_name output error serialization child_workflow_id started_at_epoch_ms \
         completed_at_epoch_ms application_name retention_timestamp",
    ),
    (
        "notifications",
        "message_uuid destination_uuid topic message serialization created_at_epoch_ms consumed consumed_by_function_id",
    ),
    ("workflow_events", "workflow_uuid key value serialization"),
    (
        "workflow_events_history",
        "workflow_uuid function_id key value serialization",
    ),
    (
        "application_versions",
        "version_id version_name application_name version_timestamp created_at",
    ),
    (
        "durable_executors",
        "executor_id incarnation application_name started_at",
    ),
    (
        "durable_served_queues",
        "executor_id incarnation queue_name application_version",
    ),
    (
        "durable_attempts",
        "workflow_uuid incarnation excused steps last_excused",
    ),
];

/// The tables that no statement of this crate names yet, and that are made all the same.
const UNUSED: [&str; 3] = ["streams", "queues", "workflow_schedules"];

/// The table whose rows tell the version.
const MIGRATIONS: &str = "dbos_migrations";

/// For how long the change to a write-ahead log is tried while others have the file open: 2 s.
const WAL_ATTEMPTS: u32 = 100;
const WAL_WAIT: Duration = Duration::from_millis(20);

/// The tables of our own.
const OWN_TABLES: [&str; 3] = [
    "durable_executors",
    "durable_served_queues",
    "durable_attempts",
];

/// What a file that can be used holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// None of our tables.
    Nothing,
    /// The system tables, perhaps without our own.
    Tables,
}

/// Looks at the tables, and changes nothing. Tables of the application beside ours are nobody's business, and not looked at: one may
/// need a function or a module that only its own program has.
///
/// A file that cannot be used is an answer; the outer error is the driver's.
pub(crate) async fn check(
    conn: &mut SqliteConnection,
    path: &Path,
) -> Result<Result<Found, SqliteError>, sqlx::Error> {
    let unlike = |problem| SqliteError::UnlikeSchema {
        path: path.to_owned(),
        problem,
    };
    let tables = tables(conn).await?;
    if !tables.contains_key(MIGRATIONS) {
        return Ok(match ours().find_map(|name| tables.get(name)) {
            None => Ok(Found::Nothing),
            Some(name) => Err(unlike(format!(
                "it has a table {name:?} but no {MIGRATIONS:?}, so that table is something else's"
            ))),
        });
    }
    let found = version(conn).await?;
    if found < VERSION {
        return Ok(Err(SqliteError::OlderSchema {
            path: path.to_owned(),
            found,
        }));
    }
    Ok(match missing(conn, &tables).await? {
        None => Ok(Found::Tables),
        Some(what) => Err(unlike(format!(
            "its system tables of version {found} have no {what}"
        ))),
    })
}

/// The names of our tables.
fn ours() -> impl Iterator<Item = &'static str> {
    let needed = NEEDED.iter().map(|(name, _)| *name);
    needed.chain(UNUSED).chain([MIGRATIONS])
}

/// The tables with names of ours: by those, which are in lower case, the names as they are written in the file. SQLite takes them for
/// the same.
async fn tables(conn: &mut SqliteConnection) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let ours: Vec<&str> = ours().collect();
    let rows = sqlx::query(
        "SELECT lower(name), name
         FROM sqlite_schema
         WHERE type IN ('table', 'view')
           AND lower(name) IN (SELECT value FROM json_each(?1))",
    )
    .bind(rows::list(&ours))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

async fn columns(conn: &mut SqliteConnection, table: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
        .bind(table)
        .fetch_all(conn)
        .await
}

async fn version(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM dbos_migrations")
        .fetch_one(conn)
        .await
}

/// The first table or column that is needed and not there.
async fn missing(
    conn: &mut SqliteConnection,
    tables: &BTreeMap<String, String>,
) -> Result<Option<String>, sqlx::Error> {
    for (table, needed) in NEEDED {
        if !tables.contains_key(table) {
            // Made by whoever comes first; a file of another SDK has none.
            if OWN_TABLES.contains(&table) {
                continue;
            }
            return Ok(Some(format!("table {table:?}")));
        }
        let found = columns(conn, table).await?;
        let missing = needed
            .split_whitespace()
            .find(|column| !found.iter().any(|name| name == column));
        if let Some(column) = missing {
            return Ok(Some(format!("column {column:?} in table {table:?}")));
        }
    }
    Ok(None)
}

/// Makes what is not there yet, in the session's transaction.
pub(crate) async fn create(session: &mut Session, path: &Path) -> Result<(), Failure> {
    let found = check(&mut session.conn, path)
        .await
        .map_err(|error| Failure::looking(path, error))??;
    if found == Found::Nothing {
        run(session, include_str!("schema/tables.sql")).await?;
        run(session, include_str!("schema/indexes.sql")).await?;
    }
    run(session, include_str!("schema/own.sql")).await
}

/// Whether the file holds all that this library needs; changes nothing.
pub(crate) async fn verify(conn: &mut SqliteConnection, path: &Path) -> Result<(), Failure> {
    let looking = |error| Failure::looking(path, error);
    let found = check(conn, path).await.map_err(looking)??;
    let own = tables(conn).await.map_err(looking)?;
    if found == Found::Tables && OWN_TABLES.iter().all(|table| own.contains_key(*table)) {
        return Ok(());
    }
    Err(SqliteError::NotMigrated {
        path: path.to_owned(),
    }
    .into())
}

async fn run(session: &mut Session, script: &'static str) -> Result<(), Failure> {
    sqlx::raw_sql(script).execute(&mut session.conn).await?;
    Ok(())
}

/// Gives the file a write-ahead log, which it keeps: readers and the writer no longer wait for each other.
pub(crate) async fn write_ahead(conn: &mut SqliteConnection, path: &Path) -> Result<(), Failure> {
    let mode = journal_mode(conn)
        .await
        .map_err(|error| Failure::looking(path, error))?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    let path = path.to_owned();
    Err(SqliteError::NoWriteAheadLog { path, mode }.into())
}

async fn journal_mode(conn: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    // The change wants the file for itself for a moment, and does not wait for it as other statements do: two processes
    // that start together would refuse each other.
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mode = sqlx::query_scalar("PRAGMA journal_mode = WAL")
            .fetch_one(&mut *conn)
            .await;
        match mode {
            Err(error) if is_busy(&error) && attempts < WAL_ATTEMPTS => {
                tokio::time::sleep(WAL_WAIT).await;
            }
            mode => return mode,
        }
    }
}
