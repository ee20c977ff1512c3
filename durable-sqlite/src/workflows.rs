//! The life of workflow rows: whatever happens to a row is decided by `durable_core::state::transition`, here it is written.

use async_trait::async_trait;
use durable_core::{
    db::{
        ChildInserted, Claimed, Hint, Inserted, Listed, NewWorkflow, Result, Resumed, StepStamp,
        SystemDb as _, Workflows, Write, texts,
    },
    ids::{ExecutorId, Format, Owner, WorkflowId},
    payload::Outcome,
    state::{
        Attempts, INTERNAL_QUEUE, Status, WorkflowRow,
        transition::{Event, apply},
    },
    time::Timestamp,
};
use sqlx::SqliteConnection;

use crate::{
    Sqlite, attempts,
    error::Failure,
    lane::Session,
    readable,
    rows::{self, row_columns},
    starts::{self, Start},
    steps::check_owner,
};

#[async_trait]
impl Workflows for Sqlite {
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted> {
        texts::check("start a workflow", &[&new])?;
        self.write("start a workflow", Start::new(new), |session, start| {
            Box::pin(starts::insert(session, start))
        })
        .await
    }

    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        texts::check("start a child", &[&new, &parent, &step])?;
        let args = (Start::new(new), parent.clone(), step.clone());
        self.write("start a child", args, |session, (start, parent, step)| {
            Box::pin(starts::insert_child(session, start, parent, step))
        })
        .await
    }

    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>> {
        texts::check("read a workflow", &[&id])?;
        self.read("read a workflow", id.clone(), |conn, id| {
            Box::pin(row_of(conn, id))
        })
        .await
    }

    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write> {
        texts::check("finish a workflow", &[&owner, &outcome])?;
        let args = (owner.clone(), outcome.clone());
        self.write("finish a workflow", args, |session, (owner, outcome)| {
            Box::pin(finish(session, owner, outcome))
        })
        .await
    }

    async fn dead_letter(&self, owner: &Owner) -> Result<Write> {
        self.write("dead-letter a workflow", owner.clone(), |session, owner| {
            Box::pin(dead_letter(session, owner))
        })
        .await
    }

    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>> {
        texts::check("cancel workflows", &[&ids])?;
        self.write("cancel workflows", ids.to_vec(), |session, ids| {
            Box::pin(cancel(session, ids))
        })
        .await
    }

    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed> {
        texts::check("resume a workflow", &[&id, &queue])?;
        let args = (id.clone(), queue.map(str::to_owned));
        self.write("resume a workflow", args, |session, (id, queue)| {
            Box::pin(resume(session, id, queue.as_deref()))
        })
        .await
    }

    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>> {
        const DOING: &str = "cancel workflows past their deadlines";
        let args = (application.to_owned(), limit);
        // Nothing is due most of the time, and then nobody need wait for the writer.
        let look = (application.to_owned(), self.now().await?);
        let any = self
            .read(DOING, look, |conn, (application, now)| {
                Box::pin(any_due(conn, application, *now))
            })
            .await?;
        if !any {
            return Ok(Vec::new());
        }
        self.write(DOING, args, |session, (application, limit)| {
            Box::pin(expire(session, application, *limit))
        })
        .await
    }

    async fn list(
        &self,
        application: &str,
        after: Option<&WorkflowId>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        let args = (application.to_owned(), after.cloned(), limit);
        self.read(
            "list workflows",
            args,
            |conn, (application, after, limit)| {
                Box::pin(list(conn, application, after.as_ref(), *limit))
            },
        )
        .await
    }
}

/// By the primary key.
pub(crate) const LIST: &str = concat!(
    "SELECT ",
    row_columns!(),
    ",
        COALESCE(i.inputs, s.inputs) AS input
    FROM workflow_status AS s
    LEFT JOIN workflow_input AS i ON i.workflow_uuid = s.workflow_uuid
    WHERE s.workflow_uuid > ?2
      AND (s.application_name = ?1 OR s.application_name IS NULL)
    ORDER BY s.workflow_uuid
    LIMIT ?3 OFFSET ?4"
);

async fn list(
    conn: &mut SqliteConnection,
    application: &str,
    after: Option<&WorkflowId>,
    limit: usize,
) -> Result<Vec<Listed>, Failure> {
    let after = after.map_or("", WorkflowId::as_str);
    let unreadable = "a workflow cannot be read; it is not listed";
    let page = |limit, seen| {
        sqlx::query(LIST)
            .bind(application)
            .bind(after)
            .bind(limit)
            .bind(seen)
    };
    let read = |row: &_| {
        let Claimed { row, input, .. } = rows::claimed(row)?;
        Ok(Listed { row, input })
    };
    readable::page(conn, limit, unreadable, page, read).await
}

/// By the primary key.
const ROW: &str = concat!(
    "SELECT ",
    row_columns!(),
    " FROM workflow_status AS s
    WHERE s.workflow_uuid = ?1"
);

/// A workflow's row.
pub(crate) async fn row_of(
    conn: &mut SqliteConnection,
    id: &WorkflowId,
) -> Result<Option<WorkflowRow>, Failure> {
    let row = sqlx::query(ROW)
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(rows::workflow_row).transpose()
}

/// By the primary key. All that a transition may change.
const SAVE: &str = "
    UPDATE workflow_status
    SET status = ?2, application_name = ?3, application_version = ?4, executor_id = ?5, owner_xid = ?6,
        recovery_attempts = ?7, queue_name = ?8, deduplication_id = ?9, workflow_deadline_epoch_ms = ?10,
        updated_at = ?11, started_at_epoch_ms = ?12, completed_at = ?13
    WHERE workflow_uuid = ?1";

/// Lets an event happen to a row that was read in this transaction; the row after it, or `None` if it leaves the row as it is.
pub(crate) async fn change(
    session: &mut Session,
    row: &WorkflowRow,
    event: &Event<'_>,
) -> Result<Option<WorkflowRow>, Failure> {
    let Ok(row) = apply(row, event, session.now()) else {
        return Ok(None);
    };
    sqlx::query(SAVE)
        .bind(row.id.as_str())
        .bind(row.status.as_str())
        .bind(row.application.as_deref())
        .bind(row.version.as_deref())
        .bind(row.executor.as_ref().map(ExecutorId::as_str))
        .bind(rows::token_text(row.owner.as_ref()))
        .bind(row.attempts)
        .bind(row.queue.as_deref())
        .bind(row.deduplication_id.as_deref())
        .bind(row.deadline.map(Timestamp::as_millis))
        .bind(row.updated_at.as_millis())
        .bind(row.started_at.map(Timestamp::as_millis))
        .bind(row.completed_at.map(Timestamp::as_millis))
        .execute(&mut session.conn)
        .await?;
    Ok(Some(row))
}

/// By the primary key. What `transition::Event::Finish` does, in one statement: every workflow passes here.
const FINISH: &str = "
    UPDATE workflow_status
    SET status = ?3, owner_xid = NULL, deduplication_id = NULL, updated_at = ?4, completed_at = ?4,
        serialization = COALESCE(?5, serialization)
    WHERE workflow_uuid = ?1
      AND status = 'PENDING'
      AND owner_xid = ?2";

/// By the primary key.
const OUTCOME: &str = "
    INSERT INTO workflow_output (workflow_uuid, output, error, retention_timestamp)
    VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (workflow_uuid) DO UPDATE
        SET output = excluded.output, error = excluded.error";

async fn finish(session: &mut Session, owner: &Owner, outcome: &Outcome) -> Result<Write, Failure> {
    let (status, payload) = match outcome {
        Outcome::Success(value) => (Status::Success, value),
        Outcome::Failure(error) => (Status::Error, error),
    };
    let finished = sqlx::query(FINISH)
        .bind(owner.workflow.as_str())
        .bind(owner.token.as_str())
        .bind(status.as_str())
        .bind(session.now().as_millis())
        .bind(payload.format.as_ref().map(Format::as_str))
        .execute(&mut session.conn)
        .await?;
    if finished.rows_affected() == 0 {
        return lost(session, owner).await;
    }
    let text = Some(payload.text.as_str());
    let succeeded = status == Status::Success;
    sqlx::query(OUTCOME)
        .bind(owner.workflow.as_str())
        .bind(text.filter(|_| succeeded))
        .bind(text.filter(|_| !succeeded))
        .bind(session.now().as_millis())
        .execute(&mut session.conn)
        .await?;
    session.hint(Hint::Workflow(owner.workflow.clone()));
    Ok(Write::Written)
}

async fn dead_letter(session: &mut Session, owner: &Owner) -> Result<Write, Failure> {
    let event = Event::DeadLetter {
        token: &owner.token,
    };
    match row_of(&mut session.conn, &owner.workflow).await? {
        Some(row) if end(session, &row, &event).await? => Ok(Write::Written),
        _ => lost(session, owner).await,
    }
}

/// The answer to a writer whose write touched no row.
async fn lost(session: &mut Session, owner: &Owner) -> Result<Write, Failure> {
    match check_owner(&mut session.conn, owner).await? {
        Err(lost) => Ok(Write::Lost(lost)),
        Ok(()) => Err(Failure::broken(format!(
            "workflow {:?} is pending under this token and was not written",
            owner.workflow
        ))),
    }
}

async fn cancel(session: &mut Session, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>, Failure> {
    let mut cancelled = Vec::new();
    for id in ids {
        if let Some(row) = row_of(&mut session.conn, id).await?
            && end(session, &row, &Event::Cancel).await?
        {
            cancelled.push(row.id);
        }
    }
    Ok(cancelled)
}

/// What is past its deadline, as the conditions of a statement. `?1` now, `?2` application.
macro_rules! is_due {
    () => {
        "s.status IN ('ENQUEUED', 'PENDING', 'DELAYED')
      AND s.workflow_deadline_epoch_ms <= ?1
      AND (s.application_name = ?2 OR s.application_name IS NULL)"
    };
}

/// By `idx_workflow_status_deadline`, whose condition is repeated.
pub(crate) const ANY_DUE: &str = concat!(
    "SELECT EXISTS (
        SELECT 1
        FROM workflow_status AS s
        WHERE ",
    is_due!(),
    ")"
);

/// By `idx_workflow_status_deadline`, whose condition is repeated.
pub(crate) const DUE: &str = concat!(
    "SELECT ",
    row_columns!(),
    " FROM workflow_status AS s
    WHERE ",
    is_due!(),
    "
    ORDER BY s.workflow_deadline_epoch_ms, s.workflow_uuid
    LIMIT ?3 OFFSET ?4"
);

/// Whether anything is past its deadline, for all that can be told without reading it.
async fn any_due(
    conn: &mut SqliteConnection,
    application: &str,
    now: Timestamp,
) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar(ANY_DUE)
        .bind(now.as_millis())
        .bind(application)
        .fetch_one(conn)
        .await?)
}

async fn due(
    conn: &mut SqliteConnection,
    application: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<WorkflowRow>, Failure> {
    let statement = |limit, offset| {
        sqlx::query(DUE)
            .bind(now.as_millis())
            .bind(application)
            .bind(limit)
            .bind(offset)
    };
    let unreadable = "a workflow past its deadline cannot be read; it is not cancelled";
    readable::page(conn, limit, unreadable, statement, rows::workflow_row).await
}

async fn expire(
    session: &mut Session,
    application: &str,
    limit: usize,
) -> Result<Vec<WorkflowId>, Failure> {
    let now = session.now();
    let mut expired = Vec::new();
    for row in due(&mut session.conn, application, now, limit).await? {
        if end(session, &row, &Event::DeadlineCheck).await? {
            expired.push(row.id);
        }
    }
    Ok(expired)
}

/// Lets an event end a workflow, and tells those who wait for it; whether it did.
async fn end(session: &mut Session, row: &WorkflowRow, event: &Event<'_>) -> Result<bool, Failure> {
    let ended = change(session, row, event).await?.is_some();
    if ended {
        session.hint(Hint::Workflow(row.id.clone()));
    }
    Ok(ended)
}

async fn resume(
    session: &mut Session,
    id: &WorkflowId,
    queue: Option<&str>,
) -> Result<Resumed, Failure> {
    let Some(row) = row_of(&mut session.conn, id).await? else {
        return Ok(Resumed::Missing);
    };
    let Some(row) = change(session, &row, &Event::Resume { queue }).await? else {
        return Ok(Resumed::Unchanged(row.status));
    };
    let anew = |_: &Attempts, steps| Attempts::resumed(steps);
    attempts::note(&mut session.conn, &row, anew).await?;
    session.hint(Hint::Queue(
        row.queue.unwrap_or_else(|| INTERNAL_QUEUE.to_owned()),
    ));
    session.hint(Hint::Workflow(row.id));
    Ok(Resumed::Enqueued)
}
