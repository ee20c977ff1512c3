//! Values that a workflow publishes for others to read.

use std::{panic::Location, time::Duration};

use futures_util::future::{Either, select};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Ctx, Operation,
    mailbox::{nothing, read, record_error, replayed, replayed_effect},
    sleep,
};
use crate::{
    Error,
    db::StepResult,
    engine::{
        Awaited,
        execution::{Call, Execution},
    },
    ids::WorkflowId,
    names::Name,
    payload::Encoded,
    sabotage::Bug,
    workflow::Payload,
};

const SET_EVENT: &str = "DBOS.setEvent";
const GET_EVENT: &str = "DBOS.getEvent";

impl Ctx {
    /// Publishes a value under a key; a later one replaces it. Errors: `Encode`, `InvalidName`.
    #[track_caller]
    pub fn set_event<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Operation<'static, ()> {
        let built = self.build(SET_EVENT, 1, Location::caller());
        let what = format_args!(
            "event {key:?} of workflow {:?}",
            self.workflow_id().as_str()
        );
        let value = self.engine().codecs.encode(&what, value);
        let key = key.to_owned();
        Operation::new(SET_EVENT, built, move |execution, call| async move {
            let call = Call {
                name: SET_EVENT,
                ..call
            };
            set_event(&execution, call, &key, value).await
        })
    }

    /// Waits until a workflow has published a value under a key; `None` if it has not within `timeout`.
    ///
    /// The value read first is this operation's for ever, also when a later one replaces it. The timeout survives restarts. Errors: `Decode` for a value
    /// that is not a `T`, `UnknownFormat`; `InvalidName`.
    #[track_caller]
    pub fn get_event<T: Payload>(
        &self,
        workflow: impl Into<WorkflowId>,
        key: &str,
        timeout: Duration,
    ) -> Operation<'static, Option<T>> {
        let (workflow, key) = (workflow.into(), key.to_owned());
        // Two numbers, as in the reference: the second is the durable timeout's.
        let built = self.build(GET_EVENT, 2, Location::caller());
        Operation::new(GET_EVENT, built, move |execution, call| async move {
            let call = Call {
                name: GET_EVENT,
                ..call
            };
            get_event(&execution, call, &workflow, &key, timeout).await
        })
    }
}

async fn set_event(
    execution: &Execution,
    call: Call<'_>,
    key: &str,
    value: Result<Encoded, Error>,
) -> Result<(), Error> {
    if let Some(done) = replayed_effect(execution, call).await {
        return done;
    }
    execution.gate().await;
    let value = match Name::EventKey.check(key).and(value) {
        Ok(value) => value,
        Err(error) => return record_error(execution, call, error).await,
    };
    let stamp = execution.settled(execution.stamp(call.number, call.name));
    let db = &execution.engine.db;
    let answer = db.set_event(&execution.owner, key, &value, &stamp).await;
    let recorded = execution.recorded(&stamp, &StepResult::Nothing, answer);
    match recorded.await {
        Ok(()) => Ok(()),
        Err(error) => record_error(execution, call, error).await,
    }
}

async fn get_event<T: DeserializeOwned>(
    execution: &Execution,
    call: Call<'_>,
    workflow: &WorkflowId,
    key: &str,
    timeout: Duration,
) -> Result<Option<T>, Error> {
    if let Some(value) = replayed(execution, call).await {
        return value;
    }
    execution.gate().await;
    let value = match wait_for(execution, call, workflow, key, timeout).await {
        Ok(value) => value,
        Err(error) => return record_error(execution, call, error).await,
    };
    execution.gate().await;
    let value = value.unwrap_or_else(nothing);
    let stamp = execution.stamp(call.number, call.name);
    let result = StepResult::Output(value.clone());
    if let Err(error) = execution.record(&stamp, result, None).await {
        return record_error(execution, call, error).await;
    }
    read(execution, call, &value)
}

async fn wait_for(
    execution: &Execution,
    call: Call<'_>,
    workflow: &WorkflowId,
    key: &str,
    timeout: Duration,
) -> Result<Option<Encoded>, Error> {
    let engine = &execution.engine;
    Name::SoughtId.check(workflow.as_str())?;
    Name::EventKey.check(key)?;
    // Registered before the first look, so that an event in between is not missed.
    let waiting = engine.waiters.event(workflow, key);
    let value = engine.db.event(workflow, key).await;
    if let Some(value) = execution.valid(value).await? {
        return Ok(Some(value));
    }
    let sleep = Call {
        number: call.number + 1,
        name: sleep::SLEEP,
        ..call
    };
    let deadline = sleep::wake_time(execution, sleep, timeout, |wake, _| wake).await?;
    execution.observe_waits(call.number, Awaited::Event(workflow, key));
    let mut timer = Box::pin(sleep::sleep_until(execution, deadline));
    loop {
        let woken = {
            let _waits = execution.interrupt.waits();
            select(Box::pin(waiting.signalled()), &mut timer).await
        };
        // At the end one last look: an event that was set late but before this counts.
        let expired = matches!(woken, Either::Right(_));
        if expired && Bug::NoLastLook.is_planted() {
            return Ok(None);
        }
        let value = engine.db.event(workflow, key).await;
        let value = execution.valid(value).await?;
        if value.is_some() || expired {
            return Ok(value);
        }
    }
}
