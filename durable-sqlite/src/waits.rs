//! What waiters are told.

use durable_core::{
    db::{Lost, Waits, Wakes},
    ids::{Owner, WorkflowId},
    payload::Ended,
    state::Status,
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use crate::{error::Failure, readable, rows};

const UNREADABLE: &str = "a workflow that is waited for cannot be read; its waiters go on waiting";

/// Looks for everything that is waited for; the caller's transaction makes it one look.
pub(crate) async fn poll(conn: &mut SqliteConnection, waits: &Waits) -> Result<Wakes, Failure> {
    let mut wakes = Wakes::default();
    if !waits.results.is_empty() {
        wakes.results = results(conn, &waits.results).await?;
    }
    if !waits.messages.is_empty() {
        wakes.messages = found(conn, MESSAGES, &waits.messages).await?;
    }
    if !waits.events.is_empty() {
        wakes.events = found(conn, EVENTS, &waits.events).await?;
    }
    if !waits.owners.is_empty() {
        wakes.owners = losers(conn, &waits.owners).await?;
    }
    Ok(wakes)
}

/// By the primary keys. A status that nobody knows counts as an end, to be found out below.
pub(crate) const RESULTS: &str = "
    SELECT w.value AS wanted, s.workflow_uuid, s.status, s.serialization,
           COALESCE(o.output, s.output) AS output, COALESCE(o.error, s.error) AS error
    FROM json_each(?1) AS w
    LEFT JOIN workflow_status AS s ON s.workflow_uuid = w.value
    LEFT JOIN workflow_output AS o ON o.workflow_uuid = s.workflow_uuid
    WHERE s.status IS NULL
       OR s.status NOT IN ('PENDING', 'ENQUEUED', 'DELAYED')";

async fn results(
    conn: &mut SqliteConnection,
    ids: &[WorkflowId],
) -> Result<Vec<(WorkflowId, Ended)>, Failure> {
    let rows = sqlx::query(RESULTS)
        .bind(rows::list(ids))
        .fetch_all(conn)
        .await?;
    let mut ends = Vec::with_capacity(rows.len());
    for row in &rows {
        let wanted: String = rows::column(row, "wanted")?;
        let id = WorkflowId::from(wanted);
        match ended(row, &id) {
            Ok(Some(end)) => ends.push((id, end)),
            Ok(None) => {}
            // One row that cannot be read must not keep all others waiting.
            Err(failure) => readable::leave_out(&id, failure, UNREADABLE)?,
        }
    }
    Ok(ends)
}

fn ended(row: &SqliteRow, id: &WorkflowId) -> Result<Option<Ended>, Failure> {
    let there: Option<WorkflowId> = rows::name(row, "workflow_uuid")?;
    if there.is_none() {
        return Ok(Some(Ended::Missing));
    }
    Ok(match rows::status(row, id)? {
        Status::Pending | Status::Enqueued | Status::Delayed => None,
        Status::Success => Some(Ended::Outcome(rows::outcome(row, true)?)),
        Status::Error => Some(Ended::Outcome(rows::outcome(row, false)?)),
        Status::Cancelled => Some(Ended::Cancelled),
        Status::MaxRecoveryAttemptsExceeded => Some(Ended::DeadLettered),
    })
}

/// By `idx_workflow_topic`.
pub(crate) const MESSAGES: &str = "
    SELECT w.value ->> 0 AS workflow, w.value ->> 1 AS name
    FROM json_each(?1) AS w
    WHERE EXISTS (
        SELECT 1
        FROM notifications AS n
        WHERE n.destination_uuid = w.value ->> 0
          AND n.topic = w.value ->> 1
          AND n.consumed = FALSE)";

/// By the primary key.
pub(crate) const EVENTS: &str = "
    SELECT w.value ->> 0 AS workflow, w.value ->> 1 AS name
    FROM json_each(?1) AS w
    WHERE EXISTS (
        SELECT 1
        FROM workflow_events AS e
        WHERE e.workflow_uuid = w.value ->> 0
          AND e.key = w.value ->> 1)";

/// Those of the pairs, of a workflow and a topic or key, for which there is something.
async fn found(
    conn: &mut SqliteConnection,
    statement: &'static str,
    pairs: &[(WorkflowId, String)],
) -> Result<Vec<(WorkflowId, String)>, Failure> {
    let list = rows::pairs(pairs.iter().map(|(id, name)| (id.as_str(), name.as_str())));
    let rows = sqlx::query(statement).bind(list).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let id: String = rows::column(row, "workflow")?;
            Ok((WorkflowId::from(id), rows::column(row, "name")?))
        })
        .collect()
}

/// By the primary key.
pub(crate) const LOSERS: &str = "
    SELECT w.value ->> 0 AS workflow, w.value ->> 1 AS token, s.workflow_uuid, s.status
    FROM json_each(?1) AS w
    LEFT JOIN workflow_status AS s ON s.workflow_uuid = w.value ->> 0
    WHERE s.status IS NOT 'PENDING'
       OR s.owner_xid IS NOT w.value ->> 1";

/// Those of the owners whose token is not the row's.
async fn losers(
    conn: &mut SqliteConnection,
    owners: &[Owner],
) -> Result<Vec<(Owner, Lost)>, Failure> {
    let pairs = owners
        .iter()
        .map(|owner| (owner.workflow.as_str(), owner.token.as_str()));
    let rows = sqlx::query(LOSERS)
        .bind(rows::pairs(pairs))
        .fetch_all(conn)
        .await?;
    let mut losers = Vec::with_capacity(rows.len());
    for row in &rows {
        let (workflow, token): (String, String) =
            (rows::column(row, "workflow")?, rows::column(row, "token")?);
        let owner = Owner {
            workflow: workflow.into(),
            token: token.into(),
        };
        match lost(row) {
            Ok(lost) => losers.push((owner, lost)),
            Err(failure) => readable::leave_out(&owner.workflow, failure, UNREADABLE)?,
        }
    }
    Ok(losers)
}

fn lost(row: &SqliteRow) -> Result<Lost, Failure> {
    let there: Option<WorkflowId> = rows::name(row, "workflow_uuid")?;
    let status = match there {
        Some(id) => Some(rows::status(row, &id)?),
        None => None,
    };
    Ok(Lost { status })
}
