//! A write in a transaction of its own: it waits for its row, and tells why it cannot be made.

use durable_core::{
    db::{
        ChildInserted, Hint, Inserted, Lost, Recorded, StepRecord, StepResult, StepStamp,
        Write as Written,
    },
    ids::{ExecutorId, Format, Owner, OwnerToken, WorkflowId},
    state::Status,
    time::Timestamp,
};

use super::{
    batch::Places,
    columns::{ending, format, inherited, payloads},
    write::{Finish, Start, Step, Write},
};
use crate::{
    Driver,
    core::Core,
    error::Failure,
    rows::{self, now_ms, step_columns},
    transaction::{Ask, Transaction},
    value::params,
};

/// Makes the write, and answers its caller.
pub(super) async fn write<D: Driver>(core: &Core<D>, places: &Places, write: Write) {
    match write {
        Write::Step(step, answer) => {
            let recorded = core.transact_with(&step, |t, step| Box::pin(step_alone(t, step)));
            // A caller that went away wants no answer.
            let _ = answer.send(recorded.await);
        }
        Write::Finish(finish, answer) => {
            let finished = core.transact_with(&finish, |t, finish| Box::pin(end(t, finish)));
            let _ = answer.send(finished.await);
        }
        Write::Start(start, answer) => {
            let args = (&*start, places);
            let inserted = core
                .transact_with(&args, |t, (start, places)| {
                    Box::pin(insert(t, start, places))
                })
                .await;
            let _ = answer.send(inserted);
        }
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

/// By the primary key. Locked, so that the token is the row's until the end of the transaction.
pub(crate) const OWNER: &str = "
    SELECT s.status, s.owner_xid
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = $1
    FOR NO KEY UPDATE";

/// Whether the token is that of the running execution, and stays so; if not, how the row stands.
pub(crate) async fn check_owner(
    t: &mut impl Ask,
    owner: &Owner,
) -> Result<Result<(), Lost>, Failure> {
    let found = t.query_one(OWNER, params![owner.workflow.as_str()]).await?;
    let Some(mut row) = found else {
        return Ok(Err(Lost { status: None }));
    };
    let status = rows::status(&mut row, &owner.workflow)?;
    let held: Option<OwnerToken> = row.name()?;
    if status == Status::Pending && held.as_ref() == Some(&owner.token) {
        return Ok(Ok(()));
    }
    Ok(Err(Lost {
        status: Some(status),
    }))
}

/// By the primary keys of both tables.
pub(crate) const RECORD: &str = "
    INSERT INTO dbos.operation_outputs (
        workflow_uuid, function_id, function_name, output, error, serialization, child_workflow_id,
        started_at_epoch_ms, completed_at_epoch_ms, application_name)
    SELECT $1, $2::bigint::int, $3, $4, $5, $6, $7, $8::bigint, $9::bigint, s.application_name
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = $1
    ON CONFLICT (workflow_uuid, function_id) DO NOTHING
    RETURNING function_id";

/// By the primary key.
pub(crate) const STORED: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM dbos.operation_outputs AS o
    WHERE o.workflow_uuid = $1
      AND o.function_id = $2::bigint::int"
);

/// What is recorded under a number.
pub(crate) async fn stored(
    t: &mut impl Ask,
    workflow: &WorkflowId,
    number: i32,
) -> Result<Option<StepRecord>, Failure> {
    let number = i64::from(number);
    let found = t
        .query_one(STORED, params![workflow.as_str(), number])
        .await?;
    found.map(|mut row| rows::step(&mut row)).transpose()
}

/// Records an operation, if the owner's token is the row's and the number is free.
pub(crate) async fn record(
    t: &mut impl Ask,
    owner: &Owner,
    step: &StepRecord,
) -> Result<Recording, Failure> {
    if let Err(lost) = check_owner(t, owner).await? {
        return Ok(Recording::Lost(lost));
    }
    let (output, error) = payloads(&step.result);
    let written = t
        .query_one(
            RECORD,
            params![
                owner.workflow.as_str(),
                i64::from(step.number),
                step.name.as_str(),
                output.map(|value| value.text.as_str()),
                error.map(|value| value.text.as_str()),
                output.or(error).and_then(format),
                step.child.as_ref().map(WorkflowId::as_str),
                step.started_at.map(Timestamp::as_millis),
                step.completed_at.map(Timestamp::as_millis),
            ],
        )
        .await?;
    if written.is_some() {
        return Ok(Recording::New);
    }
    match stored(t, &owner.workflow, step.number).await? {
        Some(stored) if same(&stored, step) => Ok(Recording::Known),
        Some(stored) => Ok(Recording::Other(Box::new(stored))),
        None => Err(Failure::broken(format!(
            "step {} of workflow {:?} is refused and not there",
            step.number, owner.workflow
        ))),
    }
}

/// Whether two records say the same. Their times may differ: an operation that is asked again need not have kept them.
pub(crate) fn same(a: &StepRecord, b: &StepRecord) -> bool {
    (&a.name, &a.result, &a.child) == (&b.name, &b.result, &b.child)
}

/// A number of an execution is taken by another operation, where the call has no answer for that.
pub(crate) fn taken(owner: &Owner, stored: &StepRecord, wanted: &str) -> Failure {
    Failure::broken(format!(
        "step {} of workflow {:?} is recorded as {:?} with another result than {wanted:?} has; a workflow must do the same \
         operations in the same order each time",
        stored.number, owner.workflow, stored.name
    ))
}

async fn step_alone<D: Driver>(
    t: &mut Transaction<'_, D>,
    step: &Step,
) -> Result<Recorded, Failure> {
    Ok(record(t, &step.owner, &step.record).await?.into())
}

/// By the primary key. What `transition::Event::Finish` does, as in the statement of a batch.
pub(crate) const FINISH: &str = concat!(
    "WITH ended AS (
    UPDATE dbos.workflow_status AS s
    SET status = $3, owner_xid = NULL, deduplication_id = NULL, updated_at = ",
    now_ms!(),
    ", completed_at = ",
    now_ms!(),
    ", serialization = COALESCE($5, s.serialization)
    WHERE s.workflow_uuid = $1
      AND s.status = 'PENDING'
      AND s.owner_xid = $2
    RETURNING s.workflow_uuid)
    INSERT INTO dbos.workflow_output (workflow_uuid, output, error)
    SELECT e.workflow_uuid, CASE WHEN $3 = 'SUCCESS' THEN $4 END, CASE WHEN $3 <> 'SUCCESS' THEN $4 END
    FROM ended AS e
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET output = excluded.output, error = excluded.error
    RETURNING workflow_uuid"
);

async fn end<D: Driver>(t: &mut Transaction<'_, D>, finish: &Finish) -> Result<Written, Failure> {
    let owner = &finish.owner;
    if let Err(lost) = check_owner(t, owner).await? {
        return Ok(Written::Lost(lost));
    }
    let (status, payload) = ending(&finish.outcome);
    let finished = t
        .query_one(
            FINISH,
            params![
                owner.workflow.as_str(),
                owner.token.as_str(),
                status.as_str(),
                payload.text.as_str(),
                format(payload),
            ],
        )
        .await?;
    if finished.is_none() {
        return Err(Failure::broken(format!(
            "workflow {:?} is pending under this token and was not written",
            owner.workflow
        )));
    }
    t.hint(Hint::Workflow(owner.workflow.clone()));
    Ok(Written::Written)
}

/// By the primary key.
pub(crate) const EXISTING: &str = "
    SELECT s.status, s.name, s.class_name, s.config_name, s.queue_name, s.parent_workflow_id, s.creator_xid,
        s.workflow_deadline_epoch_ms
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = $1";

/// What a start finds where its id is taken, and whether its caller records it; `None` if it is
/// free.
async fn existing(t: &mut impl Ask, start: &Start) -> Result<Option<(Inserted, bool)>, Failure> {
    let id = start.id();
    let Some(mut row) = t.query_one(EXISTING, params![id.as_str()]).await? else {
        return Ok(None);
    };
    let found = rows::existing(&mut row, id)?;
    let joins = start
        .parent
        .as_ref()
        .is_some_and(|(parent, stamp)| (start.new).joins(&found, &parent.workflow, stamp.number));
    let creator: Option<OwnerToken> = row.name()?;
    let deadline = row.integer()?.map(Timestamp::from_millis);
    if creator.as_ref() == Some(&start.new.creator) {
        return Ok(Some((Inserted::Created { deadline }, joins)));
    }
    Ok(Some((Inserted::Exists(found), joins)))
}

/// How often a start is tried whose id is taken and then free again.
const TRIES: u32 = 5;

/// Inserts a workflow, with the step of the one that starts it, or neither.
pub(crate) async fn insert(
    t: &mut impl Ask,
    start: &Start,
    places: &Places,
) -> Result<ChildInserted, Failure> {
    if let Some((parent, _)) = &start.parent
        && let Err(lost) = check_owner(t, parent).await?
    {
        return Ok(ChildInserted::Lost(lost));
    }
    for _ in 0..TRIES {
        // Looked for first: what is there already may be another's, and then its caller records nothing.
        if let Some((found, joins)) = existing(t, start).await? {
            if joins && let Some((parent, stamp)) = &start.parent {
                record_start(t, parent, stamp, start).await?;
            }
            return Ok(ChildInserted::Done(found));
        }
        if let Some(deadline) = insert_row(t, start, places).await? {
            if let Some((parent, stamp)) = &start.parent {
                record_start(t, parent, stamp, start).await?;
            }
            if let Some(queue) = start.queue() {
                t.hint(Hint::Queue(queue.to_owned()));
            }
            return Ok(ChildInserted::Done(Inserted::Created { deadline }));
        }
    }
    Err(Failure::broken(format!(
        "workflow {:?} is refused and not there",
        start.id()
    )))
}

/// Records the start as the parent's step; the parent's row is locked.
async fn record_start(
    t: &mut impl Ask,
    parent: &Owner,
    stamp: &StepStamp,
    start: &Start,
) -> Result<(), Failure> {
    let step = stamp.record(StepResult::Nothing, Some(start.id().clone()));
    match record(t, parent, &step).await? {
        Recording::New | Recording::Known => Ok(()),
        Recording::Other(stored) => Err(taken(parent, &stored, &stamp.name)),
        Recording::Lost(_) => Err(Failure::broken(format!(
            "workflow {:?} lost its token while its row was locked",
            parent.workflow
        ))),
    }
}

/// By the primary keys, as in the statement of a batch.
pub(crate) const INSERT: &str = concat!(
    "WITH started AS (
    INSERT INTO dbos.workflow_status (
        workflow_uuid, status, name, class_name, config_name, application_id, application_name, application_version,
        executor_id, owner_xid, creator_xid, recovery_attempts, queue_name, priority, workflow_timeout_ms,
        workflow_deadline_epoch_ms, parent_workflow_id, serialization, created_at, updated_at)
    SELECT $1, $2, $3, $4, $5, '', $6, $7, $8, $9, $10, $11::bigint, $12, $13::bigint::int, $14::bigint,
           CASE
               WHEN $15::bigint IS NOT NULL OR $2 <> 'PENDING' THEN $15::bigint
               WHEN $14::bigint > 9223372036854775807 - n.created THEN 9223372036854775807
               ELSE n.created + $14::bigint
           END,
           $16, $17, n.created, n.created
    FROM (SELECT greatest(",
    now_ms!(),
    ", $18::bigint) AS created) AS n
    ON CONFLICT (workflow_uuid) DO NOTHING
    RETURNING workflow_uuid, created_at, workflow_deadline_epoch_ms),
input AS (
    INSERT INTO dbos.workflow_input (workflow_uuid, inputs)
    SELECT s.workflow_uuid, $19
    FROM started AS s
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET inputs = excluded.inputs, retention_timestamp = excluded.retention_timestamp),
stale_steps AS (
    DELETE FROM dbos.operation_outputs AS stale
    WHERE stale.workflow_uuid = $1
      AND EXISTS (SELECT 1 FROM started)),
stale_outcome AS (
    DELETE FROM dbos.workflow_output AS stale
    WHERE stale.workflow_uuid = $1
      AND EXISTS (SELECT 1 FROM started))
SELECT s.created_at, s.workflow_deadline_epoch_ms
FROM started AS s"
);

/// Inserts the row and its input, and removes what an earlier workflow of this id left; the deadline it was given. `None`: the id is
/// taken.
async fn insert_row(
    t: &mut impl Ask,
    start: &Start,
    places: &Places,
) -> Result<Option<Option<Timestamp>>, Failure> {
    let row = &start.row;
    let inserted = t
        .query_one(
            INSERT,
            params![
                row.id.as_str(),
                row.status.as_str(),
                row.key.name.as_str(),
                row.key.class.as_deref(),
                row.key.config.as_deref(),
                row.application.as_deref(),
                row.version.as_deref(),
                row.executor.as_ref().map(ExecutorId::as_str),
                row.owner.as_ref().map(OwnerToken::as_str),
                row.creator.as_ref().map(OwnerToken::as_str),
                row.attempts,
                row.queue.as_deref(),
                i64::from(row.priority),
                row.timeout_ms,
                inherited(start.new.timing),
                row.parent.as_ref().map(WorkflowId::as_str),
                row.format.as_ref().map(Format::as_str),
                start.queue().and_then(|queue| places.after(queue)),
                start.input.as_str(),
            ],
        )
        .await?;
    let Some(mut inserted) = inserted else {
        return Ok(None);
    };
    let created_at = inserted.some_integer()?;
    if let Some(queue) = start.queue() {
        places.taken(queue, created_at);
    }
    Ok(Some(inserted.integer()?.map(Timestamp::from_millis)))
}
