//! Claiming work from queues.

use std::collections::HashMap;

use async_trait::async_trait;
use durable_core::{
    db::{ClaimRequest, Claimed, Queues, Result, WaitingCount},
    ids::{Format, OwnerToken, WorkflowId, WorkflowKey},
    state::{WorkflowRow, claim::Claimant, transition::Event},
};

use crate::{
    Driver, PgSystemDb, Row, attempts,
    changes::{change, with_instant},
    error::Failure,
    rows::{self, now_ms, row_columns},
    transaction::Transaction,
    value::params,
};

#[async_trait]
impl<D: Driver> Queues for PgSystemDb<D> {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        const DOING: &str = "claim workflows";
        // An idle queue is empty, and then no transaction is needed.
        let can_run = CanRun::of(&request.claimant);
        let waiting = self
            .core()
            .ask(
                DOING,
                ANY_CANDIDATE,
                params![
                    can_run.application,
                    &can_run.names,
                    &can_run.classes,
                    &can_run.configs,
                    &can_run.formats,
                    can_run.version,
                    request.queue.as_str(),
                ],
            )
            .await?;
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        self.core()
            .transact(DOING, request, |t, request| Box::pin(claim(t, request)))
            .await
    }

    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>> {
        const DOING: &str = "find claimed workflows";
        let asked = rows::list(tokens);
        let found = self.core().ask(DOING, CLAIMED_BY, params![&asked]).await?;
        let mut claimed = found
            .into_iter()
            .map(|mut row| rows::claimed(&mut row))
            .collect::<Result<Vec<_>, Failure>>()
            .map_err(|failure| failure.into_error(DOING))?;
        let (ids, incarnations) = attempts::asked(claimed.iter().map(|claimed| &claimed.row));
        let incarnations: Vec<_> = incarnations.iter().map(Option::as_deref).collect();
        let known = (self.core())
            .ask(DOING, attempts::KNOWN, params![&ids, &incarnations])
            .await?;
        let known = attempts::known(known).map_err(|failure| failure.into_error(DOING))?;
        for claimed in &mut claimed {
            let known = known.get(&claimed.row.id);
            claimed.excused = known.map_or(0, |(known, _)| known.excused);
        }
        claimed.sort_by_key(|claimed| {
            let owner = claimed.row.owner.as_ref();
            tokens.iter().position(|token| Some(token) == owner)
        });
        Ok(claimed)
    }

    async fn waiting(&self, application: &str) -> Result<Vec<WaitingCount>> {
        const DOING: &str = "count what waits on queues";
        let found = self
            .core()
            .ask(DOING, WAITING, params![application])
            .await?;
        let counts: Result<Vec<_>, Failure> = found.into_iter().map(waiting_count).collect();
        counts.map_err(|failure| failure.into_error(DOING))
    }
}

/// What a claimant can run, as the parameters of [`can_run`].
pub(crate) struct CanRun<'a> {
    pub(crate) application: &'a str,
    pub(crate) version: &'a str,
    pub(crate) names: Vec<Option<&'a str>>,
    pub(crate) classes: Vec<Option<&'a str>>,
    pub(crate) configs: Vec<Option<&'a str>>,
    pub(crate) formats: Vec<Option<&'a str>>,
}

impl<'a> CanRun<'a> {
    pub(crate) fn of(claimant: &'a Claimant) -> Self {
        let keys: &'a [WorkflowKey] = &claimant.runnable;
        let formats: &'a [Format] = &claimant.formats;
        Self {
            application: &claimant.application,
            version: &claimant.version,
            names: keys.iter().map(|key| Some(key.name.as_str())).collect(),
            classes: keys.iter().map(|key| key.class.as_deref()).collect(),
            configs: keys.iter().map(|key| key.config.as_deref()).collect(),
            formats: rows::list(formats),
        }
    }
}

/// What can be run, as the conditions of a statement: `claim::Claimant::can_run` in SQL. `$1` application, `$2` to `$4` names, classes
/// and instances, `$5` formats.
///
/// The name is looked for twice: by itself it is a look into a list, and most rows of others end there.
macro_rules! can_run {
    () => {
        "(s.application_name = $1 OR s.application_name IS NULL)
      AND s.name = ANY ($2::text[])
      AND s.serialization = ANY ($5::text[])
      AND EXISTS (
          SELECT 1
          FROM unnest($2::text[], $3::text[], $4::text[]) AS r (name, class, config)
          WHERE r.name = s.name
            AND r.class IS NOT DISTINCT FROM s.class_name
            AND r.config IS NOT DISTINCT FROM s.config_name)"
    };
}
pub(crate) use can_run;

/// What may be claimed, as the conditions of a statement: `claim::Claimant::may_claim` in SQL. `$1` to `$5` as in [`can_run`], `$6`
/// version, `$7` queue. The newest registered version also takes what names none; so does any where none is registered.
macro_rules! may_claim {
    () => {
        concat!(
            "s.queue_name = $7
      AND s.status = 'ENQUEUED'
      AND (s.application_version = $6 OR (
              s.application_version IS NULL
              AND COALESCE(
                  (SELECT v.version_name = $6
                   FROM dbos.application_versions AS v
                   WHERE v.application_name = $1 OR v.application_name IS NULL
                   ORDER BY v.version_timestamp DESC
                   LIMIT 1),
                  TRUE)))
      AND ",
            can_run!()
        )
    };
}

/// By `idx_workflow_status_in_flight_v2`, whose condition the queue's fulfils.
pub(crate) const ANY_CANDIDATE: &str = concat!(
    "SELECT 1
    FROM dbos.workflow_status AS s
    WHERE ",
    may_claim!(),
    "
    LIMIT 1"
);

/// By `idx_workflow_status_in_flight_v2`, in its order. What another claimant is taking is passed over.
pub(crate) const CANDIDATES: &str = concat!(
    "SELECT ",
    now_ms!(),
    ", ",
    row_columns!(),
    ",
        COALESCE((SELECT i.inputs FROM dbos.workflow_input AS i WHERE i.workflow_uuid = s.workflow_uuid), s.inputs)
    FROM dbos.workflow_status AS s
    WHERE ",
    may_claim!(),
    "
    ORDER BY s.priority, s.created_at, s.workflow_uuid COLLATE \"C\"
    LIMIT $8::bigint
    FOR NO KEY UPDATE OF s SKIP LOCKED"
);

async fn claim<D: Driver>(
    t: &mut Transaction<'_, D>,
    request: &ClaimRequest,
) -> Result<Vec<Claimed>, Failure> {
    let claimant = &request.claimant;
    if !is_current(t, claimant).await? {
        return Ok(Vec::new());
    }
    let can_run = CanRun::of(claimant);
    let found = t
        .query(
            CANDIDATES,
            params![
                can_run.application,
                &can_run.names,
                &can_run.classes,
                &can_run.configs,
                &can_run.formats,
                can_run.version,
                request.queue.as_str(),
                rows::limit(request.tokens.len()),
            ],
        )
        .await?;
    let (now, candidates) = with_instant(found, rows::claimed)?;
    let rows: Vec<WorkflowRow> = candidates.iter().map(|found| found.row.clone()).collect();
    let event = |n: usize| Event::Claim {
        claimant,
        token: &request.tokens[n],
    };
    let changed = change(t, &rows, now, event).await?;
    let excused = attempts::dispatched(t, &rows, &changed).await?;
    Ok(take(candidates, changed, &excused))
}

/// What was taken, with the inputs that were found beside it, and with how many dispatches do not
/// count.
pub(crate) fn take(
    found: Vec<Claimed>,
    changed: Vec<WorkflowRow>,
    excused: &HashMap<WorkflowId, i64>,
) -> Vec<Claimed> {
    let mut changed = changed.into_iter().peekable();
    found
        .into_iter()
        .filter_map(|found| {
            // In the order of what was found, and some of it may be left out.
            let row = changed.next_if(|row| row.id == found.row.id)?;
            Some(Claimed {
                excused: excused.get(&row.id).copied().unwrap_or(0),
                row,
                input: found.input,
            })
        })
        .collect()
}

/// By the primary key. Locked, so that no later life begins before the transaction ends; heartbeats go on meanwhile.
pub(crate) const LIFE: &str = "
    SELECT e.incarnation
    FROM dbos.durable_executors AS e
    WHERE e.executor_id = $1
    FOR KEY SHARE";

/// Whether the request is not of an earlier life of its executor; it stays so until the transaction ends.
pub(crate) async fn is_current<D: Driver>(
    t: &mut Transaction<'_, D>,
    claimant: &Claimant,
) -> Result<bool, Failure> {
    let found = t
        .query_one(LIFE, params![claimant.executor.as_str()])
        .await?;
    match found {
        Some(mut row) => Ok(row.some_integer()? <= claimant.incarnation),
        None => Ok(true),
    }
}

/// By `idx_workflow_status_pending`: no index has the tokens, and those who run are few beside those who ran.
pub(crate) const CLAIMED_BY: &str = concat!(
    "SELECT ",
    row_columns!(),
    ",
        COALESCE((SELECT i.inputs FROM dbos.workflow_input AS i WHERE i.workflow_uuid = s.workflow_uuid), s.inputs)
    FROM dbos.workflow_status AS s
    WHERE s.status = 'PENDING'
      AND s.owner_xid = ANY ($1::text[])"
);

/// By the partial indexes of each status, whose conditions are repeated: the rows that ended are
/// most, and not looked at.
pub(crate) const WAITING: &str = "
    SELECT u.queue_name, u.application_version, count(*) AS found
    FROM (
        SELECT s.queue_name, s.application_version
        FROM dbos.workflow_status AS s
        WHERE s.status IN ('ENQUEUED', 'PENDING')
          AND s.status = 'ENQUEUED'
          AND s.application_name = $1
          AND s.queue_name IS NOT NULL
        UNION ALL
        SELECT s.queue_name, s.application_version
        FROM dbos.workflow_status AS s
        WHERE s.status = 'DELAYED'
          AND s.application_name = $1
          AND s.queue_name IS NOT NULL) AS u
    GROUP BY u.queue_name, u.application_version
    ORDER BY found DESC, u.queue_name COLLATE \"C\", u.application_version COLLATE \"C\" NULLS FIRST";

fn waiting_count(mut row: Row) -> Result<WaitingCount, Failure> {
    Ok(WaitingCount {
        queue: row.some_text()?,
        version: row.text()?,
        count: row.some_integer()?.unsigned_abs(),
    })
}
