//! Beginning and ending a transaction so that sqlx counts it: one that is begun inside is a savepoint then.

use sqlx::{Executor as _, SqlSafeStr as _, SqliteConnection, sqlite::SqliteTransactionManager};
use sqlx_core::transaction::TransactionManager as _;

use crate::error::Failure;

/// A savepoint around all that a closure does. It goes with the transaction, so where the closure
/// has ended that and begun another, it is not there.
const MARK: &str = "SAVEPOINT durable_transaction";
const UNMARK: &str = "RELEASE durable_transaction";

/// Begins one that will write, and [marks](is_same) it, or one that may not.
pub(crate) async fn begin(conn: &mut SqliteConnection, read_only: bool) -> Result<(), Failure> {
    let begin = if read_only {
        conn.execute("PRAGMA query_only = ON").await?;
        "BEGIN"
    } else {
        "BEGIN IMMEDIATE"
    };
    let begun = SqliteTransactionManager::begin(conn, Some(begin.into_sql_str())).await;
    if begun.is_err() && read_only {
        conn.execute("PRAGMA query_only = OFF").await?;
    }
    begun?;
    if !read_only {
        conn.execute(MARK).await?;
    }
    Ok(())
}

/// Returns `true` if a transaction that writes is still the one that was begun. Removes the mark, so
/// it is asked once, after all that is the closure's.
pub(crate) async fn is_same(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    match conn.execute(UNMARK).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.message().contains("no such savepoint") => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Lets a connection write again that [`begin`] kept from it.
pub(crate) async fn writable(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    conn.execute("PRAGMA query_only = OFF").await?;
    Ok(())
}

/// Whether a savepoint is open that the application began and did not end.
pub(crate) fn is_nested(conn: &SqliteConnection) -> bool {
    SqliteTransactionManager::get_transaction_depth(conn) != 1
}

/// Whether the transaction is still there: SQLite ends one by itself after some failures. If it was not, there is an empty one now, so
/// that sqlx's count is right again.
pub(crate) async fn is_sound(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    match conn.execute("BEGIN").await {
        Ok(_) => Ok(false),
        Err(error @ sqlx::Error::Database(_)) => {
            if error.to_string().contains("within a transaction") {
                return Ok(true);
            }
            Err(error)
        }
        Err(error) => Err(error),
    }
}

pub(crate) async fn commit(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    SqliteTransactionManager::commit(conn).await
}

/// Rolls back, with all savepoints; whether the connection's state is known after that.
pub(crate) async fn rollback(conn: &mut SqliteConnection) -> bool {
    while SqliteTransactionManager::get_transaction_depth(conn) > 0 {
        if SqliteTransactionManager::rollback(conn).await.is_ok() {
            continue;
        }
        // SQLite has rolled back by itself; sqlx still counts.
        let again = conn.execute("BEGIN").await.is_ok();
        if !again || SqliteTransactionManager::rollback(conn).await.is_err() {
            return false;
        }
    }
    true
}

/// Has what is open rolled back before anything else is done, without waiting.
pub(crate) fn start_rollback(conn: &mut SqliteConnection) {
    for _ in 0..SqliteTransactionManager::get_transaction_depth(conn) {
        SqliteTransactionManager::start_rollback(conn);
    }
}
