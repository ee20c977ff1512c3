//! Published values.

use async_trait::async_trait;
use durable_core::{
    db::{Events, Hint, Recorded, Result, StepResult, StepStamp},
    ids::{Owner, WorkflowId},
    payload::Encoded,
};

use crate::{
    Driver, PgSystemDb,
    error::Failure,
    lane::{Recording, format, record},
    rows,
    transaction::Transaction,
    value::params,
};

#[async_trait]
impl<D: Driver> Events for PgSystemDb<D> {
    async fn set_event(
        &self,
        owner: &Owner,
        key: &str,
        value: &Encoded,
        step: &StepStamp,
    ) -> Result<Recorded> {
        let args = Set {
            owner,
            key,
            value,
            step,
        };
        self.core()
            .transact("publish an event", args, |t, args| Box::pin(set(t, args)))
            .await
    }

    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>> {
        const DOING: &str = "read an event";
        let mut found = self
            .core()
            .ask(DOING, EVENT, params![workflow.as_str(), key])
            .await?;
        let value = found.pop().map(|mut row| rows::encoded(&mut row));
        value
            .transpose()
            .map_err(|failure| failure.into_error(DOING))
    }
}

struct Set<'a> {
    owner: &'a Owner,
    key: &'a str,
    value: &'a Encoded,
    step: &'a StepStamp,
}

/// By the primary keys.
const SET: &str = "
    WITH present AS (
        INSERT INTO dbos.workflow_events (workflow_uuid, key, value, serialization)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (workflow_uuid, key) DO UPDATE
            SET value = excluded.value, serialization = excluded.serialization)
    INSERT INTO dbos.workflow_events_history (workflow_uuid, key, value, serialization, function_id)
    VALUES ($1, $2, $3, $4, $5::bigint::int)
    ON CONFLICT (workflow_uuid, function_id, key) DO UPDATE
        SET value = excluded.value, serialization = excluded.serialization";

async fn set<D: Driver>(t: &mut Transaction<'_, D>, args: &Set<'_>) -> Result<Recorded, Failure> {
    let published = args.step.record(StepResult::Nothing, None);
    let recording = record(t, args.owner, &published).await?;
    // A step that was recorded before published its value then; a later one may have replaced it.
    if matches!(recording, Recording::New) {
        let workflow = &args.owner.workflow;
        t.query(
            SET,
            params![
                workflow.as_str(),
                args.key,
                args.value.text.as_str(),
                format(args.value),
                i64::from(args.step.number),
            ],
        )
        .await?;
        t.hint(Hint::Event(workflow.clone(), args.key.to_owned()));
    }
    Ok(recording.into())
}

/// By the primary key.
pub(crate) const EVENT: &str = "
    SELECT e.value, e.serialization
    FROM dbos.workflow_events AS e
    WHERE e.workflow_uuid = $1
      AND e.key = $2";
