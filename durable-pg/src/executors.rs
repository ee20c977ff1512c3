//! Who lives, and what the dead left.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, Claimed, DbError, Executors, Hint, Joined, Result,
        Serving, WantedExecutor,
    },
    ids::{ExecutorId, Owner, WorkflowId},
    state::{WorkflowRow, claim::Claimant, transition::Event},
};

use crate::{
    Driver, PgSystemDb, Row, attempts,
    changes::{change, lock, with_instant},
    error::Failure,
    leases,
    queues::{CanRun, can_run, is_current, take},
    room,
    rows::{self, now_ms, row_columns},
    session::{DEAD, DEAD_OR_LAPSED, is_held_on, lock_key},
    transaction::Transaction,
    value::params,
};

const JOINING: &str = "join as an executor";
const LEAVING: &str = "leave as an executor";
const LOOKING: &str = "look for abandoned workflows";
const ASKING_WHO_SERVES: &str = "list the living executors";

/// How many processes with the default id may live beside each other.
const MAX_SUFFIX: u32 = 1000;

#[async_trait]
impl<D: Driver> Executors for PgSystemDb<D> {
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined> {
        let candidates = if wanted.given { 1 } else { MAX_SUFFIX };
        for n in 1..=candidates {
            let id = match n {
                1 => wanted.id.clone(),
                n => ExecutorId::from(format!("{}-{n}", wanted.id)),
            };
            let locked = self.core().session.lock(&id).await;
            if locked.map_err(|failure| failure.into_error(JOINING))? {
                return self.begin_life(id, wanted).await;
            }
        }
        Err(DbError::Refused(format!(
            "executor id {:?} is in use by a living process; give this process another id, or none so that a free one is found, or \
             stop the other process first",
            wanted.id.as_str()
        )))
    }

    async fn leave(&self, executor: &ExecutorId) -> Result<()> {
        let core = self.core();
        let life = core.leases.let_go(executor);
        let unlocked = core.session.unlock(executor).await;
        if let Some(life) = life {
            let ended = core
                .ask(LEAVING, leases::END, params![executor.as_str(), life])
                .await;
            if let Err(error) = ended {
                tracing::debug!(%executor, %error, "the lease is not given back; it ends by itself");
            }
        }
        unlocked.map_err(|failure| failure.into_error(LEAVING))
    }

    async fn release(&self, owners: &[Owner]) -> Result<Vec<WorkflowId>> {
        self.core()
            .transact("say what a shutdown has ended", owners, |t, owners| {
                Box::pin(attempts::release(t, owners))
            })
            .await
    }

    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>> {
        let own = &query.claimant.executor;
        let others = self.executors(&query.claimant).await?;
        let mut executors = self.dead(own, others).await?;
        if query.own {
            executors.push(own.clone());
        }
        if executors.is_empty() {
            return Ok(Vec::new());
        }
        let left = self.left_by(query, &executors).await?;
        if left.is_empty() {
            return Ok(left);
        }
        // One that came back since may have taken its rows up again; the tokens that were read are then not to be used.
        executors.retain(|id| id != own);
        let mut dead: HashSet<ExecutorId> = self.dead(own, executors).await?.into_iter().collect();
        dead.insert(own.clone());
        Ok(left
            .into_iter()
            .filter(|row| dead.contains(&row.executor))
            .collect())
    }

    async fn requeue(
        &self,
        claimant: &Claimant,
        abandoned: &[Abandoned],
    ) -> Result<Vec<WorkflowId>> {
        self.core()
            .transact(
                "put work back on its queue",
                (claimant, abandoned),
                |t, (claimant, abandoned)| Box::pin(requeue(t, claimant, abandoned)),
            )
            .await
    }

    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>> {
        self.core()
            .transact(
                "adopt workflows",
                (claimant, adoptions),
                |t, (claimant, adoptions)| Box::pin(adopt(t, claimant, adoptions)),
            )
            .await
    }

    async fn serving(&self, application: &str) -> Result<Vec<Serving>> {
        let schema = self.core().schema().as_str();
        let found = self
            .core()
            .ask(ASKING_WHO_SERVES, SERVING, params![schema, application])
            .await?;
        let rows: Result<Vec<_>, Failure> = found.into_iter().map(served).collect();
        let rows = rows.map_err(|failure| failure.into_error(ASKING_WHO_SERVES))?;
        Ok(Serving::gather(rows))
    }
}

/// By the primary keys. Waits for whoever relies on the earlier life: see `queues::LIFE`.
/// `$3` the lease, `$4` the version, `$5` the queues.
const NEXT_INCARNATION: &str = concat!(
    "WITH earlier AS (
        SELECT 1
        FROM dbos.durable_executors AS e
        WHERE e.executor_id = $1
        FOR UPDATE),
    life AS (
        INSERT INTO dbos.durable_executors AS e
            (executor_id, incarnation, application_name, last_seen_epoch_ms, lease_ms)
        SELECT $1, 1, $2, ",
    now_ms!(),
    ", $3::bigint
        FROM (SELECT count(*) FROM earlier) AS waited
        ON CONFLICT (executor_id) DO UPDATE
            SET incarnation = e.incarnation + 1, application_name = excluded.application_name,
                last_seen_epoch_ms = excluded.last_seen_epoch_ms, lease_ms = excluded.lease_ms
        RETURNING e.incarnation),
    forgotten AS (
        DELETE FROM dbos.durable_served_queues AS q
        USING life AS l
        WHERE q.executor_id = $1 AND q.incarnation < l.incarnation),
    declared AS (
        INSERT INTO dbos.durable_served_queues
            (executor_id, incarnation, queue_name, application_version)
        SELECT DISTINCT $1, l.incarnation, d.queue_name, $4
        FROM life AS l
        CROSS JOIN unnest($5::text[]) AS d (queue_name))
    SELECT l.incarnation
    FROM life AS l"
);

/// By the primary keys; each executor that has ever lived is looked at. `$1` the schema, `$2` the
/// application.
const SERVING: &str = concat!(
    "SELECT w.executor_id, q.application_version, q.queue_name
    FROM dbos.durable_executors AS w
    JOIN pg_catalog.pg_locks AS l
        ON ",
    is_held_on!(),
    lock_key!("w.executor_id"),
    "
    LEFT JOIN dbos.durable_served_queues AS q
        ON q.executor_id = w.executor_id AND q.incarnation = w.incarnation
    WHERE w.application_name = $2
    ORDER BY w.executor_id COLLATE \"C\", q.queue_name COLLATE \"C\""
);

/// By `idx_workflow_status_pending`, and the primary key of our table: only who is in it has shown life.
pub(crate) const EXECUTORS: &str = "
    SELECT DISTINCT s.executor_id
    FROM dbos.workflow_status AS s
    WHERE s.status = 'PENDING'
      AND (s.application_name = $1 OR s.application_name IS NULL)
      AND s.application_version = $2
      AND s.executor_id <> $3
      AND EXISTS (
          SELECT 1
          FROM dbos.durable_executors AS e
          WHERE e.executor_id = s.executor_id)";

/// By `idx_workflow_status_pending`: in the order of the primary key it would read all that ever ended.
pub(crate) const LEFT: &str = concat!(
    "SELECT p.workflow_uuid, p.executor_id, p.owner_xid, p.queue_name
    FROM (
        SELECT s.workflow_uuid, s.executor_id, s.owner_xid, s.queue_name
        FROM dbos.workflow_status AS s
        WHERE s.status = 'PENDING'
          AND s.application_version = $6
          AND s.executor_id = ANY ($7::text[])
          AND ($8::text IS NULL OR s.workflow_uuid COLLATE \"C\" > $8::text)
          AND ",
    can_run!(),
    "
        OFFSET 0) AS p
    ORDER BY p.workflow_uuid COLLATE \"C\"
    LIMIT $9::bigint"
);

impl<D: Driver> PgSystemDb<D> {
    /// Numbers the life that begins with the lock on this id; if that fails, the life ends.
    async fn begin_life(&self, id: ExecutorId, wanted: &WantedExecutor) -> Result<Joined> {
        let queues = rows::list(&wanted.serves.queues);
        let numbered = self
            .core()
            .ask(
                JOINING,
                NEXT_INCARNATION,
                params![
                    id.as_str(),
                    wanted.application.as_str(),
                    self.core().leases.declared(),
                    wanted.serves.version.as_str(),
                    &queues,
                ],
            )
            .await;
        let incarnation = numbered.and_then(|mut rows| {
            let row = rows.pop().map(|mut row| row.some_integer());
            row.transpose()
                .map_err(|error| Failure::from(error).into_error(JOINING))
        });
        match incarnation {
            Ok(Some(incarnation)) => {
                self.core().leases.hold(id.clone(), incarnation);
                room::look(self.core()).await;
                Ok(Joined { id, incarnation })
            }
            Ok(None) => Err(DbError::broken(JOINING, "a life has no number")),
            Err(error) => {
                // It cannot be told from here whether that helps; the session ends with the process in any case.
                let _ = self.core().session.unlock(&id).await;
                Err(error)
            }
        }
    }

    /// The executors, other than the asking one, that hold pending rows and have shown life.
    async fn executors(&self, asking: &Claimant) -> Result<Vec<ExecutorId>> {
        let found = self
            .core()
            .ask(
                LOOKING,
                EXECUTORS,
                params![
                    asking.application.as_str(),
                    asking.version.as_str(),
                    asking.executor.as_str(),
                ],
            )
            .await?;
        ids(found)
    }

    /// Those of the executors that do not live; none while `own` cannot tell.
    async fn dead(
        &self,
        own: &ExecutorId,
        mut executors: Vec<ExecutorId>,
    ) -> Result<Vec<ExecutorId>> {
        let core = self.core();
        if executors.is_empty() || !core.session.is_settled() {
            return Ok(Vec::new());
        }
        let lives_here = core.session.holds(own);
        if lives_here {
            executors.push(own.clone());
        }
        let asked = rows::list(&executors);
        let schema = core.schema().as_str();
        let found = match core.leases.run() {
            Some(run) => {
                core.ask(
                    LOOKING,
                    DEAD_OR_LAPSED,
                    params![schema, &asked, run.since, run.last, run.gap],
                )
                .await?
            }
            None => core.ask(LOOKING, DEAD, params![schema, &asked]).await?,
        };
        let dead = ids(found)?;
        // Our session is gone and has not noticed: so may be those of all the others.
        if lives_here && dead.contains(own) {
            return Ok(Vec::new());
        }
        Ok(dead)
    }

    /// What executors hold that the asking one can run.
    async fn left_by(
        &self,
        query: &AbandonedQuery,
        executors: &[ExecutorId],
    ) -> Result<Vec<Abandoned>> {
        let can_run = CanRun::of(&query.claimant);
        let executors = rows::list(executors);
        let found = self
            .core()
            .ask(
                LOOKING,
                LEFT,
                params![
                    can_run.application,
                    &can_run.names,
                    &can_run.classes,
                    &can_run.configs,
                    &can_run.formats,
                    can_run.version,
                    &executors,
                    query.after.as_ref().map(WorkflowId::as_str),
                    rows::limit(query.limit),
                ],
            )
            .await?;
        let abandoned = |mut row: Row| {
            Ok(Abandoned {
                workflow: row.some_text()?.into(),
                executor: row.some_text()?.into(),
                held: row.name()?,
                queue: row.text()?,
            })
        };
        let left: Result<Vec<_>, Failure> = found.into_iter().map(abandoned).collect();
        left.map_err(|failure| failure.into_error(LOOKING))
    }
}

fn ids(found: Vec<Row>) -> Result<Vec<ExecutorId>> {
    let id = |mut row: Row| Ok(ExecutorId::from(row.some_text()?));
    let ids: Result<Vec<_>, Failure> = found.into_iter().map(id).collect();
    ids.map_err(|failure| failure.into_error(LOOKING))
}

/// An executor with one of its queues: a row of [`SERVING`].
fn served(mut row: Row) -> Result<(ExecutorId, Option<(String, String)>), Failure> {
    let executor = ExecutorId::from(row.some_text()?);
    let (version, queue) = (row.text()?, row.text()?);
    Ok((executor, version.zip(queue)))
}

async fn requeue<D: Driver>(
    t: &mut Transaction<'_, D>,
    claimant: &Claimant,
    abandoned: &[Abandoned],
) -> Result<Vec<WorkflowId>, Failure> {
    if !is_current(t, claimant).await? {
        return Ok(Vec::new());
    }
    let ids: HashSet<&WorkflowId> = abandoned.iter().map(|left| &left.workflow).collect();
    let ids: Vec<_> = ids.into_iter().cloned().collect();
    let locked = lock(t, &ids).await?;
    let event = |n: usize| {
        // One may be named twice, by tokens that were read at different times.
        let row = &locked.rows[n];
        let named = abandoned.iter().filter(|left| left.workflow == row.id);
        let held = named.max_by_key(|left| left.held == row.owner);
        Event::Requeue {
            held: held.and_then(|left| left.held.as_ref()),
        }
    };
    let changed = change(t, &locked.rows, locked.now, event).await?;
    for row in &changed {
        t.hint(Hint::Workflow(row.id.clone()));
        if let Some(queue) = &row.queue {
            t.hint(Hint::Queue(queue.clone()));
        }
    }
    Ok(in_order_of(
        abandoned.iter().map(|left| &left.workflow),
        &changed,
    ))
}

/// The ids of these rows, in the order in which they were asked for.
fn in_order_of<'a>(
    asked: impl Iterator<Item = &'a WorkflowId>,
    rows: &[WorkflowRow],
) -> Vec<WorkflowId> {
    let mut left: HashSet<&WorkflowId> = rows.iter().map(|row| &row.id).collect();
    asked.filter(|id| left.remove(id)).cloned().collect()
}

/// By the primary keys. In the order of the ids, as everybody locks several rows.
pub(crate) const ADOPTABLE: &str = concat!(
    "SELECT ",
    now_ms!(),
    ", ",
    row_columns!(),
    ",
        COALESCE((SELECT i.inputs FROM dbos.workflow_input AS i WHERE i.workflow_uuid = s.workflow_uuid), s.inputs)
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = ANY ($1::text[])
    ORDER BY s.workflow_uuid
    FOR NO KEY UPDATE OF s"
);

async fn adopt<D: Driver>(
    t: &mut Transaction<'_, D>,
    claimant: &Claimant,
    adoptions: &[Adoption],
) -> Result<Vec<Claimed>, Failure> {
    if !is_current(t, claimant).await? {
        return Ok(Vec::new());
    }
    // One that is asked for twice is another's the second time.
    let mut wanted: HashMap<&WorkflowId, (usize, &Adoption)> = HashMap::new();
    for (n, adoption) in adoptions.iter().enumerate() {
        wanted.entry(&adoption.workflow).or_insert((n, adoption));
    }
    let ids = rows::list(wanted.keys().copied());
    let found = t.query(ADOPTABLE, params![&ids]).await?;
    let (now, found) = with_instant(found, rows::claimed)?;
    let rows: Vec<WorkflowRow> = found.iter().map(|found| found.row.clone()).collect();
    let event = |n: usize| {
        let (_, adoption) = wanted[&rows[n].id];
        Event::Adopt {
            claimant,
            held: adoption.held.as_ref(),
            token: &adoption.token,
        }
    };
    let changed = change(t, &rows, now, event).await?;
    for row in &changed {
        t.hint(Hint::Workflow(row.id.clone()));
    }
    let excused = attempts::dispatched(t, &rows, &changed).await?;
    let mut adopted = take(found, changed, &excused);
    adopted.sort_by_key(|claimed| wanted.get(&claimed.row.id).map(|(n, _)| *n));
    Ok(adopted)
}
