//! Published values.

use async_trait::async_trait;
use durable_core::{
    db::{Events, Hint, Recorded, Result, StepResult, StepStamp, texts},
    ids::{Format, Owner, WorkflowId},
    payload::Encoded,
};
use sqlx::SqliteConnection;

use crate::{
    Sqlite,
    error::Failure,
    lane::Session,
    rows,
    steps::{Recording, record},
};

#[async_trait]
impl Events for Sqlite {
    async fn set_event(
        &self,
        owner: &Owner,
        key: &str,
        value: &Encoded,
        step: &StepStamp,
    ) -> Result<Recorded> {
        texts::check("publish an event", &[&owner, &key, &value, &step])?;
        let args = Set {
            owner: owner.clone(),
            key: key.to_owned(),
            value: value.clone(),
            step: step.clone(),
        };
        self.write("publish an event", args, |session, args| {
            Box::pin(set(session, args))
        })
        .await
    }

    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>> {
        texts::check("read an event", &[&workflow, &key])?;
        let args = (workflow.clone(), key.to_owned());
        self.read("read an event", args, |conn, (workflow, key)| {
            Box::pin(event(conn, workflow, key))
        })
        .await
    }
}

struct Set {
    owner: Owner,
    key: String,
    value: Encoded,
    step: StepStamp,
}

/// By the primary keys.
const SET: &str = "
    INSERT INTO workflow_events (workflow_uuid, key, value, serialization)
    VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (workflow_uuid, key) DO UPDATE
        SET value = excluded.value, serialization = excluded.serialization;
    INSERT INTO workflow_events_history (workflow_uuid, key, value, serialization, function_id)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (workflow_uuid, function_id, key) DO UPDATE
        SET value = excluded.value, serialization = excluded.serialization";

async fn set(session: &mut Session, args: &Set) -> Result<Recorded, Failure> {
    let published = args.step.record(StepResult::Nothing, None);
    let recording = record(session, &args.owner, &published).await?;
    // A step that was recorded before published its value then; a later one may have replaced it.
    if matches!(recording, Recording::New) {
        let format = args.value.format.as_ref();
        sqlx::query(SET)
            .bind(args.owner.workflow.as_str())
            .bind(args.key.as_str())
            .bind(args.value.text.as_str())
            .bind(format.map(Format::as_str))
            .bind(args.step.number)
            .execute(&mut session.conn)
            .await?;
        session.hint(Hint::Event(args.owner.workflow.clone(), args.key.clone()));
    }
    Ok(recording.into())
}

/// By the primary key.
const EVENT: &str = "
    SELECT value, serialization
    FROM workflow_events
    WHERE workflow_uuid = ?1
      AND key = ?2";

async fn event(
    conn: &mut SqliteConnection,
    workflow: &WorkflowId,
    key: &str,
) -> Result<Option<Encoded>, Failure> {
    let row = sqlx::query(EVENT)
        .bind(workflow.as_str())
        .bind(key)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let text = rows::column(&row, "value")?;
    Ok(Some(rows::encoded(&row, text)?))
}
