//! The life of workflow rows.

use async_trait::async_trait;
use durable_core::{
    db::{
        ChildInserted, Claimed, Hint, Inserted, Listed, NewWorkflow, Result, Resumed, StepStamp,
        Workflows, Write,
    },
    ids::{Owner, WorkflowId},
    payload::Outcome,
    state::{INTERNAL_QUEUE, WorkflowRow, transition::Event},
};

use crate::{
    Driver, PgSystemDb, attempts,
    changes::{change, lock, lock_one, with_instant},
    error::Failure,
    lane::check_owner,
    rows::{self, now_ms, row_columns},
    transaction::Transaction,
    value::params,
};

#[async_trait]
impl<D: Driver> Workflows for PgSystemDb<D> {
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted> {
        self.lanes().insert(new).await
    }

    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        self.lanes().insert_child(new, parent, step).await
    }

    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>> {
        const DOING: &str = "read a workflow";
        let mut found = self.core().ask(DOING, ROW, params![id.as_str()]).await?;
        let row = found.pop().map(|mut row| rows::workflow_row(&mut row));
        row.transpose().map_err(|failure| failure.into_error(DOING))
    }

    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write> {
        self.lanes().finish(owner, outcome).await
    }

    async fn dead_letter(&self, owner: &Owner) -> Result<Write> {
        self.core()
            .transact("dead-letter a workflow", owner, |t, owner| {
                Box::pin(dead_letter(t, owner))
            })
            .await
    }

    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>> {
        self.core()
            .transact("cancel workflows", ids, |t, ids| Box::pin(cancel(t, ids)))
            .await
    }

    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed> {
        self.core()
            .transact("resume a workflow", (id, queue), |t, (id, queue)| {
                Box::pin(resume(t, id, *queue))
            })
            .await
    }

    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>> {
        const DOING: &str = "cancel workflows past their deadlines";
        // Nothing is due most of the time, and then no transaction is needed.
        let due = self
            .core()
            .ask(DOING, ANY_DUE, params![application])
            .await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        self.core()
            .transact(DOING, (application, limit), |t, (application, limit)| {
                Box::pin(expire(t, application, *limit))
            })
            .await
    }

    async fn list(
        &self,
        application: &str,
        after: Option<&WorkflowId>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        const DOING: &str = "list workflows";
        let after = after.map_or("", WorkflowId::as_str);
        let found = self
            .core()
            .ask(DOING, LIST, params![application, after, rows::limit(limit)])
            .await?;
        let listed = found.into_iter().map(|mut row| {
            let Claimed { row, input, .. } = rows::claimed(&mut row)?;
            Ok(Listed { row, input })
        });
        let listed: Result<Vec<_>, Failure> = listed.collect();
        listed.map_err(|failure| failure.into_error(DOING))
    }
}

/// By the primary key, in the database's own order of texts.
pub(crate) const LIST: &str = concat!(
    "SELECT ",
    row_columns!(),
    ",
        COALESCE((SELECT i.inputs FROM dbos.workflow_input AS i WHERE i.workflow_uuid = s.workflow_uuid), s.inputs)
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid > $2
      AND (s.application_name = $1 OR s.application_name IS NULL)
    ORDER BY s.workflow_uuid
    LIMIT $3::bigint"
);

/// By the primary key.
pub(crate) const ROW: &str = concat!(
    "SELECT ",
    row_columns!(),
    " FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = $1"
);

async fn dead_letter<D: Driver>(
    t: &mut Transaction<'_, D>,
    owner: &Owner,
) -> Result<Write, Failure> {
    if let Err(lost) = check_owner(t, owner).await? {
        return Ok(Write::Lost(lost));
    }
    let locked = lock(t, std::slice::from_ref(&owner.workflow)).await?;
    let token = &owner.token;
    let changed = change(t, &locked.rows, locked.now, |_| Event::DeadLetter { token }).await?;
    if changed.is_empty() {
        return Err(Failure::broken(format!(
            "workflow {:?} is pending under this token and cannot be put away",
            owner.workflow
        )));
    }
    ended(t, &changed);
    Ok(Write::Written)
}

async fn cancel<D: Driver>(
    t: &mut Transaction<'_, D>,
    ids: &[WorkflowId],
) -> Result<Vec<WorkflowId>, Failure> {
    let locked = lock(t, ids).await?;
    let changed = change(t, &locked.rows, locked.now, |_| Event::Cancel).await?;
    let mut cancelled = ended(t, &changed);
    // In the order of the call.
    cancelled.sort_by_key(|id| ids.iter().position(|asked| asked == id));
    Ok(cancelled)
}

/// Tells those who wait for these that they have ended.
fn ended<D: Driver>(t: &mut Transaction<'_, D>, rows: &[WorkflowRow]) -> Vec<WorkflowId> {
    let end = |row: &WorkflowRow| {
        t.hint(Hint::Workflow(row.id.clone()));
        row.id.clone()
    };
    rows.iter().map(end).collect()
}

/// What is past its deadline, as the conditions of a statement. `$1` application.
macro_rules! is_due {
    () => {
        concat!(
            "s.status IN ('ENQUEUED', 'PENDING', 'DELAYED')
      AND s.workflow_deadline_epoch_ms IS NOT NULL
      AND s.workflow_deadline_epoch_ms <= ",
            now_ms!(),
            "
      AND (s.application_name = $1 OR s.application_name IS NULL)"
        )
    };
}

/// By `idx_workflow_status_deadline`, whose condition is repeated.
pub(crate) const ANY_DUE: &str = concat!(
    "SELECT 1
    FROM dbos.workflow_status AS s
    WHERE ",
    is_due!(),
    "
    LIMIT 1"
);

/// By `idx_workflow_status_deadline`, whose condition is repeated. What somebody else is changing is left to the next look.
pub(crate) const DUE: &str = concat!(
    "SELECT ",
    now_ms!(),
    ", ",
    row_columns!(),
    " FROM dbos.workflow_status AS s
    WHERE ",
    is_due!(),
    "
    ORDER BY s.workflow_deadline_epoch_ms, s.workflow_uuid COLLATE \"C\"
    LIMIT $2::bigint
    FOR NO KEY UPDATE SKIP LOCKED"
);

async fn expire<D: Driver>(
    t: &mut Transaction<'_, D>,
    application: &str,
    limit: usize,
) -> Result<Vec<WorkflowId>, Failure> {
    let found = t
        .query(DUE, params![application, rows::limit(limit)])
        .await?;
    let (now, due) = with_instant(found, rows::workflow_row)?;
    let changed = change(t, &due, now, |_| Event::DeadlineCheck).await?;
    Ok(ended(t, &changed))
}

async fn resume<D: Driver>(
    t: &mut Transaction<'_, D>,
    id: &WorkflowId,
    queue: Option<&str>,
) -> Result<Resumed, Failure> {
    let Some((row, now)) = lock_one(t, id).await? else {
        return Ok(Resumed::Missing);
    };
    let changed = change(t, std::slice::from_ref(&row), now, |_| Event::Resume {
        queue,
    })
    .await?;
    if changed.is_empty() {
        return Ok(Resumed::Unchanged(row.status));
    }
    attempts::resumed(t, &changed).await?;
    t.hint(Hint::Queue(queue.unwrap_or(INTERNAL_QUEUE).to_owned()));
    t.hint(Hint::Workflow(row.id));
    Ok(Resumed::Enqueued)
}
