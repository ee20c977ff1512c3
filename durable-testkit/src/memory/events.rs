//! Published values.

use async_trait::async_trait;
use durable_core::{
    db::{Events, Hint, Recorded, Result, StepResult, StepStamp},
    ids::{Owner, WorkflowId},
    payload::Encoded,
    sabotage::Bug,
};

use super::{Memory, store::Store};

#[async_trait]
impl Events for Memory {
    async fn set_event(
        &self,
        owner: &Owner,
        key: &str,
        value: &Encoded,
        step: &StepStamp,
    ) -> Result<Recorded> {
        self.takes("publish an event", &[&owner, &key, &value, &step])?;
        Ok(self.commit(|store, _| set(store, owner, key, value, step)))
    }

    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>> {
        self.takes("read an event", &[&workflow, &key])?;
        let place = (workflow.clone(), key.to_owned());
        Ok(self.commit(|store, _| store.events.get(&place).cloned()))
    }
}

fn set(store: &mut Store, owner: &Owner, key: &str, value: &Encoded, step: &StepStamp) -> Recorded {
    if let Err(lost) = store.check_owner(owner) {
        return Recorded::Lost(lost);
    }
    let asked_again = store.step(&owner.workflow, step.number).is_some();
    let recorded = store.record(&owner.workflow, &step.record(StepResult::Nothing, None));
    if asked_again || recorded != Recorded::Written {
        return recorded;
    }
    let place = (owner.workflow.clone(), key.to_owned());
    store
        .event_history
        .entry(place.clone())
        .or_default()
        .insert(step.number, value.clone());
    if Bug::KeepsFirstEvent.is_planted() {
        store.events.entry(place).or_insert_with(|| value.clone());
    } else {
        store.events.insert(place, value.clone());
    }
    store.hint(Hint::Event(owner.workflow.clone(), key.to_owned()));
    recorded
}
