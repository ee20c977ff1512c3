//! What waiters are told.

use durable_core::{
    db::{Lost, Result, Waits, Wakes},
    ids::{Owner, WorkflowId},
    payload::Ended,
    state::Status,
};

use crate::{Driver, Row, core::Core, error::Failure, rows, value::params};

/// Everything that is waited for, in one look.
///
/// By the primary keys and `idx_workflow_topic`. A status that nobody knows counts as an end, to be found out by who reads it.
pub(crate) const POLL: &str = "
    SELECT 0::bigint AS kind, w.id, NULL::text AS name, s.id AS found, s.status, s.serialization,
           COALESCE(o.output, s.output) AS output, COALESCE(o.error, s.error) AS error
    FROM unnest($1::text[]) AS w (id)
    LEFT JOIN LATERAL (
        SELECT s.workflow_uuid AS id, s.status, s.serialization, s.output, s.error
        FROM dbos.workflow_status AS s
        WHERE s.workflow_uuid = w.id
        OFFSET 0) AS s ON TRUE
    LEFT JOIN LATERAL (
        SELECT o.output, o.error
        FROM dbos.workflow_output AS o
        WHERE o.workflow_uuid = s.id
        OFFSET 0) AS o ON TRUE
    WHERE s.id IS NULL
       OR s.status NOT IN ('PENDING', 'ENQUEUED', 'DELAYED')
    UNION ALL
    SELECT 1, w.id, w.name, NULL, NULL, NULL, NULL, NULL
    FROM unnest($2::text[], $3::text[]) AS w (id, name)
    WHERE EXISTS (
        SELECT 1
        FROM dbos.notifications AS n
        WHERE n.destination_uuid = w.id
          AND n.topic = w.name
          AND NOT n.consumed
        OFFSET 0)
    UNION ALL
    SELECT 2, w.id, w.name, NULL, NULL, NULL, NULL, NULL
    FROM unnest($4::text[], $5::text[]) AS w (id, name)
    WHERE EXISTS (
        SELECT 1
        FROM dbos.workflow_events AS e
        WHERE e.workflow_uuid = w.id
          AND e.key = w.name
        OFFSET 0)
    UNION ALL
    SELECT 3, w.id, w.token, s.id, s.status, NULL, NULL, NULL
    FROM unnest($6::text[], $7::text[]) AS w (id, token)
    LEFT JOIN LATERAL (
        SELECT s.workflow_uuid AS id, s.status, s.owner_xid AS token
        FROM dbos.workflow_status AS s
        WHERE s.workflow_uuid = w.id
        OFFSET 0) AS s ON TRUE
    WHERE s.status IS DISTINCT FROM 'PENDING'
       OR s.token IS DISTINCT FROM w.token";

pub(crate) async fn poll<D: Driver>(core: &Core<D>, waits: &Waits) -> Result<Wakes> {
    const DOING: &str = "look for what is waited for";
    let results = rows::list(&waits.results);
    let (destinations, topics) = columns(&waits.messages);
    let (publishers, keys) = columns(&waits.events);
    let owned: Vec<_> = waits.owners.iter().map(|owner| &owner.workflow).collect();
    let owned: Vec<_> = owned.iter().map(|id| Some(id.as_str())).collect();
    let tokens: Vec<_> = waits
        .owners
        .iter()
        .map(|owner| Some(owner.token.as_str()))
        .collect();
    let found = core
        .ask(
            DOING,
            POLL,
            params![
                &results,
                &destinations,
                &topics,
                &publishers,
                &keys,
                &owned,
                &tokens,
            ],
        )
        .await?;
    wakes(found).map_err(|failure| failure.into_error(DOING))
}

fn columns(pairs: &[(WorkflowId, String)]) -> (Vec<Option<&str>>, Vec<Option<&str>>) {
    pairs
        .iter()
        .map(|(id, name)| (Some(id.as_str()), Some(name.as_str())))
        .unzip()
}

fn wakes(found: Vec<Row>) -> Result<Wakes, Failure> {
    let mut wakes = Wakes::default();
    for mut row in found {
        let kind = row.some_integer()?;
        let id = WorkflowId::from(row.some_text()?);
        let name = row.text()?;
        match kind {
            0 => match ended(&mut row, &id) {
                Ok(Some(end)) => wakes.results.push((id, end)),
                Ok(None) => {}
                Err(failure) => leave_out(&id, failure)?,
            },
            1 => wakes.messages.push((id, name.unwrap_or_default())),
            2 => wakes.events.push((id, name.unwrap_or_default())),
            _ => match lost(&mut row, &id) {
                Ok(lost) => {
                    let owner = Owner {
                        workflow: id,
                        token: name.unwrap_or_default().into(),
                    };
                    wakes.owners.push((owner, lost));
                }
                Err(failure) => leave_out(&id, failure)?,
            },
        }
    }
    Ok(wakes)
}

/// One row that cannot be read must not keep all others waiting.
fn leave_out(id: &WorkflowId, failure: Failure) -> Result<(), Failure> {
    let Failure::Broken(why) = failure else {
        return Err(failure);
    };
    tracing::warn!(workflow = %id, why, "a workflow that is waited for cannot be read; its waiters go on waiting");
    Ok(())
}

fn ended(row: &mut Row, id: &WorkflowId) -> Result<Option<Ended>, Failure> {
    if row.text()?.is_none() {
        return Ok(Some(Ended::Missing));
    }
    Ok(match rows::status(row, id)? {
        Status::Pending | Status::Enqueued | Status::Delayed => None,
        Status::Success => Some(Ended::Outcome(rows::outcome(row, true)?)),
        Status::Error => Some(Ended::Outcome(rows::outcome(row, false)?)),
        Status::Cancelled => Some(Ended::Cancelled),
        Status::MaxRecoveryAttemptsExceeded => Some(Ended::DeadLettered),
    })
}

fn lost(row: &mut Row, id: &WorkflowId) -> Result<Lost, Failure> {
    let status = match row.text()? {
        Some(_) => Some(rows::status(row, id)?),
        None => None,
    };
    Ok(Lost { status })
}
