//! Claiming work from queues.

use async_trait::async_trait;
use durable_core::{
    db::{ClaimRequest, Claimed, Queues, Result, WaitingCount, texts},
    ids::{Format, OwnerToken, WorkflowKey},
    state::{Attempts, claim::Claimant, transition::Event},
};
use sqlx::SqliteConnection;

use crate::{
    Sqlite, attempts,
    error::Failure,
    lane::Session,
    readable,
    rows::{self, row_columns},
    workflows::change,
};

#[async_trait]
impl Queues for Sqlite {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        const DOING: &str = "claim workflows";
        texts::check(DOING, &[&request])?;
        // An idle queue is empty, and then nobody need wait for the writer.
        let any = self
            .read(DOING, request.clone(), |conn, request| {
                Box::pin(any_candidate(conn, request))
            })
            .await?;
        if !any {
            return Ok(Vec::new());
        }
        self.write(DOING, request.clone(), |session, request| {
            Box::pin(claim(session, request))
        })
        .await
    }

    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>> {
        // In the lane, behind a claim that may still be on its way there.
        self.write(
            "find claimed workflows",
            tokens.to_vec(),
            |session, tokens| Box::pin(claimed_by(&mut session.conn, tokens)),
        )
        .await
    }

    async fn waiting(&self, application: &str) -> Result<Vec<WaitingCount>> {
        self.read(
            "count what waits on queues",
            application.to_owned(),
            |conn, application| Box::pin(waiting(conn, application)),
        )
        .await
    }
}

/// What can be run, as the conditions of a statement: `claim::Claimant::can_run` in SQL. `?1` application, `?2` names, `?3` formats.
///
/// The name is looked for twice: by itself it is a look into a set, and most rows of others end there.
macro_rules! can_run {
    () => {
        "(s.application_name = ?1 OR s.application_name IS NULL)
      AND s.name IN (SELECT name FROM runnable)
      AND s.serialization IN (SELECT value FROM json_each(?3))
      AND EXISTS (
          SELECT 1
          FROM runnable AS r
          WHERE r.name = s.name
            AND r.class IS s.class_name
            AND r.config IS s.config_name)"
    };
}

/// The names of `can_run!`, read from their parameter once and not for each row.
macro_rules! runnable {
    () => {
        "WITH runnable AS MATERIALIZED (
        SELECT value ->> 0 AS name, value ->> 1 AS class, value ->> 2 AS config
        FROM json_each(?2))
    "
    };
}
pub(crate) use {can_run, runnable};

/// The names that a claimant can run, as the parameter `?2` of `runnable!`.
pub(crate) fn runnable_list(claimant: &Claimant) -> String {
    let key = |key: &WorkflowKey| serde_json::json!([key.name, key.class, key.config]);
    serde_json::Value::Array(claimant.runnable.iter().map(key).collect()).to_string()
}

/// The formats that a claimant can read, as the parameter `?3` of `can_run!`.
pub(crate) fn format_list(claimant: &Claimant) -> String {
    rows::list::<Format>(claimant.formats.iter())
}

/// What may be claimed, as the conditions of a statement: `claim::Claimant::may_claim` in SQL. `?1` to `?3` as in `can_run!`,
/// `?4` queue, `?5` version, `?6` whether it is the newest.
macro_rules! may_claim {
    () => {
        concat!(
            "s.queue_name = ?4
      AND s.status = 'ENQUEUED'
      AND (s.application_version = ?5 OR (?6 AND s.application_version IS NULL))
      AND ",
            can_run!()
        )
    };
}

/// By `durable_enqueued`.
pub(crate) const ANY_CANDIDATE: &str = concat!(
    runnable!(),
    "SELECT EXISTS (
        SELECT 1
        FROM workflow_status AS s
        WHERE ",
    may_claim!(),
    ")"
);

/// By `durable_enqueued`, in its order: the first rows that fit end it.
pub(crate) const CANDIDATES: &str = concat!(
    runnable!(),
    "SELECT ",
    row_columns!(),
    ",
        COALESCE(i.inputs, s.inputs) AS input
    FROM workflow_status AS s
    LEFT JOIN workflow_input AS i ON i.workflow_uuid = s.workflow_uuid
    WHERE ",
    may_claim!(),
    "
    ORDER BY s.priority, s.created_at, s.workflow_uuid
    LIMIT ?7 OFFSET ?8"
);

async fn claim(session: &mut Session, request: &ClaimRequest) -> Result<Vec<Claimed>, Failure> {
    let claimant = &request.claimant;
    if !is_current(&mut session.conn, claimant).await? {
        return Ok(Vec::new());
    }
    let candidates = candidates(&mut session.conn, request, request.tokens.len()).await?;
    let mut claimed = Vec::new();
    for (found, token) in candidates.into_iter().zip(&request.tokens) {
        let event = Event::Claim { claimant, token };
        claimed.extend(take(session, found, &event).await?);
    }
    Ok(claimed)
}

/// Whether anything may be claimed, for all that can be told without reading it.
async fn any_candidate(
    conn: &mut SqliteConnection,
    request: &ClaimRequest,
) -> Result<bool, Failure> {
    let claimant = &request.claimant;
    let latest = is_latest(conn, claimant).await?;
    Ok(sqlx::query_scalar(ANY_CANDIDATE)
        .bind(claimant.application.as_str())
        .bind(runnable_list(claimant))
        .bind(format_list(claimant))
        .bind(request.queue.as_str())
        .bind(claimant.version.as_str())
        .bind(latest)
        .fetch_one(conn)
        .await?)
}

/// What may be claimed, in the order of the claim.
async fn candidates(
    conn: &mut SqliteConnection,
    request: &ClaimRequest,
    limit: usize,
) -> Result<Vec<Claimed>, Failure> {
    let claimant = &request.claimant;
    let latest = is_latest(conn, claimant).await?;
    let statement = |limit, offset| {
        sqlx::query(CANDIDATES)
            .bind(claimant.application.as_str())
            .bind(runnable_list(claimant))
            .bind(format_list(claimant))
            .bind(request.queue.as_str())
            .bind(claimant.version.as_str())
            .bind(latest)
            .bind(limit)
            .bind(offset)
    };
    let unreadable = "an enqueued workflow cannot be read; it stays on its queue";
    readable::page(conn, limit, unreadable, statement, rows::claimed).await
}

/// Lets a claim or an adoption happen; what is taken, if the row allows it.
pub(crate) async fn take(
    session: &mut Session,
    found: Claimed,
    event: &Event<'_>,
) -> Result<Option<Claimed>, Failure> {
    let before = found.row;
    let Some(row) = change(session, &before, event).await? else {
        return Ok(None);
    };
    let dispatched = |known: &Attempts, steps| known.dispatched(&before, steps);
    let excused = match before.attempts {
        ..=0 => 0,
        _ => attempts::note(&mut session.conn, &before, dispatched).await?,
    };
    Ok(Some(Claimed {
        row,
        input: found.input,
        excused,
    }))
}

/// By the primary key.
const LATER_LIFE: &str = "
    SELECT EXISTS (
        SELECT 1
        FROM durable_executors
        WHERE executor_id = ?1
          AND incarnation > ?2)";

/// Whether the request is not of an earlier life of its executor.
pub(crate) async fn is_current(
    conn: &mut SqliteConnection,
    claimant: &Claimant,
) -> Result<bool, Failure> {
    let superseded: bool = sqlx::query_scalar(LATER_LIFE)
        .bind(claimant.executor.as_str())
        .bind(claimant.incarnation)
        .fetch_one(conn)
        .await?;
    Ok(!superseded)
}

/// By `idx_application_versions_owner_timestamp`, once for each of both owners.
pub(crate) const NEWEST: &str = "
    SELECT version_name IS ?2
    FROM application_versions
    WHERE application_name = ?1 OR application_name IS NULL
    ORDER BY version_timestamp DESC
    LIMIT 1";

/// Whether the claimant's version is the newest that its application has registered, or none is.
async fn is_latest(conn: &mut SqliteConnection, claimant: &Claimant) -> Result<bool, Failure> {
    let newest: Option<bool> = sqlx::query_scalar(NEWEST)
        .bind(claimant.application.as_str())
        .bind(claimant.version.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(newest.unwrap_or(true))
}

/// By `idx_workflow_status_pending`: no index has the tokens, and those who run are few beside those who ran.
pub(crate) const CLAIMED_BY: &str = concat!(
    "SELECT ",
    row_columns!(),
    ",
        COALESCE(i.inputs, s.inputs) AS input
    FROM workflow_status AS s
    LEFT JOIN workflow_input AS i ON i.workflow_uuid = s.workflow_uuid
    WHERE s.status = 'PENDING'
      AND s.owner_xid IN (SELECT value FROM json_each(?1))
    ORDER BY +s.workflow_uuid"
);

async fn claimed_by(
    conn: &mut SqliteConnection,
    tokens: &[OwnerToken],
) -> Result<Vec<Claimed>, Failure> {
    let found = sqlx::query(CLAIMED_BY)
        .bind(rows::list(tokens))
        .fetch_all(&mut *conn)
        .await?;
    let unreadable = "a claimed workflow cannot be read; it is not run";
    let mut claimed = Vec::with_capacity(found.len());
    for row in &found {
        claimed.extend(readable::unless_broken(
            row,
            rows::claimed(row),
            unreadable,
        )?);
    }
    for claimed in &mut claimed {
        claimed.excused = attempts::excused(conn, &claimed.row).await?;
    }
    claimed.sort_by_key(|claimed| {
        let owner = claimed.row.owner.as_ref();
        tokens.iter().position(|token| Some(token) == owner)
    });
    Ok(claimed)
}

/// By the partial indexes of each status, whose conditions are repeated: the rows that ended are
/// most, and not looked at.
pub(crate) const WAITING: &str = "
    SELECT queue_name, application_version, count(*) AS found
    FROM (
        SELECT queue_name, application_version
        FROM workflow_status
        WHERE status = 'ENQUEUED'
          AND application_name = ?1
          AND queue_name IS NOT NULL
        UNION ALL
        SELECT queue_name, application_version
        FROM workflow_status
        WHERE status = 'DELAYED'
          AND application_name = ?1
          AND queue_name IS NOT NULL)
    GROUP BY queue_name, application_version
    ORDER BY found DESC, queue_name, application_version";

async fn waiting(
    conn: &mut SqliteConnection,
    application: &str,
) -> Result<Vec<WaitingCount>, Failure> {
    let found = sqlx::query(WAITING)
        .bind(application)
        .fetch_all(conn)
        .await?;
    found
        .iter()
        .map(|row| {
            Ok(WaitingCount {
                queue: rows::column(row, "queue_name")?,
                version: rows::column(row, "application_version")?,
                count: rows::count(row, "found")?,
            })
        })
        .collect()
}
