//! Letting an event happen to rows that are locked: what becomes of them is decided by `durable_core::state::transition`.

use durable_core::{
    ids::{ExecutorId, OwnerToken, WorkflowId},
    state::{
        WorkflowRow,
        transition::{Event, apply},
    },
    time::Timestamp,
};

use crate::{
    Driver, Row,
    error::Failure,
    rows::{self, now_ms, row_columns},
    transaction::Transaction,
    value::params,
};

/// By the primary key. In the order of the ids, as everybody locks several rows.
pub(crate) const LOCK: &str = concat!(
    "SELECT ",
    now_ms!(),
    ", ",
    row_columns!(),
    " FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = ANY ($1::text[])
    ORDER BY s.workflow_uuid
    FOR NO KEY UPDATE"
);

/// Rows as they stand until the end of the transaction, and its instant.
pub(crate) struct Locked {
    pub(crate) now: Timestamp,
    pub(crate) rows: Vec<WorkflowRow>,
}

/// Locks rows, and reads them.
pub(crate) async fn lock<D: Driver>(
    t: &mut Transaction<'_, D>,
    ids: &[WorkflowId],
) -> Result<Locked, Failure> {
    let ids = rows::list(ids);
    let found = t.query(LOCK, params![&ids]).await?;
    let (now, rows) = with_instant(found, rows::workflow_row)?;
    Ok(Locked { now, rows })
}

/// Locks one row, and reads it.
pub(crate) async fn lock_one<D: Driver>(
    t: &mut Transaction<'_, D>,
    id: &WorkflowId,
) -> Result<Option<(WorkflowRow, Timestamp)>, Failure> {
    let mut locked = lock(t, std::slice::from_ref(id)).await?;
    Ok(locked.rows.pop().map(|row| (row, locked.now)))
}

/// Rows that have the transaction's instant before what `read` reads.
pub(crate) fn with_instant<T>(
    found: Vec<Row>,
    read: impl Fn(&mut Row) -> Result<T, Failure>,
) -> Result<(Timestamp, Vec<T>), Failure> {
    let mut now = Timestamp::default();
    let mut all = Vec::with_capacity(found.len());
    for mut row in found {
        now = Timestamp::from_millis(row.some_integer()?);
        all.push(read(&mut row)?);
    }
    Ok((now, all))
}

/// By the primary key. All that a transition may change.
pub(crate) const SAVE: &str = "
    UPDATE dbos.workflow_status AS s
    SET status = t.status, application_name = t.application, application_version = t.version, executor_id = t.executor,
        owner_xid = t.owner, recovery_attempts = t.attempts, queue_name = t.queue, deduplication_id = t.deduplication,
        workflow_deadline_epoch_ms = t.deadline, updated_at = t.updated, started_at_epoch_ms = t.started,
        completed_at = t.completed
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
                $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
        AS t (id, status, application, version, executor, owner, attempts, queue, deduplication, deadline, updated, started,
              completed)
    WHERE s.workflow_uuid = ANY ($1::text[])
      AND s.workflow_uuid = t.id";

/// Lets an event happen to each of these locked rows; the rows that it changed, as they are now.
pub(crate) async fn change<'e, D: Driver>(
    t: &mut Transaction<'_, D>,
    locked: &[WorkflowRow],
    now: Timestamp,
    event: impl Fn(usize) -> Event<'e>,
) -> Result<Vec<WorkflowRow>, Failure> {
    let changed: Vec<WorkflowRow> = locked
        .iter()
        .enumerate()
        .filter_map(|(n, row)| apply(row, &event(n), now).ok())
        .collect();
    if t.is_careful() {
        return save_each(t, changed).await;
    }
    save(t, &changed).await?;
    Ok(changed)
}

/// Writes each of these by itself; those that the server takes. One that other programs have left with names that are too long for an
/// index must not keep all others of its queue, or of its executor, from going on.
async fn save_each<D: Driver>(
    t: &mut Transaction<'_, D>,
    changed: Vec<WorkflowRow>,
) -> Result<Vec<WorkflowRow>, Failure> {
    let mut saved = Vec::with_capacity(changed.len());
    for row in changed {
        t.script("SAVEPOINT one_row").await?;
        match save(t, std::slice::from_ref(&row)).await {
            Ok(()) => saved.push(row),
            Err(failure) if failure.is_about_a_value() => {
                t.script("ROLLBACK TO SAVEPOINT one_row").await?;
                tracing::error!(
                    workflow = %row.id,
                    error = %failure.into_error("change a workflow"),
                    "a workflow cannot be changed and is left as it is; others go on"
                );
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(saved)
}

/// A column of these rows.
fn each<'a, T>(
    rows: &'a [WorkflowRow],
    column: impl Fn(&'a WorkflowRow) -> Option<T>,
) -> Vec<Option<T>> {
    rows.iter().map(column).collect()
}

/// Writes rows that are locked.
pub(crate) async fn save<D: Driver>(
    t: &mut Transaction<'_, D>,
    changed: &[WorkflowRow],
) -> Result<(), Failure> {
    if changed.is_empty() {
        return Ok(());
    }
    let at = |instant: Option<Timestamp>| instant.map(Timestamp::as_millis);
    t.query(
        SAVE,
        params![
            &each(changed, |row| Some(row.id.as_str())),
            &each(changed, |row| Some(row.status.as_str())),
            &each(changed, |row| row.application.as_deref()),
            &each(changed, |row| row.version.as_deref()),
            &each(changed, |row| row.executor.as_ref().map(ExecutorId::as_str)),
            &each(changed, |row| row.owner.as_ref().map(OwnerToken::as_str)),
            &each(changed, |row| Some(row.attempts)),
            &each(changed, |row| row.queue.as_deref()),
            &each(changed, |row| row.deduplication_id.as_deref()),
            &each(changed, |row| at(row.deadline)),
            &each(changed, |row| at(Some(row.updated_at))),
            &each(changed, |row| at(row.started_at)),
            &each(changed, |row| at(row.completed_at)),
        ],
    )
    .await?;
    Ok(())
}
