//! The values that cases are made of: an application "shop", version "v1", with one workflow "work".

use durable_core::{
    db::{Message, NewWorkflow, Placement, StepRecord, StepResult, StepStamp, Timing},
    ids::{Owner, OwnerToken, WorkflowKey},
    payload::{Encoded, Outcome},
    time::Timestamp,
};

pub(super) const APPLICATION: &str = "shop";
pub(super) const VERSION: &str = "v1";
pub(super) const QUEUE: &str = "orders";
pub(super) const FORMAT: &str = "portable_json";
/// The executor that starts workflows unless a case says otherwise; it never joins.
pub(super) const STARTER: &str = "starter";

/// A workflow that runs where it is started, under the token `<id>:creator`.
pub(super) fn here(id: &str) -> NewWorkflow {
    NewWorkflow {
        id: id.into(),
        key: WorkflowKey::function("work"),
        input: json(&format!(
            r#"{{"positionalArgs":["{id}"],"namedArgs":{{}}}}"#
        )),
        placement: Placement::Here,
        creator: creator(id),
        executor: STARTER.into(),
        application: APPLICATION.to_owned(),
        version: Some(VERSION.to_owned()),
        timing: Timing::Unbounded,
        parent: None,
    }
}

/// A workflow that goes on the queue "orders".
pub(super) fn queued(id: &str) -> NewWorkflow {
    queued_on(id, QUEUE, 0)
}

pub(super) fn queued_on(id: &str, queue: &str, priority: i32) -> NewWorkflow {
    NewWorkflow {
        placement: Placement::Queue {
            name: queue.to_owned(),
            priority,
        },
        ..here(id)
    }
}

pub(super) fn creator(id: &str) -> OwnerToken {
    format!("{id}:creator").into()
}

pub(super) fn owner(id: &str, token: impl Into<OwnerToken>) -> Owner {
    Owner {
        workflow: id.into(),
        token: token.into(),
    }
}

pub(super) fn json(text: &str) -> Encoded {
    Encoded::new(text, FORMAT)
}

pub(super) fn success(text: &str) -> Outcome {
    Outcome::Success(json(text))
}

pub(super) fn failure(text: &str) -> Outcome {
    Outcome::Failure(json(text))
}

/// A step that is recorded together with something else.
pub(super) fn stamp(number: i32, name: &str) -> StepStamp {
    let began = 1_700_000_000_000 + i64::from(number) * 10;
    StepStamp {
        number,
        name: name.to_owned(),
        started_at: Timestamp::from_millis(began),
        completed_at: Timestamp::from_millis(began + 7),
    }
}

/// A step that gave a value.
pub(super) fn step(number: i32, output: &str) -> StepRecord {
    stamp(number, "step").record(StepResult::Output(json(output)), None)
}

pub(super) fn message(id: &str, destination: &str, topic: &str) -> Message {
    Message {
        id: id.to_owned(),
        destination: destination.into(),
        topic: topic.to_owned(),
        payload: json(&format!("\"{id}\"")),
    }
}
