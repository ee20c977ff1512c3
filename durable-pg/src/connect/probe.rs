//! Whether what answers gives whole sessions: behind a pooler in transaction or statement mode, locks, notifications and prepared
//! statements are another client's a moment later, and nothing says so.
//!
//! One connection asks for the number of its server process, a second one does so inside a transaction while the first is open, and the
//! first asks again. Both having one number, or the first having another one the second time, is transaction mode; a transaction that cannot be
//! begun is statement mode; a second connection that gets no server process while the first has one is session mode with too few
//! of them. Measured with PgBouncer 1.18 in all modes, idle and busy: nothing that one connection alone can look at tells.

use std::time::{Duration, Instant};

use crate::{Connection as _, Driver, DriverError};

/// How long the second connection, and the second question of the first, may wait for a server process.
const PATIENCE: Duration = Duration::from_secs(2);

const WHO: &str = "SELECT pg_catalog.pg_backend_pid()";

/// What the check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Each connection has a server process of its own.
    Whole,
    /// Two connections shared one, or one had two.
    Transaction,
    /// A transaction cannot be begun.
    Statement,
    /// There is no second server process.
    OneOnly,
}

/// Checks that the driver's connections are whole sessions, before anything is set or prepared in one.
///
/// Errors: what is found instead, with the setting that helps; or the server cannot be reached.
pub(crate) async fn check<D: Driver>(driver: &D) -> Result<(), DriverError> {
    let place = driver.place();
    match mode(driver).await? {
        Mode::Whole => Ok(()),
        Mode::Transaction => Err(DriverError::session_mode(format!(
            "DURABLE_SESSION_MODE: {place} is a pooler in transaction mode (one server session served two connections, or one connection two \
             of them); workflows need sessions of their own, for LISTEN, advisory locks and prepared statements. Set \
             `pool_mode = session` in the pooler for this database and user, or connect past it, to Postgres itself. There is no \
             mode of `durable` that works without"
        ))),
        Mode::Statement => Err(DriverError::session_mode(format!(
            "DURABLE_SESSION_MODE: {place} is a pooler in statement mode (it refused to begin a transaction); workflows need transactions, and \
             sessions of their own. Set `pool_mode = session` in the pooler for this database and user, or connect past it, to \
             Postgres itself. There is no mode of `durable` that works without"
        ))),
        Mode::OneOnly => Err(DriverError::pool_too_small(format!(
            "DURABLE_POOL_TOO_SMALL: {place} gave a first connection and no second one within {PATIENCE:?}: a pooler in session mode whose \
             `default_pool_size` (or `max_db_connections`) is 1, or whose sessions are all taken. A process needs one for each \
             connection of its pool and four more; raise it in the pooler, or connect past it, to Postgres itself"
        ))),
    }
}

async fn mode<D: Driver>(driver: &D) -> Result<Mode, DriverError> {
    let begun = Instant::now();
    let mut first = driver.dedicated().await?;
    // A server that is far away answers no sooner the second time.
    let patience = PATIENCE.max(begun.elapsed() * 2);
    let alone = match number::<D>(&mut first).await {
        Err(error) if error.is_about_prepared() => return Ok(Mode::Transaction),
        answer => answer?,
    };
    let beside = match tokio::time::timeout(patience, second(driver)).await {
        Err(_) => return Ok(Mode::OneOnly),
        Ok(answer) => answer?,
    };
    let (mut second, inside) = match beside {
        Second::Has(connection, number) => (connection, number),
        Second::Is(mode) => return Ok(mode),
    };
    if inside == alone {
        return Ok(Mode::Transaction);
    }
    let again = tokio::time::timeout(patience, number::<D>(&mut first)).await;
    let mode = match again {
        // Its server process serves the second now.
        Err(_) => Mode::Transaction,
        Ok(Err(error)) if error.is_about_prepared() => Mode::Transaction,
        Ok(answer) if answer.clone()? != alone => Mode::Transaction,
        Ok(_) => Mode::Whole,
    };
    // It is closed in any case.
    let _ = second.batch("ROLLBACK").await;
    Ok(mode)
}

/// What came of the second connection.
enum Second<C> {
    /// It is in a transaction on the server process with this number.
    Has(C, i64),
    /// It came to nothing, which tells the mode.
    Is(Mode),
}

async fn second<D: Driver>(driver: &D) -> Result<Second<D::Connection>, DriverError> {
    let mut connection = driver.dedicated().await?;
    // A round trip of its own: sent together with what follows it would be one statement to a pooler.
    match connection.batch("BEGIN").await {
        Err(error) if error.is_about_statement_mode() => return Ok(Second::Is(Mode::Statement)),
        begun => begun?,
    }
    match number::<D>(&mut connection).await {
        Err(error) if error.is_about_prepared() => Ok(Second::Is(Mode::Transaction)),
        answer => Ok(Second::Has(connection, answer?)),
    }
}

/// The number of the server process that answers.
async fn number<D: Driver>(connection: &mut D::Connection) -> Result<i64, DriverError> {
    let mut rows = connection.query(&WHO.into(), &[]).await?;
    let mut row = rows
        .pop()
        .ok_or_else(|| DriverError::unlike("a session has no number"))?;
    row.some_integer()
}
