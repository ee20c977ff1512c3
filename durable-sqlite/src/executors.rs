//! Who lives, and what the dead left.

use std::collections::HashMap;

use async_trait::async_trait;
use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, Claimed, DbError, Executors, Hint, Joined, Result,
        Serving, WantedExecutor,
    },
    ids::{ExecutorId, Owner, WorkflowId},
    state::{Attempts, claim::Claimant, transition::Event},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use crate::{
    Sqlite, attempts,
    error::Failure,
    lane::Session,
    lives::Taken,
    queues::{can_run, format_list, is_current, runnable, runnable_list, take},
    readable,
    rows::{self, row_columns},
    workflows::{change, row_of},
};

const JOINING: &str = "join as an executor";
const LOOKING: &str = "look for abandoned workflows";
const ASKING_WHO_SERVES: &str = "list the living executors";

/// How many processes with the default id may live beside each other.
const MAX_SUFFIX: u32 = 1000;

#[async_trait]
impl Executors for Sqlite {
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined> {
        let candidates = if wanted.given { 1 } else { MAX_SUFFIX };
        for n in 1..=candidates {
            let id = match n {
                1 => wanted.id.clone(),
                n => ExecutorId::from(format!("{}-{n}", wanted.id)),
            };
            let taken = self.lives().take(&id).await;
            if let Some(taken) = taken.map_err(|trouble| trouble.into_error(JOINING))? {
                return self.begin_life(&id, taken, wanted).await;
            }
        }
        Err(DbError::Refused(in_use(wanted)))
    }

    async fn leave(&self, executor: &ExecutorId) -> Result<()> {
        self.lives().end(executor);
        Ok(())
    }

    async fn release(&self, owners: &[Owner]) -> Result<Vec<WorkflowId>> {
        self.write(
            "say what a shutdown has ended",
            owners.to_vec(),
            |session, owners| Box::pin(release(session, owners)),
        )
        .await
    }

    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>> {
        let held = self.lives().check();
        held.map_err(|failure| failure.into_error(LOOKING))?;
        let asking = query.claimant.clone();
        let mut executors = self
            .read(LOOKING, asking, |conn, asking| {
                Box::pin(executors(conn, asking))
            })
            .await?;
        let own = &query.claimant.executor;
        if query.own {
            executors.push(own.clone());
        }
        let executors = self.dead(executors, own)?;
        if executors.is_empty() {
            return Ok(Vec::new());
        }
        let left = self
            .read_at_once(
                LOOKING,
                (query.clone(), executors.clone()),
                |conn, (query, executors)| Box::pin(left_by(conn, query, executors)),
            )
            .await?;
        // One that came back since may have taken its rows up again; the tokens that were read are then not to be used.
        let dead = self.dead(executors, own)?;
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
        let args = (claimant.clone(), abandoned.to_vec());
        self.write(
            "put work back on its queue",
            args,
            |session, (claimant, abandoned)| Box::pin(requeue(session, claimant, abandoned)),
        )
        .await
    }

    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>> {
        let args = (claimant.clone(), adoptions.to_vec());
        self.write("adopt workflows", args, |session, (claimant, adoptions)| {
            Box::pin(adopt(session, claimant, adoptions))
        })
        .await
    }

    async fn serving(&self, application: &str) -> Result<Vec<Serving>> {
        let declared = self
            .read(
                ASKING_WHO_SERVES,
                application.to_owned(),
                |conn, application| Box::pin(declared(conn, application)),
            )
            .await?;
        let mut living = Vec::new();
        for one in declared {
            let lives = self.lives().is_alive(&one.executor);
            if lives.map_err(|trouble| trouble.into_error(ASKING_WHO_SERVES))? {
                living.push(one);
            }
        }
        Ok(living)
    }
}

impl Sqlite {
    /// Numbers the life that begins with this lock; if that fails, the life ends.
    async fn begin_life(
        &self,
        id: &ExecutorId,
        taken: Taken<'_>,
        wanted: &WantedExecutor,
    ) -> Result<Joined> {
        let args = (id.clone(), wanted.clone());
        let incarnation = self
            .write(JOINING, args, |session, (id, wanted)| {
                Box::pin(next_incarnation(session, id, wanted))
            })
            .await?;
        taken.keep();
        Ok(Joined {
            id: id.clone(),
            incarnation,
        })
    }

    /// Those of the executors that do not live. The asking one is not asked about: it knows what it runs.
    fn dead(&self, executors: Vec<ExecutorId>, asking: &ExecutorId) -> Result<Vec<ExecutorId>> {
        let mut dead = Vec::new();
        for id in executors {
            let lives = id != *asking
                && self
                    .lives()
                    .is_alive(&id)
                    .map_err(|trouble| trouble.into_error(LOOKING))?;
            if !lives {
                dead.push(id);
            }
        }
        Ok(dead)
    }
}

fn in_use(wanted: &WantedExecutor) -> String {
    let id = wanted.id.as_str();
    if wanted.given {
        format!(
            "executor id {id:?} is in use by a living process; stop that process first, give this one another id, or give none, so \
             that a free one is found"
        )
    } else {
        format!(
            "executor ids {id:?} to \"{id}-{MAX_SUFFIX}\" are all in use by living processes; stop some of them, or give this one \
             an id of its own"
        )
    }
}

/// By the primary key.
const NEXT_INCARNATION: &str = "
    INSERT INTO durable_executors (executor_id, incarnation, application_name, started_at)
    VALUES (?1, 1, ?2, ?3)
    ON CONFLICT (executor_id) DO UPDATE
        SET incarnation = incarnation + 1, application_name = excluded.application_name, started_at = excluded.started_at
    RETURNING incarnation";

/// By the primary key.
const FORGET_SERVED: &str = "
    DELETE FROM durable_served_queues
    WHERE executor_id = ?1
      AND incarnation < ?2";

/// By the primary key. `?4` the queues, as a list.
const DECLARE_SERVED: &str = "
    INSERT INTO durable_served_queues (executor_id, incarnation, application_version, queue_name)
    SELECT DISTINCT ?1, ?2, ?3, value
    FROM json_each(?4)";

async fn next_incarnation(
    session: &mut Session,
    id: &ExecutorId,
    wanted: &WantedExecutor,
) -> Result<i64, Failure> {
    let incarnation: i64 = sqlx::query_scalar(NEXT_INCARNATION)
        .bind(id.as_str())
        .bind(wanted.application.as_str())
        .bind(session.now().as_millis())
        .fetch_one(&mut session.conn)
        .await?;
    sqlx::query(FORGET_SERVED)
        .bind(id.as_str())
        .bind(incarnation)
        .execute(&mut session.conn)
        .await?;
    sqlx::query(DECLARE_SERVED)
        .bind(id.as_str())
        .bind(incarnation)
        .bind(wanted.serves.version.as_str())
        .bind(rows::list(&wanted.serves.queues))
        .execute(&mut session.conn)
        .await?;
    Ok(incarnation)
}

/// By the primary keys; each executor that has ever lived is looked at.
const SERVING: &str = "
    SELECT e.executor_id, q.application_version, q.queue_name
    FROM durable_executors AS e
    LEFT JOIN durable_served_queues AS q
        ON q.executor_id = e.executor_id AND q.incarnation = e.incarnation
    WHERE e.application_name = ?1
    ORDER BY e.executor_id, q.queue_name";

/// An executor with one of its queues: a row of [`SERVING`].
fn served(row: &SqliteRow) -> Result<(ExecutorId, Option<(String, String)>), Failure> {
    let executor: String = rows::column(row, "executor_id")?;
    let version: Option<String> = rows::column(row, "application_version")?;
    let queue: Option<String> = rows::column(row, "queue_name")?;
    Ok((executor.into(), version.zip(queue)))
}

/// The executors of an application, the dead among them.
async fn declared(conn: &mut SqliteConnection, application: &str) -> Result<Vec<Serving>, Failure> {
    let found = sqlx::query(SERVING)
        .bind(application)
        .fetch_all(conn)
        .await?;
    let rows: Result<Vec<_>, Failure> = found.iter().map(served).collect();
    Ok(Serving::gather(rows?))
}

/// By `idx_workflow_status_pending`, and the primary key of our table: only who is in it has shown life.
pub(crate) const EXECUTORS: &str = "
    SELECT DISTINCT s.executor_id
    FROM workflow_status AS s
    WHERE s.status = 'PENDING'
      AND (s.application_name = ?1 OR s.application_name IS NULL)
      AND s.application_version = ?2
      AND s.executor_id <> ?3
      AND EXISTS (
          SELECT 1
          FROM durable_executors AS e
          WHERE e.executor_id = s.executor_id)";

/// The executors, other than the asking one, that hold pending rows and have shown life.
async fn executors(
    conn: &mut SqliteConnection,
    asking: &Claimant,
) -> Result<Vec<ExecutorId>, Failure> {
    let ids: Vec<String> = sqlx::query_scalar(EXECUTORS)
        .bind(asking.application.as_str())
        .bind(asking.version.as_str())
        .bind(asking.executor.as_str())
        .fetch_all(conn)
        .await?;
    Ok(ids.into_iter().map(ExecutorId::from).collect())
}

/// By `idx_workflow_status_pending`: in the order of the primary key it would read all that ever ended, so that is hidden by `+`.
pub(crate) const LEFT: &str = concat!(
    runnable!(),
    "SELECT s.workflow_uuid, s.executor_id, s.owner_xid, s.queue_name
    FROM workflow_status AS s
    WHERE s.status = 'PENDING'
      AND s.executor_id IN (SELECT value FROM json_each(?4))
      AND s.application_version = ?5
      AND (?6 IS NULL OR +s.workflow_uuid > ?6)
      AND ",
    can_run!(),
    "
    ORDER BY +s.workflow_uuid
    LIMIT ?7 OFFSET ?8"
);

const UNREADABLE: &str = "an abandoned workflow cannot be read; nobody takes it over";

/// What executors hold that the asking one can run.
async fn left_by(
    conn: &mut SqliteConnection,
    query: &AbandonedQuery,
    executors: &[ExecutorId],
) -> Result<Vec<Abandoned>, Failure> {
    let claimant = &query.claimant;
    let statement = |limit, offset| {
        sqlx::query(LEFT)
            .bind(claimant.application.as_str())
            .bind(runnable_list(claimant))
            .bind(format_list(claimant))
            .bind(rows::list(executors))
            .bind(claimant.version.as_str())
            .bind(query.after.as_ref().map(WorkflowId::as_str))
            .bind(limit)
            .bind(offset)
    };
    let abandoned = |row: &SqliteRow| {
        let executor: String = rows::column(row, "executor_id")?;
        Ok(Abandoned {
            workflow: rows::workflow_id(row)?,
            executor: executor.into(),
            held: rows::name(row, "owner_xid")?,
            queue: rows::name(row, "queue_name")?,
        })
    };
    readable::page(conn, query.limit, UNREADABLE, statement, abandoned).await
}

async fn requeue(
    session: &mut Session,
    claimant: &Claimant,
    abandoned: &[Abandoned],
) -> Result<Vec<WorkflowId>, Failure> {
    if !is_current(&mut session.conn, claimant).await? {
        return Ok(Vec::new());
    }
    let mut requeued = Vec::new();
    for left in abandoned {
        let row = match row_of(&mut session.conn, &left.workflow).await {
            Ok(Some(row)) => row,
            Ok(None) => continue,
            Err(failure) => {
                readable::leave_out(&left.workflow, failure, UNREADABLE)?;
                continue;
            }
        };
        let event = Event::Requeue {
            held: left.held.as_ref(),
        };
        let Some(row) = change(session, &row, &event).await? else {
            continue;
        };
        session.hint(Hint::Workflow(row.id.clone()));
        if let Some(queue) = row.queue {
            session.hint(Hint::Queue(queue));
        }
        requeued.push(row.id);
    }
    Ok(requeued)
}

async fn release(session: &mut Session, owners: &[Owner]) -> Result<Vec<WorkflowId>, Failure> {
    let mut released = Vec::new();
    for owner in owners {
        let row = row_of(&mut session.conn, &owner.workflow).await?;
        let Some(row) = row.filter(|row| row.is_owned_by(&owner.token)) else {
            continue;
        };
        let ended = |known: &Attempts, _| known.released(&row);
        attempts::note(&mut session.conn, &row, ended).await?;
        released.push(row.id.clone());
    }
    Ok(released)
}

/// By the primary keys.
pub(crate) const ADOPTABLE: &str = concat!(
    "SELECT ",
    row_columns!(),
    ",
        COALESCE(i.inputs, s.inputs) AS input
    FROM json_each(?1) AS w
    JOIN workflow_status AS s ON s.workflow_uuid = w.value
    LEFT JOIN workflow_input AS i ON i.workflow_uuid = s.workflow_uuid"
);

async fn adopt(
    session: &mut Session,
    claimant: &Claimant,
    adoptions: &[Adoption],
) -> Result<Vec<Claimed>, Failure> {
    if !is_current(&mut session.conn, claimant).await? {
        return Ok(Vec::new());
    }
    let ids = adoptions.iter().map(|adoption| &adoption.workflow);
    let found = sqlx::query(ADOPTABLE)
        .bind(rows::list(ids))
        .fetch_all(&mut session.conn)
        .await?;
    let mut found_by_id = HashMap::new();
    for row in &found {
        let claimed = readable::unless_broken(row, rows::claimed(row), UNREADABLE)?;
        found_by_id.extend(claimed.map(|claimed| (claimed.row.id.clone(), claimed)));
    }
    let mut adopted = Vec::new();
    for adoption in adoptions {
        // Taken out: one that is asked for twice is another's the second time.
        let Some(found) = found_by_id.remove(&adoption.workflow) else {
            continue;
        };
        let event = Event::Adopt {
            claimant,
            held: adoption.held.as_ref(),
            token: &adoption.token,
        };
        if let Some(claimed) = take(session, found, &event).await? {
            session.hint(Hint::Workflow(adoption.workflow.clone()));
            adopted.push(claimed);
        }
    }
    Ok(adopted)
}
