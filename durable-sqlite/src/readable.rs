//! Rows that cannot be read: each is left out by itself, so that it stops nobody else.
//!
//! Other programs write to the file too, and SQLite keeps whatever it is given: text that is none, numbers that are too large.

use durable_core::ids::WorkflowId;
use sqlx::{
    Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{error::Failure, rows};

/// The first `limit` rows of a statement that can be read; fewer mean that there are no more.
///
/// `statement` is given the `LIMIT` and the `OFFSET` of a page. The pages must be of one state of the database: the
/// caller's transaction sees to that.
pub(crate) async fn page<'q, T>(
    conn: &mut SqliteConnection,
    limit: usize,
    message: &'static str,
    statement: impl Fn(i64, i64) -> Query<'q, Sqlite, SqliteArguments>,
    read: impl Fn(&SqliteRow) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut readable = Vec::new();
    let mut seen = 0;
    while readable.len() < limit {
        // Pages grow with what has been passed over: each row is stepped over a few times at most, however many cannot be read.
        let size = (limit - readable.len()).max(seen);
        let rows = statement(rows::limit(size), rows::limit(seen))
            .fetch_all(&mut *conn)
            .await?;
        for row in &rows {
            readable.extend(unless_broken(row, read(row), message)?);
        }
        if rows.len() < size {
            break;
        }
        seen += rows.len();
    }
    readable.truncate(limit);
    Ok(readable)
}

/// What was read of a workflow's row; `None`, and a warning, if it cannot be read.
pub(crate) fn unless_broken<T>(
    row: &SqliteRow,
    read: Result<T, Failure>,
    message: &'static str,
) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(failure) => {
            // The id may be what cannot be read.
            let id: Vec<u8> = rows::column(row, "workflow_uuid")?;
            let id = String::from_utf8_lossy(&id).into_owned();
            leave_out(&id.into(), failure, message)?;
            Ok(None)
        }
    }
}

/// Leaves a row out that cannot be read, with a warning; other failures are the whole call's.
pub(crate) fn leave_out(
    id: &WorkflowId,
    failure: Failure,
    message: &'static str,
) -> Result<(), Failure> {
    let Failure::Broken(error) = failure else {
        return Err(failure);
    };
    tracing::warn!(workflow = %id, %error, "{message}");
    Ok(())
}
