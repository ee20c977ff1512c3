//! Checkpoints.

use std::collections::HashMap;

use async_trait::async_trait;
use durable_core::{
    db::{History, Lost, Recorded, Result, StepRecord, StepResult, Steps, texts},
    ids::{Format, Owner, WorkflowId},
    payload::Encoded,
    state::Status,
    time::Timestamp,
};
use sqlx::SqliteConnection;

use crate::{Sqlite, error::Failure, lane::Session, rows};

#[async_trait]
impl Steps for Sqlite {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        texts::check("record a step", &[&owner, &step])?;
        let args = (owner.clone(), step.clone());
        self.write("record a step", args, |session, (owner, step)| {
            Box::pin(async move { Ok(record(session, owner, step).await?.into()) })
        })
        .await
    }

    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>> {
        texts::check("read the steps of workflows", &[&ids])?;
        self.read("read the steps of workflows", ids.to_vec(), |conn, ids| {
            Box::pin(histories(conn, ids))
        })
        .await
    }
}

/// What came of recording an operation, for those who have more to write if it is new.
pub(crate) enum Recording {
    /// It is recorded now.
    New,
    /// An equal record was there.
    Known,
    /// Another record was there.
    Other(Box<StepRecord>),
    /// The token is not the row's.
    Lost(Lost),
}

impl From<Recording> for Recorded {
    fn from(recording: Recording) -> Self {
        match recording {
            Recording::New | Recording::Known => Self::Written,
            Recording::Other(stored) => Self::Conflict(stored),
            Recording::Lost(lost) => Self::Lost(lost),
        }
    }
}

/// By the primary keys of both tables.
const RECORD: &str = "
    INSERT INTO operation_outputs (
        workflow_uuid, function_id, function_name, output, error, serialization, child_workflow_id,
        started_at_epoch_ms, completed_at_epoch_ms, application_name, retention_timestamp)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, application_name, ?10
    FROM workflow_status
    WHERE workflow_uuid = ?1
      AND status = 'PENDING'
      AND owner_xid = ?11
    ON CONFLICT (workflow_uuid, function_id) DO NOTHING";

/// Records an operation, if the owner's token is the row's and the number is free.
pub(crate) async fn record(
    session: &mut Session,
    owner: &Owner,
    step: &StepRecord,
) -> Result<Recording, Failure> {
    let (output, error) = match &step.result {
        StepResult::Output(value) => (Some(value), None),
        StepResult::Error(value) => (None, Some(value)),
        StepResult::Nothing => (None, None),
    };
    let format = output.or(error).and_then(|value| value.format.as_ref());
    let written = sqlx::query(RECORD)
        .bind(owner.workflow.as_str())
        .bind(step.number)
        .bind(step.name.as_str())
        .bind(text(output))
        .bind(text(error))
        .bind(format.map(Format::as_str))
        .bind(step.child.as_ref().map(WorkflowId::as_str))
        .bind(step.started_at.map(Timestamp::as_millis))
        .bind(step.completed_at.map(Timestamp::as_millis))
        .bind(session.now().as_millis())
        .bind(owner.token.as_str())
        .execute(&mut session.conn)
        .await?;
    if written.rows_affected() == 1 {
        return Ok(Recording::New);
    }
    if let Err(lost) = check_owner(&mut session.conn, owner).await? {
        return Ok(Recording::Lost(lost));
    }
    match stored(&mut session.conn, &owner.workflow, step.number).await? {
        Some(stored) if same(&stored, step) => Ok(Recording::Known),
        Some(stored) => Ok(Recording::Other(Box::new(stored))),
        None => Err(Failure::broken(format!(
            "step {} of workflow {:?} is refused and not there",
            step.number, owner.workflow
        ))),
    }
}

fn text(value: Option<&Encoded>) -> Option<&str> {
    value.map(|value| value.text.as_str())
}

/// Whether two records say the same. Their times may differ: an operation that is asked again need not have kept them.
fn same(a: &StepRecord, b: &StepRecord) -> bool {
    (&a.name, &a.result, &a.child) == (&b.name, &b.result, &b.child)
}

/// By the primary key.
const OWNER: &str = "
    SELECT status, owner_xid
    FROM workflow_status
    WHERE workflow_uuid = ?1";

/// Whether the token is that of the running execution; if not, how the row stands.
pub(crate) async fn check_owner(
    conn: &mut SqliteConnection,
    owner: &Owner,
) -> Result<Result<(), Lost>, Failure> {
    let row = sqlx::query(OWNER)
        .bind(owner.workflow.as_str())
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else {
        return Ok(Err(Lost { status: None }));
    };
    let status = rows::status(&row, &owner.workflow)?;
    let held = rows::name(&row, "owner_xid")?;
    if status == Status::Pending && held.as_ref() == Some(&owner.token) {
        return Ok(Ok(()));
    }
    Ok(Err(Lost {
        status: Some(status),
    }))
}

/// By the primary key.
const STORED: &str = "
    SELECT function_id, function_name, output, error, serialization, child_workflow_id,
           started_at_epoch_ms, completed_at_epoch_ms
    FROM operation_outputs
    WHERE workflow_uuid = ?1
      AND function_id = ?2";

/// What is recorded under a number.
pub(crate) async fn stored(
    conn: &mut SqliteConnection,
    workflow: &WorkflowId,
    number: i32,
) -> Result<Option<StepRecord>, Failure> {
    let row = sqlx::query(STORED)
        .bind(workflow.as_str())
        .bind(number)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(rows::step).transpose()
}

/// A number of an execution is taken by another operation, where the call has no answer for that.
pub(crate) fn taken(owner: &Owner, stored: &StepRecord, wanted: &str) -> Failure {
    Failure::broken(format!(
        "step {} of workflow {:?} is recorded as {:?} with another result than {wanted:?} has; a workflow must do the same \
         operations in the same order each time",
        stored.number, owner.workflow, stored.name
    ))
}

/// By the primary key, once for each workflow.
pub(crate) const HISTORIES: &str = "
    SELECT o.workflow_uuid, o.function_id, o.function_name, o.output, o.error, o.serialization, o.child_workflow_id,
           o.started_at_epoch_ms, o.completed_at_epoch_ms
    FROM json_each(?1) AS w
    JOIN operation_outputs AS o ON o.workflow_uuid = w.value
    ORDER BY o.workflow_uuid, o.function_id";

async fn histories(
    conn: &mut SqliteConnection,
    ids: &[WorkflowId],
) -> Result<Vec<History>, Failure> {
    let rows = sqlx::query(HISTORIES)
        .bind(rows::list(ids))
        .fetch_all(conn)
        .await?;
    let mut steps: HashMap<WorkflowId, Vec<StepRecord>> = HashMap::new();
    for row in &rows {
        let id = rows::workflow_id(row)?;
        steps.entry(id).or_default().push(rows::step(row)?);
    }
    // Taken out, so that an id that is asked for twice is answered once.
    let history = |id: &WorkflowId| {
        steps.remove(id).map(|steps| History {
            workflow: id.clone(),
            steps,
        })
    };
    Ok(ids.iter().filter_map(history).collect())
}
