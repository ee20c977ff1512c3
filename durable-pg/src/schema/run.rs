//! Running the steps of a plan: what belongs together in one transaction, the rest by itself.

use std::{sync::Arc, time::Duration};

use crate::{
    Connection, DriverError,
    error::code::{DEADLOCK, LOCK_NOT_AVAILABLE},
    text::SchemaName,
    value::params,
};

use super::plan::{How, Step};

/// What the session is set to. Nothing is found by an unqualified name, and a long build is not stopped by what the application has
/// set for its own statements.
pub(super) const SET_UP: &str = "
    SET search_path = pg_catalog, pg_temp;
    SET enable_seqscan = on;
    SET statement_timeout = 0;
    SET lock_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET default_transaction_read_only = off;
    SET default_transaction_isolation = 'read committed'";

/// A change of a table waits behind whoever uses it, and everybody else behind it: so it waits a moment only, some times.
const BEGIN: &str = "BEGIN;\nSET LOCAL lock_timeout = '3s';\n";
const ATTEMPTS: u32 = 10;
const UNCLEAR_ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// [`super::plan::FILL`] for the next rows after `$1`, up to `$2` of them: gives the last of them.
const FILL_SOME: &str = "
    WITH page AS MATERIALIZED (
        SELECT s.workflow_uuid
        FROM dbos.workflow_status AS s
        WHERE s.workflow_uuid > $1
        ORDER BY s.workflow_uuid
        LIMIT $2
    ), filled AS (
        UPDATE dbos.workflow_status AS s
        SET completed_at = s.updated_at
        FROM page AS p
        WHERE s.workflow_uuid = p.workflow_uuid
          AND s.completed_at IS NULL
          AND s.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
    )
    SELECT max(p.workflow_uuid)
    FROM page AS p";

/// How many rows one transaction looks at.
const PORTION: i64 = 5000;

/// Runs the steps in their order.
pub(super) async fn steps<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    steps: &[Step],
) -> Result<(), DriverError> {
    for group in steps.chunk_by(|one, next| one.how == How::Together && next.how == How::Together) {
        let Some(first) = group.first() else { continue };
        match first.how {
            How::Together => together(connection, group).await?,
            How::Alone => connection.batch(&first.sql).await?,
            How::Filling => fill(connection, schema).await?,
        }
    }
    Ok(())
}

async fn together<C: Connection>(connection: &mut C, steps: &[Step]) -> Result<(), DriverError> {
    let script = transaction(steps);
    let mut attempt = 1;
    loop {
        let answer = connection.batch(&script).await;
        let Err(error) = answer else { return Ok(()) };
        // If that fails, so does what comes next, and the session's end rolls back.
        let _ = connection.batch("ROLLBACK").await;
        let busy = matches!(error.code(), Some(LOCK_NOT_AVAILABLE | DEADLOCK));
        // A driver that tells no SQLSTATE is believed after some attempts.
        let attempts = match error.is_unclear() {
            true => UNCLEAR_ATTEMPTS,
            false if busy => ATTEMPTS,
            false => 1,
        };
        if attempt >= attempts {
            return Err(error);
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// The steps as one transaction.
fn transaction(steps: &[Step]) -> String {
    let mut script = BEGIN.to_owned();
    for step in steps {
        script.push_str(&step.sql);
        script.push_str(";\n");
    }
    script.push_str("COMMIT");
    script
}

async fn fill<C: Connection>(connection: &mut C, schema: &SchemaName) -> Result<(), DriverError> {
    let statement = Arc::from(schema.render(FILL_SOME));
    let mut last = String::new();
    loop {
        let rows = connection
            .query(&statement, params![last.as_str(), PORTION])
            .await?;
        let next = rows
            .into_iter()
            .next()
            .map(|mut row| row.text())
            .transpose()?;
        match next.flatten() {
            Some(next) => last = next,
            None => return Ok(()),
        }
    }
}

/// The steps as a script that psql runs as it is, one statement for each text.
pub(super) fn script(steps: &[Step]) -> Vec<String> {
    steps
        .chunk_by(|one, next| one.how == How::Together && next.how == How::Together)
        .flat_map(|group| {
            let whole = group.len() > 1;
            let begin = whole.then(|| "BEGIN".to_owned());
            let commit = whole.then(|| "COMMIT".to_owned());
            let each = group.iter().map(|step| step.sql.clone());
            begin.into_iter().chain(each).chain(commit)
        })
        .collect()
}
