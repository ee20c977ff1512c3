//! Mailboxes.

use async_trait::async_trait;
use durable_core::{
    db::{
        DbError, Hint, Message, Messages, Received, Recorded, Result, Sent, StepResult, StepStamp,
    },
    ids::Owner,
    payload::Encoded,
    sabotage::Bug,
    time::Timestamp,
};

use super::{
    Memory,
    store::{Mail, Store, after},
};

#[async_trait]
impl Messages for Memory {
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent> {
        self.takes("send a message", &[&message, &step])?;
        self.commit(|store, now| send(store, message, step, now))
    }

    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received> {
        self.takes("receive a message", &[&owner, &topic, &step, &otherwise])?;
        self.commit(|store, _| receive(store, owner, topic, step, otherwise))
    }
}

fn send(
    store: &mut Store,
    message: &Message,
    step: Option<(&Owner, &StepStamp)>,
    now: Timestamp,
) -> Result<Sent> {
    if let Some((owner, stamp)) = step {
        if let Err(lost) = store.check_owner(owner) {
            return Ok(Sent::Lost(lost));
        }
        if let Some(recorded) = store.step(&owner.workflow, stamp.number) {
            return if *recorded == stamp.record(StepResult::Nothing, None) {
                Ok(Sent::Delivered)
            } else {
                Err(other_step("send a message", owner, stamp, &recorded.name))
            };
        }
    }
    if !store.workflows.contains_key(&message.destination) {
        return Ok(Sent::NoDestination);
    }
    deliver(store, message, now);
    if let Some((owner, stamp)) = step {
        store.record(&owner.workflow, &stamp.record(StepResult::Nothing, None));
    }
    Ok(Sent::Delivered)
}

fn deliver(store: &mut Store, message: &Message, now: Timestamp) {
    if !store.message_ids.insert(message.id.clone()) && !Bug::SendsAgain.is_planted() {
        return;
    }
    let mailbox = store
        .mailboxes
        .entry(message.destination.clone())
        .or_default();
    let sent_at = mailbox
        .last()
        .map_or(now, |last| now.max(after(last.sent_at)));
    mailbox.push(Mail {
        id: message.id.clone(),
        topic: message.topic.clone(),
        payload: message.payload.clone(),
        sent_at,
        consumed_by: None,
    });
    store.hint(Hint::Message(
        message.destination.clone(),
        message.topic.clone(),
    ));
}

fn receive(
    store: &mut Store,
    owner: &Owner,
    topic: &str,
    step: &StepStamp,
    otherwise: Option<&Encoded>,
) -> Result<Received> {
    if let Err(lost) = store.check_owner(owner) {
        return Ok(Received::Lost(lost));
    }
    if let Some(recorded) = store.step(&owner.workflow, step.number) {
        return match &recorded.result {
            StepResult::Output(value) => Ok(recorded_answer(store, owner, step, otherwise, value)),
            _ => Err(other_step("receive a message", owner, step, &recorded.name)),
        };
    }
    let blind = otherwise.is_some() && Bug::EndsWithoutLooking.is_planted();
    let mail = store
        .mailboxes
        .get_mut(&owner.workflow)
        .filter(|_| !blind)
        .and_then(|mailbox| mailbox.iter_mut().find(|mail| mail.waits_in(topic)));
    let (value, answer) = match (mail, otherwise) {
        (Some(mail), _) => {
            mail.consumed_by = Some(step.number);
            let value = mail.payload.clone();
            if Bug::ConsumesBeforeCheckpoint.is_planted() {
                return Ok(Received::Message(value));
            }
            (value.clone(), Received::Message(value))
        }
        (None, Some(otherwise)) => (otherwise.clone(), Received::Otherwise),
        (None, None) => return Ok(Received::Empty),
    };
    let record = step.record(StepResult::Output(value), None);
    let recorded = store.record(&owner.workflow, &record);
    debug_assert_eq!(recorded, Recorded::Written, "the number was free");
    Ok(answer)
}

/// The answer that was given when the step was recorded.
fn recorded_answer(
    store: &Store,
    owner: &Owner,
    step: &StepStamp,
    otherwise: Option<&Encoded>,
    value: &Encoded,
) -> Received {
    let took_a_message = store.mailboxes.get(&owner.workflow).is_some_and(|mailbox| {
        mailbox
            .iter()
            .any(|mail| mail.consumed_by == Some(step.number))
    });
    if !took_a_message && otherwise == Some(value) {
        Received::Otherwise
    } else {
        Received::Message(value.clone())
    }
}

fn other_step(doing: &'static str, owner: &Owner, step: &StepStamp, name: &str) -> DbError {
    let why = format!(
        "step {} of workflow {:?} is recorded as {name:?}, not as this {:?}",
        step.number,
        owner.workflow.as_str(),
        step.name,
    );
    DbError::broken(doing, why)
}

impl Mail {
    pub(super) fn waits_in(&self, topic: &str) -> bool {
        let fits = self.topic == topic || Bug::TakesAnyTopic.is_planted();
        self.consumed_by.is_none() && fits
    }
}
