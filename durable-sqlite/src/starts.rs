//! Inserting workflows, alone or as another one's children.

use durable_core::{
    db::{ChildInserted, Existing, Hint, Inserted, NewWorkflow, Placement, StepResult, StepStamp},
    ids::{Format, Owner, OwnerToken, WorkflowId},
    state::WorkflowRow,
    time::Timestamp,
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use crate::{
    error::Failure,
    lane::Session,
    rows,
    steps::{Recording, check_owner, record, taken},
};

/// A workflow to insert, with its input apart, so that it is not copied each time the row is made.
pub(crate) struct Start {
    new: NewWorkflow,
    input: String,
}

impl Start {
    pub(crate) fn new(new: &NewWorkflow) -> Self {
        let mut new = new.clone();
        let input = std::mem::take(&mut new.input.text);
        Self { new, input }
    }

    /// The row, at the transaction's instant; on a queue, after all that this process put there before.
    fn row(&self, session: &mut Session) -> WorkflowRow {
        let now = match &self.new.placement {
            Placement::Here => session.now(),
            Placement::Queue { name, .. } => session.place_on(name),
        };
        self.row_at(now)
    }

    /// The row, made at this instant.
    pub(crate) fn row_at(&self, now: Timestamp) -> WorkflowRow {
        self.new.clone().into_row(now)
    }
}

/// By the primary key. No JSON in `attributes`, and `application_id` as the reference leaves it.
const INSERT: &str = "
    INSERT INTO workflow_status (
        workflow_uuid, status, name, class_name, config_name, application_id, application_name, application_version,
        executor_id, owner_xid, creator_xid, recovery_attempts, queue_name, priority, workflow_timeout_ms,
        workflow_deadline_epoch_ms, parent_workflow_id, serialization, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, '', ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
    ON CONFLICT (workflow_uuid) DO NOTHING";

/// By the primary keys. What an earlier, deleted workflow of this id left must not be taken for the new one's.
const INPUT: &str = "
    INSERT INTO workflow_input (workflow_uuid, inputs, retention_timestamp)
    VALUES (?1, ?2, ?3)
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET inputs = excluded.inputs, retention_timestamp = excluded.retention_timestamp;
    DELETE FROM operation_outputs
    WHERE workflow_uuid = ?1;
    DELETE FROM workflow_output
    WHERE workflow_uuid = ?1";

/// Inserts a workflow and its input, unless its id is taken.
pub(crate) async fn insert(session: &mut Session, start: &Start) -> Result<Inserted, Failure> {
    let row = start.row(session);
    let now = session.now();
    let inserted = insert_at(&mut session.conn, start, &row, now).await?;
    if let (Inserted::Created { .. }, Some(queue)) = (&inserted, row.queue) {
        session.hint(Hint::Queue(queue));
    }
    Ok(inserted)
}

/// The same in whatever transaction is open on the connection.
pub(crate) async fn insert_at(
    conn: &mut SqliteConnection,
    start: &Start,
    row: &WorkflowRow,
    now: Timestamp,
) -> Result<Inserted, Failure> {
    if !insert_row(conn, row).await? {
        return existing(conn, start).await?.ok_or_else(|| {
            Failure::broken(format!("workflow {:?} is refused and not there", row.id))
        });
    }
    sqlx::query(INPUT)
        .bind(row.id.as_str())
        .bind(start.input.as_str())
        .bind(now.as_millis())
        .execute(conn)
        .await?;
    Ok(Inserted::Created {
        deadline: row.deadline,
    })
}

/// Whether the row is inserted; no other has its id then.
async fn insert_row(conn: &mut SqliteConnection, row: &WorkflowRow) -> Result<bool, Failure> {
    let inserted = sqlx::query(INSERT)
        .bind(row.id.as_str())
        .bind(row.status.as_str())
        .bind(row.key.name.as_str())
        .bind(row.key.class.as_deref())
        .bind(row.key.config.as_deref())
        .bind(row.application.as_deref())
        .bind(row.version.as_deref())
        .bind(row.executor.as_ref().map(AsRef::<str>::as_ref))
        .bind(rows::token_text(row.owner.as_ref()))
        .bind(rows::token_text(row.creator.as_ref()))
        .bind(row.attempts)
        .bind(row.queue.as_deref())
        .bind(row.priority)
        .bind(row.timeout_ms)
        .bind(row.deadline.map(Timestamp::as_millis))
        .bind(row.parent.as_ref().map(WorkflowId::as_str))
        .bind(row.format.as_ref().map(Format::as_str))
        .bind(row.created_at.as_millis())
        .bind(row.updated_at.as_millis())
        .execute(conn)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// By the primary key.
const EXISTING: &str = "
    SELECT status, name, class_name, config_name, queue_name, parent_workflow_id, creator_xid, workflow_deadline_epoch_ms
    FROM workflow_status
    WHERE workflow_uuid = ?1";

/// What a start finds where its id is taken; `None` if it is free.
async fn existing(conn: &mut SqliteConnection, start: &Start) -> Result<Option<Inserted>, Failure> {
    let new = &start.new;
    let row = sqlx::query(EXISTING)
        .bind(new.id.as_str())
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let creator: Option<OwnerToken> = rows::name(&row, "creator_xid")?;
    if creator.as_ref() == Some(&new.creator) {
        let deadline: Option<i64> = rows::column(&row, "workflow_deadline_epoch_ms")?;
        return Ok(Some(Inserted::Created {
            deadline: deadline.map(Timestamp::from_millis),
        }));
    }
    Ok(Some(Inserted::Exists(held(&row, &new.id)?)))
}

/// The workflow that holds an id.
fn held(row: &SqliteRow, id: &WorkflowId) -> Result<Existing, Failure> {
    Ok(Existing {
        key: rows::workflow_key(row)?,
        status: rows::status(row, id)?,
        queue: rows::name(row, "queue_name")?,
        parent: rows::name(row, "parent_workflow_id")?,
    })
}

/// Inserts a child and records it as the parent's step, or neither.
pub(crate) async fn insert_child(
    session: &mut Session,
    start: &Start,
    parent: &Owner,
    step: &StepStamp,
) -> Result<ChildInserted, Failure> {
    if let Err(lost) = check_owner(&mut session.conn, parent).await? {
        return Ok(ChildInserted::Lost(lost));
    }
    let child = &start.new.id;
    let there = sqlx::query(EXISTING)
        .bind(child.as_str())
        .fetch_optional(&mut session.conn)
        .await?;
    let there = there.map(|row| held(&row, child)).transpose()?;
    let joins = |there| (start.new).joins(there, &parent.workflow, step.number);
    if there.as_ref().is_none_or(joins) {
        let started = step.record(StepResult::Nothing, Some(child.clone()));
        match record(session, parent, &started).await? {
            Recording::New | Recording::Known => {}
            Recording::Other(stored) => return Err(taken(parent, &stored, &step.name)),
            Recording::Lost(lost) => return Ok(ChildInserted::Lost(lost)),
        }
    }
    Ok(ChildInserted::Done(insert(session, start).await?))
}
