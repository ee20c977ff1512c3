//! Mailboxes.

use async_trait::async_trait;
use durable_core::{
    db::{Message, Messages, Received, Result, Sent, StepRecord, StepResult, StepStamp},
    ids::Owner,
    payload::Encoded,
};

use crate::{
    Driver, PgSystemDb,
    error::Failure,
    lane::{Recording, check_owner, format, record, same, stored, taken},
    rows::{self, now_ms},
    transaction::{Ask, Transaction},
    value::params,
};

#[async_trait]
impl<D: Driver> Messages for PgSystemDb<D> {
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent> {
        let sent = self
            .core()
            .transact("send a message", (message, step), |t, (message, step)| {
                Box::pin(send(t, message, *step))
            })
            .await?;
        // Of messages, other processes are told by the trigger.
        if sent == Sent::Delivered {
            self.core().publish_here(message);
        }
        Ok(sent)
    }

    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received> {
        let args = Receive {
            owner,
            topic,
            step,
            otherwise,
        };
        self.core()
            .transact("receive a message", args, |t, args| {
                Box::pin(receive(t, args))
            })
            .await
    }
}

/// By the primary keys and `idx_workflow_topic`. Later than what waits in the mailbox, so that it is taken after that.
pub(crate) const DELIVER: &str = concat!(
    "INSERT INTO dbos.notifications (
        message_uuid, destination_uuid, topic, message, serialization, created_at_epoch_ms)
    SELECT $1, s.workflow_uuid, $3, $4, $5,
           greatest(",
    now_ms!(),
    ", 1 + (
               SELECT max(n.created_at_epoch_ms)
               FROM dbos.notifications AS n
               WHERE n.destination_uuid = $2
                 AND n.topic = $3
                 AND NOT n.consumed))
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = $2
    ON CONFLICT (message_uuid) DO NOTHING
    RETURNING message_uuid"
);

/// By the primary key. Locked, so that what is there stays until the message is.
pub(crate) const EXISTS: &str = "
    SELECT 1
    FROM dbos.workflow_status AS s
    WHERE s.workflow_uuid = $1
    FOR KEY SHARE";

pub(crate) async fn send(
    t: &mut impl Ask,
    message: &Message,
    step: Option<(&Owner, &StepStamp)>,
) -> Result<Sent, Failure> {
    if let Some((owner, _)) = step
        && let Err(lost) = check_owner(t, owner).await?
    {
        return Ok(Sent::Lost(lost));
    }
    let sent = step.map(|(owner, stamp)| (owner, stamp.record(StepResult::Nothing, None)));
    if let Some((owner, sent)) = &sent
        && let Some(before) = stored(t, &owner.workflow, sent.number).await?
    {
        // It was sent then; the mailbox may even be gone by now.
        if same(&before, sent) {
            return Ok(Sent::Delivered);
        }
        return Err(taken(owner, &before, &sent.name));
    }
    let destination = message.destination.as_str();
    if t.query(EXISTS, params![destination]).await?.is_empty() {
        return Ok(Sent::NoDestination);
    }
    t.query(
        DELIVER,
        params![
            message.id.as_str(),
            destination,
            message.topic.as_str(),
            message.payload.text.as_str(),
            format(&message.payload),
        ],
    )
    .await?;
    if let Some((owner, sent)) = &sent {
        match record(t, owner, sent).await? {
            Recording::New | Recording::Known => {}
            Recording::Other(stored) => return Err(taken(owner, &stored, &sent.name)),
            Recording::Lost(lost) => return Ok(Sent::Lost(lost)),
        }
    }
    Ok(Sent::Delivered)
}

struct Receive<'a> {
    owner: &'a Owner,
    topic: &'a str,
    step: &'a StepStamp,
    otherwise: Option<&'a Encoded>,
}

async fn receive<D: Driver>(
    t: &mut Transaction<'_, D>,
    args: &Receive<'_>,
) -> Result<Received, Failure> {
    let owner = args.owner;
    if let Err(lost) = check_owner(t, owner).await? {
        return Ok(Received::Lost(lost));
    }
    if let Some(stored) = stored(t, &owner.workflow, args.step.number).await? {
        return received_before(t, args, stored).await;
    }
    let (value, answer) = match (consume(t, args).await?, args.otherwise) {
        (Some(value), _) => (value.clone(), Received::Message(value)),
        (None, Some(otherwise)) => (otherwise.clone(), Received::Otherwise),
        (None, None) => return Ok(Received::Empty),
    };
    let record_of_it = args.step.record(StepResult::Output(value), None);
    match record(t, owner, &record_of_it).await? {
        Recording::New | Recording::Known => Ok(answer),
        Recording::Other(stored) => Err(taken(owner, &stored, &args.step.name)),
        Recording::Lost(lost) => Ok(Received::Lost(lost)),
    }
}

/// By `idx_workflow_topic` and the primary key. The receiver's row is locked, so nobody else takes from this mailbox.
pub(crate) const CONSUME: &str = "
    UPDATE dbos.notifications AS m
    SET consumed = TRUE, consumed_by_function_id = $3::bigint::int
    WHERE m.message_uuid = (
        SELECT n.message_uuid
        FROM dbos.notifications AS n
        WHERE n.destination_uuid = $1
          AND n.topic = $2
          AND NOT n.consumed
        ORDER BY n.created_at_epoch_ms, n.message_uuid
        LIMIT 1)
      AND NOT m.consumed
    RETURNING m.message, m.serialization";

/// Takes the oldest message that waits.
async fn consume<D: Driver>(
    t: &mut Transaction<'_, D>,
    args: &Receive<'_>,
) -> Result<Option<Encoded>, Failure> {
    let found = t
        .query_one(
            CONSUME,
            params![
                args.owner.workflow.as_str(),
                args.topic,
                i64::from(args.step.number),
            ],
        )
        .await?;
    found.map(|mut row| rows::encoded(&mut row)).transpose()
}

/// The answer that was given when the step was recorded.
async fn received_before<D: Driver>(
    t: &mut Transaction<'_, D>,
    args: &Receive<'_>,
    stored: StepRecord,
) -> Result<Received, Failure> {
    match stored.result {
        StepResult::Output(value) if stored.name == args.step.name => {
            let otherwise = args.otherwise == Some(&value);
            if otherwise && !took_a_message(t, args).await? {
                Ok(Received::Otherwise)
            } else {
                Ok(Received::Message(value))
            }
        }
        _ => Err(taken(args.owner, &stored, &args.step.name)),
    }
}

/// By `idx_workflow_topic`.
pub(crate) const TOOK: &str = "
    SELECT 1
    FROM dbos.notifications AS n
    WHERE n.destination_uuid = $1
      AND n.topic = $2
      AND n.consumed
      AND n.consumed_by_function_id = $3::bigint::int
    LIMIT 1";

/// Whether the step has taken a message: one that equals the value for "none" is told from it by this.
async fn took_a_message<D: Driver>(
    t: &mut Transaction<'_, D>,
    args: &Receive<'_>,
) -> Result<bool, Failure> {
    let found = t
        .query_one(
            TOOK,
            params![
                args.owner.workflow.as_str(),
                args.topic,
                i64::from(args.step.number),
            ],
        )
        .await?;
    Ok(found.is_some())
}
