//! Whether what answers gives whole sessions: behind a pooler in transaction or statement mode, locks, notifications and prepared
//! statements are another client's a moment later, and nothing says so.
//!
//! One connection asks for the number of its server process, a second one does so inside a transaction while the first is open, and the
//! first asks again. Both having one number, or the first having another one the second time, is transaction mode; a transaction that cannot be
//! begun is statement mode; a second connection that gets no server process while the first has one is session mode with too few
//! of them. Behind a busy pooler the numbers may be right by chance, so at last the first takes a lock and goes, and the lock must go with it.
//! Measured with PgBouncer 1.18 in all modes, idle and busy: nothing that one connection alone can look at tells.

use std::{
    hash::{BuildHasher as _, RandomState},
    pin::pin,
    time::{Duration, Instant},
};

use crate::{Connection as _, Driver, DriverError, Row, value::params};

/// How long the second connection, and the second question of the first, may wait for a server process.
const PATIENCE: Duration = Duration::from_millis(950);

/// How often the second connection must have had to wait for the end of the first.
const WAITS: usize = 2;

/// How long a lock may outlive its connection: a server that is busy sees late that a client has gone.
const GOES: Duration = Duration::from_secs(5);

/// The time between two looks at a lock that should go.
const LOOK: Duration = Duration::from_millis(5);

/// How often a connection is tried whose driver trips over what it prepares.
const ATTEMPTS: usize = 10;

/// The most checks that are made where their connections break.
const CHECKS: usize = 3;

/// A check that took longer than this before its connection broke is not made again.
const SOON: Duration = Duration::from_secs(5);

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
            "DURABLE_POOL_TOO_SMALL: {place} gave a first connection and no second one beside it: a pooler in session mode whose \
             `default_pool_size` (or `max_db_connections`) is 1, or whose sessions are all taken. A process needs one for each \
             connection of its pool, one for each lane and three more; raise it in the pooler, or connect past it, to Postgres itself"
        ))),
    }
}

/// Looks again where a connection breaks under the check.
///
/// A pooler that refuses says why and hangs up. Where a reset overtakes its words, the driver sees
/// only that the connection is closed, whatever the check was doing. It also hangs up, with words
/// for others, on a client whose session another one has left in disorder.
async fn mode<D: Driver>(driver: &D) -> Result<Mode, DriverError> {
    for _ in 1..CHECKS {
        let begun = Instant::now();
        match mode_unless_cut(driver).await {
            Err(error) if is_cut(&error) && begun.elapsed() < SOON => {
                tracing::debug!(%error, "a connection broke under the session check");
            }
            mode => return mode,
        }
    }
    mode_unless_cut(driver).await
}

/// Returns `true` if the connection has ended, or was refused in words for which the driver gives
/// no code.
fn is_cut(error: &DriverError) -> bool {
    error.is_lost() || error.is_unclear()
}

async fn mode_unless_cut<D: Driver>(driver: &D) -> Result<Mode, DriverError> {
    for _ in 0..WAITS {
        if let Some(mode) = look(driver).await? {
            return Ok(mode);
        }
    }
    Ok(Mode::OneOnly)
}

/// One look. `None`: the second connection got a server process only when the first had gone, which a server that is slow just now could have
/// come to by chance.
async fn look<D: Driver>(driver: &D) -> Result<Option<Mode>, DriverError> {
    let begun = Instant::now();
    let Some(mut first) = connected(driver).await? else {
        return shared(driver).await.map(Some);
    };
    // A server that is far away answers no sooner the second time.
    let patience = PATIENCE.max(begun.elapsed() * 2);
    let Some(alone) = number::<D>(&mut first).await? else {
        return shared(driver).await.map(Some);
    };
    let mut waiting = pin!(second(driver));
    let Ok(found) = tokio::time::timeout(patience, &mut waiting).await else {
        drop(first);
        // Bounded by the connect_timeout, and by the pooler's own patience with those who wait.
        waiting.await?;
        return Ok(None);
    };
    let (mut second, inside) = match found? {
        Second::Has(connection, number) => (connection, number),
        Second::Is(mode) => return Ok(Some(mode)),
    };
    if inside == alone {
        return Ok(Some(Mode::Transaction));
    }
    // If nothing answers, its server process serves the second now.
    let again = tokio::time::timeout(patience, number::<D>(&mut first)).await;
    if again.unwrap_or(Ok(None))? != Some(alone) {
        return Ok(Some(Mode::Transaction));
    }
    second.batch("ROLLBACK").await?;
    match keeps_a_lock::<D>(first, &mut second).await {
        Err(error) if error.is_mixed_up() => Ok(Some(Mode::Transaction)),
        mode => mode.map(Some),
    }
}

/// Whether a lock of the first connection's session is there while it is open, and goes with it.
///
/// Behind a busy pooler the numbers may be as those of whole sessions by chance; this does not depend on which server process answers.
/// Where sessions are shared the lock stays behind, on a number that nobody else takes; so it comes last.
async fn keeps_a_lock<D: Driver>(
    mut first: D::Connection,
    second: &mut D::Connection,
) -> Result<Mode, DriverError> {
    const LOCK: &str = "SELECT count(pg_catalog.pg_advisory_lock($1::bigint))";
    // Each process has its own keys.
    let key = RandomState::new().hash_one(Instant::now()).cast_signed();
    first.query(&LOCK.into(), params![key]).await?;
    if !is_locked::<D>(second, key).await? {
        return Ok(Mode::Transaction);
    }
    drop(first);
    let begun = Instant::now();
    while is_locked::<D>(second, key).await? {
        if begun.elapsed() > GOES {
            return Ok(Mode::Transaction);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(Mode::Whole)
}

async fn is_locked<D: Driver>(
    connection: &mut D::Connection,
    key: i64,
) -> Result<bool, DriverError> {
    const HELD: &str = "
        SELECT count(*)
        FROM pg_catalog.pg_locks AS l
        WHERE l.locktype = 'advisory'
          AND l.objsubid = 1
          AND (l.classid::bigint << 32) | l.objid::bigint = $1::bigint";
    let rows = connection.query(&HELD.into(), params![key]).await?;
    Ok(first_integer(rows)? > 0)
}

/// Which mode it is that shares sessions: statement mode refuses to begin a transaction.
async fn shared<D: Driver>(driver: &D) -> Result<Mode, DriverError> {
    let begun = Instant::now();
    // A driver that prepares something to set a connection up may fail at it many times.
    while begun.elapsed() < GOES {
        let Some(mut connection) = connected(driver).await? else {
            continue;
        };
        match connection.batch("BEGIN").await {
            Err(error) if error.is_about_statement_mode() => return Ok(Mode::Statement),
            Err(error) if error.is_mixed_up() => continue,
            begun => begun?,
        }
        connection.batch("ROLLBACK").await?;
        return Ok(Mode::Transaction);
    }
    Ok(Mode::Transaction)
}

/// What came of the second connection.
enum Second<C> {
    /// It is in a transaction on the server process with this number.
    Has(C, i64),
    /// It came to nothing, which tells the mode.
    Is(Mode),
}

async fn second<D: Driver>(driver: &D) -> Result<Second<D::Connection>, DriverError> {
    let Some(mut connection) = connected(driver).await? else {
        return shared(driver).await.map(Second::Is);
    };
    // A round trip of its own: sent together with what follows it would be one statement to a pooler.
    match connection.batch("BEGIN").await {
        Err(error) if error.is_about_statement_mode() => return Ok(Second::Is(Mode::Statement)),
        begun => begun?,
    }
    Ok(match number::<D>(&mut connection).await? {
        Some(number) => Second::Has(connection, number),
        None => Second::Is(Mode::Transaction),
    })
}

/// A connection; `None`: its session was another's, as what the driver prepared to set it up was not there, or there already, or as it got
/// another's answer and a second try got the right one. What never gets a right answer is no Postgres server.
async fn connected<D: Driver>(driver: &D) -> Result<Option<D::Connection>, DriverError> {
    let mut odd = None;
    for _ in 0..ATTEMPTS {
        match driver.dedicated().await {
            Err(error) if error.is_about_prepared() => return Ok(None),
            Err(error) if error.is_mixed_up() => odd = Some(error),
            Err(error) => return Err(error),
            Ok(_) if odd.is_some() => return Ok(None),
            Ok(connection) => return Ok(Some(connection)),
        }
    }
    Err(odd.unwrap_or_else(|| DriverError::unlike("there is no connection")))
}

/// The number of the server process that answers; `None`: it is not the one that prepared the question.
async fn number<D: Driver>(connection: &mut D::Connection) -> Result<Option<i64>, DriverError> {
    let rows = connection.query(&WHO.into(), &[]).await;
    match rows.and_then(first_integer) {
        Err(error) if error.is_mixed_up() => Ok(None),
        number => number.map(Some),
    }
}

fn first_integer(mut rows: Vec<Row>) -> Result<i64, DriverError> {
    let row = rows.pop();
    row.ok_or_else(|| DriverError::unlike("a session does not say what it is asked"))?
        .some_integer()
}
