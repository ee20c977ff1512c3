//! The table of witnesses: which steps have committed what they did in this file.

use durable_core::{
    db::Result as DbResult,
    ids::Format,
    payload::Encoded,
    source::{Still, Witness, WitnessKey},
};
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqlitePool, SqliteRow},
};

use crate::{error::Failure, rows};

/// An `incarnation` is the token of the call that inserted the workflow's row, so that a new workflow with the id of a deleted one does
/// not take its witness.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS durable_transactions (
        workflow_uuid TEXT NOT NULL,
        incarnation TEXT NOT NULL,
        function_id INTEGER NOT NULL,
        function_name TEXT NOT NULL,
        output TEXT NOT NULL,
        serialization TEXT,
        created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
        PRIMARY KEY (workflow_uuid, incarnation, function_id))";

pub(super) async fn migrate(pool: &SqlitePool) -> DbResult<()> {
    let made = sqlx::query(TABLE).execute(pool).await;
    made.map(drop)
        .map_err(|error| Failure::from(error).into_error("make the table of witnesses"))
}

/// By the primary key.
const READ: &str = "
    SELECT function_name, output, serialization
    FROM durable_transactions
    WHERE workflow_uuid = ?1
      AND incarnation = ?2
      AND function_id = ?3";

pub(super) async fn read(
    conn: &mut SqliteConnection,
    key: &WitnessKey,
) -> Result<Option<Witness>, Failure> {
    let row = sqlx::query(READ)
        .bind(key.workflow.as_str())
        .bind(key.incarnation.as_str())
        .bind(key.number)
        .fetch_optional(conn)
        .await
        .map_err(missing)?;
    row.map(|row| {
        Ok(Witness {
            name: rows::column(&row, "function_name")?,
            output: Encoded {
                text: rows::column(&row, "output")?,
                format: rows::name(&row, "serialization")?,
            },
        })
    })
    .transpose()
}

/// The table is looked at here first.
fn missing(error: sqlx::Error) -> Failure {
    if error
        .to_string()
        .contains("no such table: durable_transactions")
    {
        return Failure::Refused(
            "the table durable_transactions is not in the data source's file; make it by `cargo xtask migrate --data-source \
             sqlite:PATH`, or by `migrate()` of the data source"
                .to_owned(),
        );
    }
    error.into()
}

/// By the primary key.
const LEAVE: &str = "
    INSERT INTO durable_transactions (
        workflow_uuid, incarnation, function_id, function_name, output, serialization)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (workflow_uuid, incarnation, function_id) DO NOTHING";

/// Whether there was none.
pub(super) async fn leave(
    conn: &mut SqliteConnection,
    key: &WitnessKey,
    left: &Witness,
) -> Result<bool, Failure> {
    let written = sqlx::query(LEAVE)
        .bind(key.workflow.as_str())
        .bind(key.incarnation.as_str())
        .bind(key.number)
        .bind(left.name.as_str())
        .bind(left.output.text.as_str())
        .bind(left.output.format.as_ref().map(Format::as_str))
        .execute(conn)
        .await?;
    Ok(written.rows_affected() == 1)
}

/// By the primary key.
const FORGET: &str = "
    DELETE FROM durable_transactions
    WHERE workflow_uuid = ?1
      AND incarnation = ?2
      AND function_id = ?3";

/// Removes these, if `still` says so. There is one writer, so no transaction is open meanwhile that
/// could leave one.
pub(super) async fn forget(
    pool: &SqlitePool,
    keys: &[WitnessKey],
    still: Still<'_>,
) -> Result<(), Failure> {
    let mut conn = pool.acquire().await?;
    // Rolled back if this is dropped.
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    for key in keys {
        sqlx::query(FORGET)
            .bind(key.workflow.as_str())
            .bind(key.incarnation.as_str())
            .bind(key.number)
            .execute(&mut *transaction)
            .await?;
    }
    if still().await {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(())
}

/// By the primary key.
const LIST: &str = "
    SELECT workflow_uuid, incarnation, function_id
    FROM durable_transactions
    WHERE (workflow_uuid, incarnation, function_id) > (?1, ?2, ?3)
    ORDER BY workflow_uuid, incarnation, function_id
    LIMIT ?4";

/// Up to `limit`, from after this one.
pub(super) async fn list(
    pool: &SqlitePool,
    after: Option<&WitnessKey>,
    limit: usize,
) -> Result<Vec<WitnessKey>, Failure> {
    let found = sqlx::query(LIST)
        .bind(after.map_or("", |key| key.workflow.as_str()))
        .bind(after.map_or("", |key| key.incarnation.as_str()))
        .bind(after.map_or(i32::MIN, |key| key.number))
        .bind(rows::limit(limit))
        .fetch_all(pool)
        .await?;
    let key = |row: &SqliteRow| {
        Ok(WitnessKey {
            workflow: rows::workflow_id(row)?,
            incarnation: rows::column(row, "incarnation")?,
            number: rows::column(row, "function_id")?,
        })
    };
    found.iter().map(key).collect()
}
