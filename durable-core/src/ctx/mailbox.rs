//! Messages between workflows.

use std::{panic::Location, time::Duration};

use futures_util::future::{Either, select};
use serde::{Serialize, de::DeserializeOwned};

use super::{Ctx, Operation, sleep, step::recorded_result};
use crate::{
    Error,
    codec::{PORTABLE_JSON, encode_error},
    db::{NULL_TOPIC, Received, Sent, StepResult},
    engine::{
        Awaited,
        execution::{Call, Execution},
    },
    ids::{WorkflowId, message_id},
    names::Name,
    payload::Encoded,
    sabotage::Bug,
    workflow::Payload,
};

const SEND: &str = "DBOS.send";
const RECV: &str = "DBOS.recv";

impl Ctx {
    /// Puts a message into a workflow's mailbox, once however often this workflow is replayed.
    ///
    /// Errors: `NotFound` when there is no such workflow (one that has ended is fine), `Encode`, `InvalidName`.
    #[track_caller]
    pub fn send<T: Serialize + ?Sized>(
        &self,
        destination: impl Into<WorkflowId>,
        topic: &str,
        message: &T,
    ) -> Operation<'static, ()> {
        let destination = destination.into();
        let built = self.build(SEND, 1, Location::caller());
        let engine = self.engine();
        let what = format_args!("a message to workflow {:?}", destination.as_str());
        let payload = engine.codecs.encode(&what, message);
        let topic = topic.to_owned();
        Operation::new(SEND, built, move |execution, call| async move {
            let call = Call { name: SEND, ..call };
            send(&execution, call, &destination, topic, payload).await
        })
    }

    /// Waits for the oldest message of a topic in this workflow's own mailbox; `None` if there is none within `timeout`.
    ///
    /// A message is taken once; a wait that is dropped, as it lost a race, may have taken one: rather than racing it with a sleep, give it a
    /// timeout. The timeout survives restarts. Errors: `Decode` for a message that is not a `T`, which is taken all the same
    /// and is an error on every replay: wait for a `serde_json::Value` where senders are not to be trusted; `UnknownFormat`; `InvalidName`; `Nested` and
    /// `ForeignTask` for a wait that is where it must not be.
    #[track_caller]
    pub fn recv<T: Payload>(
        &self,
        topic: &str,
        timeout: Duration,
    ) -> Operation<'static, Option<T>> {
        self.receive(topic.to_owned(), timeout, Location::caller())
    }

    /// As [`recv`](Self::recv), for messages that were sent without a topic, as other SDKs can.
    #[track_caller]
    pub fn recv_untitled<T: Payload>(&self, timeout: Duration) -> Operation<'static, Option<T>> {
        self.receive(NULL_TOPIC.to_owned(), timeout, Location::caller())
    }

    fn receive<T: Payload>(
        &self,
        topic: String,
        timeout: Duration,
        place: &'static Location<'static>,
    ) -> Operation<'static, Option<T>> {
        // Two numbers, as in the reference: the second is the durable timeout's.
        let built = self.build(RECV, 2, place);
        Operation::new(RECV, built, move |execution, call| async move {
            let call = Call { name: RECV, ..call };
            receive(&execution, call, &topic, timeout).await
        })
    }
}

/// A message's or an event's absence, as it is recorded. For every reader it is `null`; the space tells it from a `null` that was sent.
pub(super) fn nothing() -> Encoded {
    Encoded::new("null ", PORTABLE_JSON)
}

async fn send(
    execution: &Execution,
    call: Call<'_>,
    destination: &WorkflowId,
    topic: String,
    payload: Result<Encoded, Error>,
) -> Result<(), Error> {
    if let Some(done) = replayed_effect(execution, call).await {
        return done;
    }
    execution.gate().await;
    let stamp = execution.settled(execution.stamp(call.number, call.name));
    let checked = Name::SoughtId
        .check(destination.as_str())
        .and_then(|()| Name::Topic.check(&topic));
    let error = match checked.and(payload) {
        Ok(payload) => {
            let key = format!("{}-{}", execution.owner.token, call.number);
            let message = crate::db::Message {
                // The same at every attempt, so that a send whose answer was lost is not doubled.
                id: if Bug::MessageIdWithoutNumber.is_planted() {
                    message_id(execution.owner.token.as_str(), destination)
                } else {
                    message_id(&key, destination)
                },
                destination: destination.clone(),
                topic,
                payload,
            };
            let db = &execution.engine.db;
            if Bug::SendsApart.is_planted() {
                execution.ok(db.send(&message, None).await).await;
            }
            let sent = db.send(&message, Some((&execution.owner, &stamp))).await;
            match execution.valid(sent).await {
                Ok(Sent::Delivered) => {
                    execution.observe_recorded(&stamp, true);
                    return Ok(());
                }
                Ok(Sent::Lost(lost)) => return execution.lost(lost).await,
                Ok(Sent::NoDestination) => Error::NotFound {
                    workflow: destination.to_string(),
                },
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    record_error(execution, call, error).await
}

/// Records an error of the library as an operation's result, and gives it.
pub(super) async fn record_error<T>(
    execution: &Execution,
    call: Call<'_>,
    error: Error,
) -> Result<T, Error> {
    let stored = encode_error(&execution.engine.codecs, &call.name, &error, Vec::new())
        .unwrap_or_else(|error| crate::engine::unencodable(&error));
    let stamp = execution.stamp(call.number, call.name);
    execution
        .record_instead(&stamp, StepResult::Error(stored))
        .await;
    Err(error)
}

async fn receive<T: DeserializeOwned>(
    execution: &Execution,
    call: Call<'_>,
    topic: &str,
    timeout: Duration,
) -> Result<Option<T>, Error> {
    if let Some(received) = replayed(execution, call).await {
        return received;
    }
    execution.gate().await;
    let received = receive_new(execution, call, topic, timeout).await;
    match received {
        Ok(Some(message)) => read(execution, call, &message),
        Ok(None) => Ok(None),
        Err(error) => record_error(execution, call, error).await,
    }
}

/// Waits for a message and takes it. Errors: there cannot be one under this topic; nothing is recorded.
async fn receive_new(
    execution: &Execution,
    call: Call<'_>,
    topic: &str,
    timeout: Duration,
) -> Result<Option<Encoded>, Error> {
    Name::Topic.check(topic)?;
    // Registered before the first look, so that a message in between is not missed.
    let waiting = execution.engine.waiters.message(execution.id(), topic);
    if let Some(message) = take(execution, call, topic, None).await? {
        return Ok(Some(message));
    }
    let sleep = Call {
        number: call.number + 1,
        name: sleep::SLEEP,
        ..call
    };
    let deadline = sleep::wake_time(execution, sleep, timeout, |wake, _| wake).await?;
    execution.observe_waits(call.number, Awaited::Message(topic));
    let mut timer = Box::pin(async {
        if Bug::WaitsForEver.is_planted() {
            std::future::pending::<()>().await;
        }
        sleep::sleep_until(execution, deadline).await;
    });
    loop {
        let woken = {
            let _waits = execution.interrupt.waits();
            select(Box::pin(waiting.signalled()), &mut timer).await
        };
        // At the end one last look: a message that came late but before this is delivered.
        let otherwise = matches!(woken, Either::Right(_)).then(nothing);
        let message = take(execution, call, topic, otherwise.as_ref()).await?;
        if message.is_some() {
            return Ok(message);
        }
        if otherwise.is_some() {
            return Ok(None);
        }
    }
}

/// Takes a message, if there is one, or records that there was none. Errors: there cannot be one under this topic.
async fn take(
    execution: &Execution,
    call: Call<'_>,
    topic: &str,
    otherwise: Option<&Encoded>,
) -> Result<Option<Encoded>, Error> {
    execution.gate().await;
    let stamp = execution.settled(execution.stamp(call.number, call.name));
    let db = &execution.engine.db;
    let received = db.receive(&execution.owner, topic, &stamp, otherwise).await;
    let message = match execution.valid(received).await? {
        Received::Message(message) => Some(message),
        Received::Otherwise => None,
        Received::Empty => {
            execution.order.unsettle(call.number);
            return Ok(None);
        }
        Received::Lost(lost) => return execution.lost(lost).await,
    };
    if Bug::ConsumesBeforeCheckpoint.is_planted()
        && let Some(message) = &message
    {
        let result = StepResult::Output(message.clone());
        execution.record(&stamp, result, None).await?;
        return Ok(Some(message.clone()));
    }
    execution.observe_recorded(&stamp, true);
    Ok(message)
}

/// What a wait for a value recorded, if it is recorded.
pub(super) async fn replayed<T: DeserializeOwned>(
    execution: &Execution,
    call: Call<'_>,
) -> Option<Result<Option<T>, Error>> {
    let record = execution.replay(call).await?;
    Some(match &record.result {
        StepResult::Output(value) => read(execution, call, value),
        StepResult::Error(_) => recorded_result::<(), Error>(execution, record)
            .await
            .map(|()| None),
        StepResult::Nothing => Ok(None),
    })
}

/// What an operation without a value of its own recorded, if it is recorded.
pub(super) async fn replayed_effect(
    execution: &Execution,
    call: Call<'_>,
) -> Option<Result<(), Error>> {
    let record = execution.replay(call).await?;
    Some(match &record.result {
        StepResult::Error(_) => recorded_result(execution, record).await,
        StepResult::Output(_) | StepResult::Nothing => Ok(()),
    })
}

/// A message as its type. One that is not of this type is an error, the same on every replay: its sender made it, not this code.
pub(super) fn read<T: DeserializeOwned>(
    execution: &Execution,
    call: Call<'_>,
    stored: &Encoded,
) -> Result<Option<T>, Error> {
    if *stored == nothing() {
        return Ok(None);
    }
    let what = format_args!(
        "the value that operation {} ({}) of workflow {:?} received",
        call.number,
        call.name,
        execution.id().as_str()
    );
    let value = execution.engine.codecs.decode(&what, stored);
    if let (Some(rehearsal), Err(error)) = (&execution.rehearsal, &value) {
        rehearsal.unreadable(error.clone());
    }
    value.map(Some)
}
