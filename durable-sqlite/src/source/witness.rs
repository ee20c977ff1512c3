//! The table of witnesses: which steps have committed what they did in this file.

use durable_core::{
    db::Result as DbResult,
    ids::Format,
    payload::Encoded,
    source::{Witness, WitnessKey},
};
use sqlx::{SqliteConnection, sqlite::SqlitePool};

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
