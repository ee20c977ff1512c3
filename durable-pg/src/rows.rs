//! What columns mean: rows of the database as the engine's types. A select list and the code that reads it stand together.

use durable_core::{
    db::{Claimed, Existing, StepRecord, StepResult},
    ids::{Format, WorkflowId, WorkflowKey},
    payload::{Encoded, Outcome},
    state::{Status, WorkflowRow},
    time::Timestamp,
};

use crate::{Row, error::Failure};

/// The database's clock: milliseconds since the Unix epoch at the transaction's beginning, as the columns' defaults have it.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM now()) * 1000.0)::bigint"
    };
}
pub(crate) use now_ms;

/// The database's clock.
pub(crate) const NOW: &str = concat!("SELECT ", now_ms!());

/// The columns of a workflow's row, of `workflow_status AS s`, as [`workflow_row`] reads them.
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

/// The columns of a recorded operation, of `operation_outputs AS o`, as [`step`] reads them.
macro_rules! step_columns {
    () => {
        "o.function_id, o.function_name, o.output, o.error, o.serialization, o.child_workflow_id,
         o.started_at_epoch_ms, o.completed_at_epoch_ms"
    };
}
pub(crate) use step_columns;

fn instant(row: &mut Row) -> Result<Option<Timestamp>, Failure> {
    Ok(row.integer()?.map(Timestamp::from_millis))
}

/// A status column of the workflow `id`.
pub(crate) fn status(row: &mut Row, id: &WorkflowId) -> Result<Status, Failure> {
    let text = row.text()?.unwrap_or_default();
    text.parse()
        .map_err(|error| Failure::broken(format!("workflow {id:?} cannot be read: {error}")))
}

/// What a workflow was started as: its name, class and instance.
pub(crate) fn workflow_key(row: &mut Row) -> Result<WorkflowKey, Failure> {
    Ok(WorkflowKey {
        name: row.text()?.unwrap_or_default(),
        class: row.text()?,
        config: row.text()?,
    })
}

/// A workflow's row, selected by [`row_columns`].
pub(crate) fn workflow_row(row: &mut Row) -> Result<WorkflowRow, Failure> {
    let id = WorkflowId::from(row.some_text()?);
    Ok(WorkflowRow {
        status: status(row, &id)?,
        key: workflow_key(row)?,
        application: row.text()?,
        version: row.text()?,
        executor: row.name()?,
        owner: row.name()?,
        creator: row.name()?,
        attempts: row.integer()?.unwrap_or(0),
        queue: row.text()?,
        priority: i32::try_from(row.some_integer()?).unwrap_or(i32::MAX),
        deduplication_id: row.text()?,
        partition_key: row.text()?,
        timeout_ms: row.integer()?,
        deadline: instant(row)?,
        delay_until: instant(row)?,
        parent: row.name()?,
        forked_from: row.name()?,
        format: row.name()?,
        created_at: instant(row)?.unwrap_or_default(),
        updated_at: instant(row)?.unwrap_or_default(),
        started_at: instant(row)?,
        completed_at: instant(row)?,
        id,
    })
}

/// A workflow's row, and behind it the text of its arguments. What does not count of its dispatches
/// stands elsewhere.
pub(crate) fn claimed(row: &mut Row) -> Result<Claimed, Failure> {
    let workflow = workflow_row(row)?;
    let input = row.text()?.map(|text| Encoded {
        text,
        format: workflow.format.clone(),
    });
    Ok(Claimed {
        row: workflow,
        input,
        excused: 0,
    })
}

/// The status, the key, the queue and the parent of the workflow `id`.
pub(crate) fn existing(row: &mut Row, id: &WorkflowId) -> Result<Existing, Failure> {
    Ok(Existing {
        status: status(row, id)?,
        key: workflow_key(row)?,
        queue: row.text()?,
        parent: row.name()?,
    })
}

/// An encoded value: its text, and its format behind it.
pub(crate) fn encoded(row: &mut Row) -> Result<Encoded, Failure> {
    Ok(Encoded {
        text: row.some_text()?,
        format: row.name()?,
    })
}

/// How a workflow ended by itself, of its format, output and error. A value or an error that nobody stored counts as JSON's `null`:
/// rows of other SDKs have been seen without.
pub(crate) fn outcome(row: &mut Row, success: bool) -> Result<Outcome, Failure> {
    let format: Option<Format> = row.name()?;
    let (output, error) = (row.text()?, row.text()?);
    let payload = |text: Option<String>| Encoded {
        text: text.unwrap_or_else(|| "null".to_owned()),
        format,
    };
    Ok(if success {
        Outcome::Success(payload(output))
    } else {
        Outcome::Failure(payload(error))
    })
}

/// A recorded operation, selected by [`step_columns`].
pub(crate) fn step(row: &mut Row) -> Result<StepRecord, Failure> {
    let number = row.some_integer()?;
    let number = i32::try_from(number)
        .map_err(|_| Failure::broken(format!("a step has the number {number}")))?;
    let name = row.some_text()?;
    let (output, error) = (row.text()?, row.text()?);
    let format: Option<Format> = row.name()?;
    let result = match (output, error) {
        (_, Some(text)) => StepResult::Error(Encoded { text, format }),
        (Some(text), None) => StepResult::Output(Encoded { text, format }),
        (None, None) => StepResult::Nothing,
    };
    Ok(StepRecord {
        number,
        name,
        result,
        child: row.name()?,
        started_at: instant(row)?,
        completed_at: instant(row)?,
    })
}

/// A number of rows, as `LIMIT` takes it.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Names as one parameter.
pub(crate) fn list<'a, T: AsRef<str> + 'a>(
    names: impl IntoIterator<Item = &'a T>,
) -> Vec<Option<&'a str>> {
    names.into_iter().map(|name| Some(name.as_ref())).collect()
}
