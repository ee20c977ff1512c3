//! What columns mean: rows of the database as the engine's types, and lists as SQLite takes them.

use durable_core::{
    db::{Claimed, StepRecord, StepResult},
    ids::{Format, OwnerToken, WorkflowId, WorkflowKey},
    payload::{Encoded, Outcome},
    state::{Status, WorkflowRow},
    time::Timestamp,
};
use sqlx::{Decode, Row, Sqlite, sqlite::SqliteRow};

use crate::error::Failure;

/// The columns of a workflow's row, of `workflow_status AS s`.
macro_rules! row_columns {
    () => {
        "s.workflow_uuid, s.status, s.name, s.class_name, s.config_name, s.application_name, s.application_version,
         s.executor_id, s.owner_xid, s.creator_xid, s.recovery_attempts, s.queue_name, s.priority, s.deduplication_id,
         s.queue_partition_key, s.workflow_timeout_ms, s.workflow_deadline_epoch_ms, s.delay_until_epoch_ms,
         s.parent_workflow_id, s.forked_from, s.serialization, s.created_at, s.updated_at, s.started_at_epoch_ms,
         s.completed_at"
    };
}
pub(crate) use row_columns;

/// One column. The types of SQLite are those of the value, not of the column: other SDKs store some integers as floats,
/// so values are converted, as SQLite does it, and not refused.
pub(crate) fn column<'r, T: Decode<'r, Sqlite>>(
    row: &'r SqliteRow,
    name: &str,
) -> Result<T, Failure> {
    Ok(row.try_get_unchecked(name)?)
}

/// A `count(*)`.
pub(crate) fn count(row: &SqliteRow, name: &str) -> Result<u64, Failure> {
    let count: i64 = column(row, name)?;
    Ok(count.unsigned_abs())
}

/// A name that may be absent.
pub(crate) fn name<T: From<String>>(
    row: &SqliteRow,
    column_name: &str,
) -> Result<Option<T>, Failure> {
    let text: Option<String> = column(row, column_name)?;
    Ok(text.map(T::from))
}

/// An instant that may be absent.
fn instant(row: &SqliteRow, column_name: &str) -> Result<Option<Timestamp>, Failure> {
    let ms: Option<i64> = column(row, column_name)?;
    Ok(ms.map(Timestamp::from_millis))
}

/// The workflow's id, in the column of the tables' own name for it.
pub(crate) fn workflow_id(row: &SqliteRow) -> Result<WorkflowId, Failure> {
    let text: String = column(row, "workflow_uuid")?;
    Ok(WorkflowId::from(text))
}

/// The status of the workflow `id`.
pub(crate) fn status(row: &SqliteRow, id: &WorkflowId) -> Result<Status, Failure> {
    let text: Option<String> = column(row, "status")?;
    let text = text.unwrap_or_default();
    text.parse()
        .map_err(|error| Failure::broken(format!("workflow {id:?} cannot be read: {error}")))
}

/// What a workflow was started as.
pub(crate) fn workflow_key(row: &SqliteRow) -> Result<WorkflowKey, Failure> {
    Ok(WorkflowKey {
        name: name(row, "name")?.unwrap_or_default(),
        class: name(row, "class_name")?,
        config: name(row, "config_name")?,
    })
}

/// A workflow's row, selected by [`row_columns`].
pub(crate) fn workflow_row(row: &SqliteRow) -> Result<WorkflowRow, Failure> {
    let id = workflow_id(row)?;
    let attempts: Option<i64> = column(row, "recovery_attempts")?;
    Ok(WorkflowRow {
        status: status(row, &id)?,
        key: workflow_key(row)?,
        application: name(row, "application_name")?,
        version: name(row, "application_version")?,
        executor: name(row, "executor_id")?,
        owner: name(row, "owner_xid")?,
        creator: name(row, "creator_xid")?,
        attempts: attempts.unwrap_or(0),
        queue: name(row, "queue_name")?,
        priority: column(row, "priority")?,
        deduplication_id: name(row, "deduplication_id")?,
        partition_key: name(row, "queue_partition_key")?,
        timeout_ms: column(row, "workflow_timeout_ms")?,
        deadline: instant(row, "workflow_deadline_epoch_ms")?,
        delay_until: instant(row, "delay_until_epoch_ms")?,
        parent: name(row, "parent_workflow_id")?,
        forked_from: name(row, "forked_from")?,
        format: name(row, "serialization")?,
        created_at: instant(row, "created_at")?.unwrap_or_default(),
        updated_at: instant(row, "updated_at")?.unwrap_or_default(),
        started_at: instant(row, "started_at_epoch_ms")?,
        completed_at: instant(row, "completed_at")?,
        id,
    })
}

/// A workflow's row and, in the column `input`, the text of its arguments. What does not count of
/// its dispatches stands elsewhere.
pub(crate) fn claimed(row: &SqliteRow) -> Result<Claimed, Failure> {
    let text: Option<String> = column(row, "input")?;
    let row = workflow_row(row)?;
    let input = text.map(|text| Encoded {
        text,
        format: row.format.clone(),
    });
    Ok(Claimed {
        row,
        input,
        excused: 0,
    })
}

/// An encoded value: its text, and the format in the column `serialization`.
pub(crate) fn encoded(row: &SqliteRow, text: String) -> Result<Encoded, Failure> {
    let format: Option<Format> = name(row, "serialization")?;
    Ok(Encoded { text, format })
}

/// How a workflow ended by itself, of the columns `output` and `error`. A value or an error that nobody stored counts as JSON's `null`:
/// rows of other SDKs have been seen without.
pub(crate) fn outcome(row: &SqliteRow, success: bool) -> Result<Outcome, Failure> {
    let stored: Option<String> = column(row, if success { "output" } else { "error" })?;
    let payload = encoded(row, stored.unwrap_or_else(|| "null".to_owned()))?;
    Ok(if success {
        Outcome::Success(payload)
    } else {
        Outcome::Failure(payload)
    })
}

/// A recorded operation.
pub(crate) fn step(row: &SqliteRow) -> Result<StepRecord, Failure> {
    let output: Option<String> = column(row, "output")?;
    let error: Option<String> = column(row, "error")?;
    let result = match (output, error) {
        (_, Some(text)) => StepResult::Error(encoded(row, text)?),
        (Some(text), None) => StepResult::Output(encoded(row, text)?),
        (None, None) => StepResult::Nothing,
    };
    Ok(StepRecord {
        number: column(row, "function_id")?,
        name: column(row, "function_name")?,
        result,
        child: name(row, "child_workflow_id")?,
        started_at: instant(row, "started_at_epoch_ms")?,
        completed_at: instant(row, "completed_at_epoch_ms")?,
    })
}

/// Names as one parameter, to be read by `json_each`.
pub(crate) fn list<'a, T: AsRef<str> + 'a>(names: impl IntoIterator<Item = &'a T>) -> String {
    let names = names.into_iter().map(|name| name.as_ref().into());
    serde_json::Value::Array(names.collect()).to_string()
}

/// Pairs of names as one parameter, to be read by `json_each`: `value ->> 0` and `value ->> 1`.
pub(crate) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(a, b)| serde_json::json!([a, b]));
    serde_json::Value::Array(pairs.collect()).to_string()
}

/// A number of rows, as `LIMIT` takes it.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// What an owner token column is compared with.
pub(crate) fn token_text(token: Option<&OwnerToken>) -> Option<&str> {
    token.map(OwnerToken::as_str)
}
