//! One migration of a schema at a time: an advisory lock of the session that migrates. The server frees it when the session ends.

use std::{sync::Arc, time::Duration};

use crate::{Connection, DriverError, error::Failure, text::SchemaName, value::params};

/// How often the lock is asked for. Nobody waits for it inside the server: a statement that waits holds a snapshot, and the index
/// builds of the one who has the lock would wait for that in turn.
const EVERY: Duration = Duration::from_millis(100);

macro_rules! key {
    () => {
        "hashtextextended('durable migrate ' || $1::text, 0)"
    };
}

const TRY: &str = concat!("SELECT pg_try_advisory_lock(", key!(), ")");

/// The session that holds it. `$1` the schema.
const HOLDER: &str = concat!(
    "SELECT l.pid, coalesce(a.application_name, '')
    FROM pg_catalog.pg_locks AS l
    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'advisory'
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
      AND l.objsubid = 1
      AND l.granted
      AND (l.classid::bigint << 32) | l.objid::bigint = ",
    key!()
);

/// Takes the lock, and keeps it for as long as the session lives.
///
/// Errors: another session has it for all of `patience`; that passes.
pub(super) async fn take<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    patience: Duration,
) -> Result<(), Failure> {
    let statement = Arc::from(TRY);
    let until = tokio::time::Instant::now() + patience;
    loop {
        let rows = connection
            .query(&statement, params![schema.as_str()])
            .await?;
        let taken = rows
            .into_iter()
            .next()
            .map(|mut row| row.bool())
            .transpose()?;
        if taken == Some(true) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= until {
            let holder = holder(connection, schema).await?;
            // Not the connection's failure, but it passes in the same way.
            return Err(DriverError::refused(
                Some(crate::error::code::LOCK_NOT_AVAILABLE),
                format!(
                    "{holder} has been migrating schema {:?} for the {patience:?} that this process waited",
                    schema.as_str()
                ),
            )
            .into());
        }
        tokio::time::sleep(EVERY.min(patience)).await;
    }
}

async fn holder<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<String, DriverError> {
    let rows = connection
        .query(&Arc::from(HOLDER), params![schema.as_str()])
        .await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Ok("another session".to_owned());
    };
    let (pid, application) = (row.some_integer()?, row.some_text()?);
    Ok(if application.is_empty() {
        format!("the server's session {pid}")
    } else {
        format!("the server's session {pid} ({application})")
    })
}
