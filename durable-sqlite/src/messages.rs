//! Mailboxes.

use async_trait::async_trait;
use durable_core::{
    db::{
        Hint, Message, Messages, Received, Result, Sent, StepRecord, StepResult, StepStamp, texts,
    },
    ids::{Format, Owner, WorkflowId},
    payload::Encoded,
    time::Timestamp,
};
use sqlx::SqliteConnection;

use crate::{
    Sqlite,
    error::Failure,
    lane::Session,
    rows,
    steps::{Recording, check_owner, record, stored, taken},
};

#[async_trait]
impl Messages for Sqlite {
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent> {
        texts::check("send a message", &[&message, &step])?;
        let step = step.map(|(owner, stamp)| (owner.clone(), stamp.clone()));
        let args = (message.clone(), step);
        self.write("send a message", args, |session, (message, step)| {
            Box::pin(send(session, message, step.as_ref()))
        })
        .await
    }

    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received> {
        texts::check("receive a message", &[&owner, &topic, &step, &otherwise])?;
        let args = Receive {
            owner: owner.clone(),
            topic: topic.to_owned(),
            step: step.clone(),
            otherwise: otherwise.cloned(),
        };
        self.write("receive a message", args, |session, args| {
            Box::pin(receive(session, args))
        })
        .await
    }
}

async fn send(
    session: &mut Session,
    message: &Message,
    step: Option<&(Owner, StepStamp)>,
) -> Result<Sent, Failure> {
    if let Some((owner, stamp)) = step {
        let sent = stamp.record(StepResult::Nothing, None);
        match record(session, owner, &sent).await? {
            Recording::New => {}
            // It was sent then; the mailbox may even be gone by now.
            Recording::Known => return Ok(Sent::Delivered),
            Recording::Other(stored) => return Err(taken(owner, &stored, &stamp.name)),
            Recording::Lost(lost) => return Ok(Sent::Lost(lost)),
        }
    }
    let now = session.now();
    if deliver(&mut session.conn, message, now).await? {
        let to = message.destination.clone();
        session.hint(Hint::Message(to, message.topic.clone()));
        return Ok(Sent::Delivered);
    }
    if exists(&mut session.conn, &message.destination).await? {
        return Ok(Sent::Delivered);
    }
    if let Some((owner, stamp)) = step {
        forget(session, owner, stamp).await?;
    }
    Ok(Sent::NoDestination)
}

/// By the primary keys and `idx_workflow_topic`. Later than what waits in the mailbox, so that it is taken after that.
pub(crate) const DELIVER: &str = "
    INSERT INTO notifications (
        message_uuid, destination_uuid, topic, message, serialization, consumed, created_at_epoch_ms)
    SELECT ?1, ?2, ?3, ?4, ?5, FALSE,
           max(?6, 1 + COALESCE((
               SELECT max(n.created_at_epoch_ms)
               FROM notifications AS n
               WHERE n.destination_uuid = ?2
                 AND n.topic = ?3
                 AND n.consumed = FALSE), 0))
    FROM workflow_status
    WHERE workflow_uuid = ?2
    ON CONFLICT (message_uuid) DO NOTHING";

/// Whether the message is in the mailbox now and was not before.
pub(crate) async fn deliver(
    conn: &mut SqliteConnection,
    message: &Message,
    now: Timestamp,
) -> Result<bool, Failure> {
    let format = message.payload.format.as_ref();
    let delivered = sqlx::query(DELIVER)
        .bind(message.id.as_str())
        .bind(message.destination.as_str())
        .bind(message.topic.as_str())
        .bind(message.payload.text.as_str())
        .bind(format.map(Format::as_str))
        .bind(now.as_millis())
        .execute(conn)
        .await?;
    Ok(delivered.rows_affected() == 1)
}

/// By the primary key.
const EXISTS: &str = "
    SELECT EXISTS (
        SELECT 1
        FROM workflow_status
        WHERE workflow_uuid = ?1)";

pub(crate) async fn exists(conn: &mut SqliteConnection, id: &WorkflowId) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar(EXISTS)
        .bind(id.as_str())
        .fetch_one(conn)
        .await?)
}

/// By the primary key.
const FORGET: &str = "
    DELETE FROM operation_outputs
    WHERE workflow_uuid = ?1
      AND function_id = ?2";

/// Takes back a step that this very transaction has recorded.
async fn forget(session: &mut Session, owner: &Owner, step: &StepStamp) -> Result<(), Failure> {
    sqlx::query(FORGET)
        .bind(owner.workflow.as_str())
        .bind(step.number)
        .execute(&mut session.conn)
        .await?;
    Ok(())
}

struct Receive {
    owner: Owner,
    topic: String,
    step: StepStamp,
    otherwise: Option<Encoded>,
}

async fn receive(session: &mut Session, args: &Receive) -> Result<Received, Failure> {
    let owner = &args.owner;
    if let Err(lost) = check_owner(&mut session.conn, owner).await? {
        return Ok(Received::Lost(lost));
    }
    let number = args.step.number;
    if let Some(stored) = stored(&mut session.conn, &owner.workflow, number).await? {
        return received_before(session, args, stored).await;
    }
    let (value, answer) = match (consume(session, args).await?, &args.otherwise) {
        (Some(value), _) => (value.clone(), Received::Message(value)),
        (None, Some(otherwise)) => (otherwise.clone(), Received::Otherwise),
        (None, None) => return Ok(Received::Empty),
    };
    let record_of_it = args.step.record(StepResult::Output(value), None);
    match record(session, owner, &record_of_it).await? {
        Recording::New | Recording::Known => Ok(answer),
        Recording::Other(stored) => Err(taken(owner, &stored, &args.step.name)),
        Recording::Lost(lost) => Ok(Received::Lost(lost)),
    }
}

/// By `idx_workflow_topic`, in its order.
pub(crate) const CONSUME: &str = "
    UPDATE notifications
    SET consumed = TRUE, consumed_by_function_id = ?3
    WHERE message_uuid = (
        SELECT n.message_uuid
        FROM notifications AS n
        WHERE n.destination_uuid = ?1
          AND n.topic = ?2
          AND n.consumed = FALSE
        ORDER BY n.created_at_epoch_ms, n.message_uuid
        LIMIT 1)
    RETURNING message, serialization";

/// Takes the oldest message that waits.
async fn consume(session: &mut Session, args: &Receive) -> Result<Option<Encoded>, Failure> {
    let row = sqlx::query(CONSUME)
        .bind(args.owner.workflow.as_str())
        .bind(args.topic.as_str())
        .bind(args.step.number)
        .fetch_optional(&mut session.conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let text = rows::column(&row, "message")?;
    Ok(Some(rows::encoded(&row, text)?))
}

/// The answer that was given when the step was recorded.
async fn received_before(
    session: &mut Session,
    args: &Receive,
    stored: StepRecord,
) -> Result<Received, Failure> {
    match stored.result {
        StepResult::Output(value) if stored.name == args.step.name => {
            let otherwise = args.otherwise.as_ref() == Some(&value);
            if otherwise && !took_a_message(session, args).await? {
                Ok(Received::Otherwise)
            } else {
                Ok(Received::Message(value))
            }
        }
        _ => Err(taken(&args.owner, &stored, &args.step.name)),
    }
}

/// By `idx_workflow_topic`.
const TOOK: &str = "
    SELECT EXISTS (
        SELECT 1
        FROM notifications
        WHERE destination_uuid = ?1
          AND topic = ?2
          AND consumed = TRUE
          AND consumed_by_function_id = ?3)";

/// Whether the step has taken a message: one that equals the value for "none" is told from it by this.
async fn took_a_message(session: &mut Session, args: &Receive) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar(TOOK)
        .bind(args.owner.workflow.as_str())
        .bind(args.topic.as_str())
        .bind(args.step.number)
        .fetch_one(&mut session.conn)
        .await?)
}
