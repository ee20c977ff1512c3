//! How many dispatches of workflows do not count as crashes: what is stored of that beside the
//! rows, in a table of our own.

use durable_core::state::{Attempts, WorkflowRow};
use sqlx::{Row as _, SqliteConnection};

use crate::error::Failure;

/// By the primary keys. A row of an earlier workflow of this id is not this one's.
pub(crate) const KNOWN: &str = "
    SELECT COALESCE(a.excused, 0), COALESCE(a.steps, 0), COALESCE(a.last_excused, 0),
           (SELECT count(*) FROM operation_outputs WHERE workflow_uuid = ?1)
    FROM (SELECT 1)
    LEFT JOIN durable_attempts AS a ON a.workflow_uuid = ?1 AND a.incarnation = ?2";

/// By the primary key.
const KEEP: &str = "
    INSERT INTO durable_attempts (workflow_uuid, incarnation, excused, steps, last_excused)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET incarnation = excluded.incarnation, excused = excluded.excused, steps = excluded.steps,
            last_excused = excluded.last_excused";

/// What is known of the executions of this row beside their number, and how many operations are
/// recorded.
async fn known(conn: &mut SqliteConnection, row: &WorkflowRow) -> Result<(Attempts, i64), Failure> {
    let found = sqlx::query(KNOWN)
        .bind(row.id.as_str())
        .bind(row.incarnation())
        .fetch_one(conn)
        .await?;
    let known = Attempts {
        excused: found.try_get(0)?,
        steps: found.try_get(1)?,
        last: found.try_get(2)?,
    };
    Ok((known, found.try_get(3)?))
}

/// How many dispatches of this row do not count.
pub(crate) async fn excused(
    conn: &mut SqliteConnection,
    row: &WorkflowRow,
) -> Result<i64, Failure> {
    Ok(known(conn, row).await?.0.excused)
}

/// Changes what is known of the executions of this row; `change` gets how many operations are
/// recorded. How many dispatches do not count.
pub(crate) async fn note(
    conn: &mut SqliteConnection,
    row: &WorkflowRow,
    change: impl FnOnce(&Attempts, i64) -> Attempts,
) -> Result<i64, Failure> {
    let (before, steps) = known(conn, row).await?;
    let Attempts {
        excused,
        steps,
        last,
    } = change(&before, steps);
    sqlx::query(KEEP)
        .bind(row.id.as_str())
        .bind(row.incarnation())
        .bind(excused)
        .bind(steps)
        .bind(last)
        .execute(conn)
        .await?;
    Ok(excused)
}
