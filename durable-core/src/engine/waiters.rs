//! Everyone in this process who waits for something in the database, answered by one query per tick.
//!
//! A waiter registers first and looks for itself once; after that it is woken by a hint, by a change made in this process, or by the
//! next tick's poll. Ten thousand waiters cost one query, not ten thousand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{Either, select};
use tokio::sync::{Notify, oneshot};

use super::Engine;
use crate::{
    Error,
    db::{DbError, Waits, Wakes},
    ids::{Owner, WorkflowId},
    names::Name,
    payload::Ended,
    sabotage::Bug,
};

/// The registered waiters.
#[derive(Default)]
pub(crate) struct Waiters {
    state: Mutex<State>,
    /// There is something to look for before the next tick.
    poke: Notify,
}

type Place = (WorkflowId, String);

#[derive(Default)]
struct State {
    next: u64,
    results: BTreeMap<WorkflowId, BTreeMap<u64, oneshot::Sender<Result<Ended, Error>>>>,
    messages: BTreeMap<Place, BTreeMap<u64, Arc<Notify>>>,
    events: BTreeMap<Place, BTreeMap<u64, Arc<Notify>>>,
    /// What to look for before the next tick.
    fresh: Waits,
    /// Look for everything before the next tick.
    all: bool,
}

impl Waiters {
    /// Waits for a workflow's end. Errors: the database does not take its id.
    pub(crate) async fn result(&self, workflow: &WorkflowId) -> Result<Ended, Error> {
        loop {
            let (sender, receiver) = oneshot::channel();
            let ticket = {
                let mut state = self.lock();
                let ticket = state.ticket();
                let senders = state.results.entry(workflow.clone()).or_default();
                senders.insert(ticket, sender);
                state.fresh.results.push(workflow.clone());
                ticket
            };
            let _registered = Registered(|| {
                let mut state = self.lock();
                remove(&mut state.results, workflow, ticket);
            });
            self.poke.notify_one();
            if let Ok(ended) = receiver.await {
                return ended;
            }
        }
    }

    /// Registers a wait for a message.
    pub(crate) fn message(&self, workflow: &WorkflowId, topic: &str) -> Waiting<'_> {
        self.waiting(Kind::Message, workflow, topic)
    }

    /// Registers a wait for an event.
    pub(crate) fn event(&self, workflow: &WorkflowId, key: &str) -> Waiting<'_> {
        self.waiting(Kind::Event, workflow, key)
    }

    fn waiting(&self, kind: Kind, workflow: &WorkflowId, name: &str) -> Waiting<'_> {
        let place = (workflow.clone(), name.to_owned());
        let signal = Arc::new(Notify::new());
        let mut state = self.lock();
        let ticket = state.ticket();
        let waiting = state.of(kind).entry(place.clone()).or_default();
        waiting.insert(ticket, Arc::clone(&signal));
        drop(state);
        Waiting {
            waiters: self,
            kind,
            place,
            ticket,
            signal,
        }
    }

    /// Says that a workflow has ended.
    pub(crate) fn ended(&self, workflow: &WorkflowId, ended: &Ended) {
        self.answer(workflow, &Ok(ended.clone()));
    }

    fn answer(&self, workflow: &WorkflowId, answer: &Result<Ended, Error>) {
        let senders = self.lock().results.remove(workflow).unwrap_or_default();
        for sender in senders.into_values() {
            // A waiter that is gone does not want to know.
            let _ = sender.send(answer.clone());
        }
    }

    /// Tells the waiters of these that the database does not take what they wait for. Who waits for a message or an event looks for
    /// itself, and meets the same.
    fn refuse(&self, waits: &Waits, error: &DbError) {
        for workflow in &waits.results {
            let id = workflow.as_str();
            self.answer(workflow, &Err(Name::SoughtId.refused_by(id, error)));
        }
        for place in &waits.messages {
            self.signal(Kind::Message, place);
        }
        for place in &waits.events {
            self.signal(Kind::Event, place);
        }
        for owner in &waits.owners {
            tracing::error!(%error, workflow = %owner.workflow, "it cannot be seen whether a workflow still runs here");
        }
    }

    /// Says that a message may be there.
    pub(super) fn message_arrived(&self, workflow: &WorkflowId, topic: &str) {
        self.signal(Kind::Message, &(workflow.clone(), topic.to_owned()));
    }

    /// Says that an event may be set.
    pub(super) fn event_set(&self, workflow: &WorkflowId, key: &str) {
        self.signal(Kind::Event, &(workflow.clone(), key.to_owned()));
    }

    /// Says that a workflow may have ended, or one of these executions lost it.
    pub(super) fn workflow_changed(&self, workflow: &WorkflowId, owners: Vec<Owner>) {
        let mut state = self.lock();
        let awaited = state.results.contains_key(workflow);
        if awaited {
            state.fresh.results.push(workflow.clone());
        }
        let concerned = awaited || !owners.is_empty();
        state.fresh.owners.extend(owners);
        drop(state);
        if concerned {
            self.poke.notify_one();
        }
    }

    /// Says that anything may have changed.
    pub(super) fn look_again(&self) {
        self.lock().all = true;
        self.poke.notify_one();
    }

    fn signal(&self, kind: Kind, place: &Place) {
        if let Some(waiting) = self.lock().of(kind).get(place) {
            for signal in waiting.values() {
                signal.notify_one();
            }
        }
    }

    /// What to look for now: everything, or what is new.
    fn due(&self, tick: bool) -> (Waits, bool) {
        let mut state = self.lock();
        let fresh = std::mem::take(&mut state.fresh);
        let all = std::mem::take(&mut state.all) || tick;
        if !all {
            return (fresh, false);
        }
        let mut waits = Waits {
            results: state.results.keys().cloned().collect(),
            messages: state.messages.keys().cloned().collect(),
            events: state.events.keys().cloned().collect(),
            owners: fresh.owners,
        };
        if tick && Bug::ResultWithoutPoll.is_planted() {
            waits.results.clear();
        }
        if tick && Bug::MessageWithoutPoll.is_planted() {
            waits.messages.clear();
        }
        if tick && Bug::EventWithoutPoll.is_planted() {
            waits.events.clear();
        }
        (waits, true)
    }

    fn deliver(&self, wakes: &Wakes) {
        for (workflow, ended) in &wakes.results {
            self.ended(workflow, ended);
        }
        for place in &wakes.messages {
            self.signal(Kind::Message, place);
        }
        for place in &wakes.events {
            self.signal(Kind::Event, place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Message,
    Event,
}

impl State {
    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn of(&mut self, kind: Kind) -> &mut BTreeMap<Place, BTreeMap<u64, Arc<Notify>>> {
        match kind {
            Kind::Message => &mut self.messages,
            Kind::Event => &mut self.events,
        }
    }
}

fn remove<K: Ord, V>(map: &mut BTreeMap<K, BTreeMap<u64, V>>, key: &K, ticket: u64) {
    if let Some(waiting) = map.get_mut(key) {
        waiting.remove(&ticket);
        if waiting.is_empty() {
            map.remove(key);
        }
    }
}

/// Runs a closure when it is dropped.
struct Registered<F: FnMut()>(F);

impl<F: FnMut()> Drop for Registered<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A registered wait for a message or an event.
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    kind: Kind,
    place: Place,
    ticket: u64,
    signal: Arc<Notify>,
}

impl Waiting<'_> {
    /// Completes when what is waited for may be there. A signal that came since the last call counts.
    pub(crate) async fn signalled(&self) {
        self.signal.notified().await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.waiters.lock();
        remove(state.of(self.kind), &self.place, self.ticket);
    }
}

/// Looks for what is waited for: at once for what is new, and for everything at each tick.
pub(super) async fn multiplex(engine: Arc<Engine>) {
    let mut tick = Box::pin(engine.poll_pause(engine.settings.poll));
    // An execution is asked after once it has run for a whole tick: most have ended by then.
    let mut last_tick = engine.runtime.elapsed();
    loop {
        let poke = Box::pin(engine.waiters.poke.notified());
        // The tick first: many pokes must not put it off.
        let ticked = match select(tick, poke).await {
            Either::Left(((), _)) => {
                tick = Box::pin(engine.poll_pause(engine.settings.poll));
                true
            }
            Either::Right(((), rest)) => {
                tick = rest;
                false
            }
        };
        let (mut waits, everything) = engine.waiters.due(ticked);
        if everything && !Bug::OwnersWithoutPoll.is_planted() {
            waits.owners.extend(engine.running.owners_since(last_tick));
        }
        if ticked {
            last_tick = engine.runtime.elapsed();
        }
        if waits.is_empty() {
            continue;
        }
        serve(&engine, waits).await;
    }
}

/// Looks for all of this in one query. If the database does not take one of the values, it is asked in halves, so that only those who
/// wait for that one are told.
async fn serve(engine: &Engine, waits: Waits) {
    let mut parts = vec![waits];
    while let Some(part) = parts.pop() {
        match engine.db.poll(&part).await {
            Ok(wakes) => {
                engine.waiters.deliver(&wakes);
                for (owner, lost) in &wakes.owners {
                    engine.running.lose(owner, *lost);
                }
            }
            Err(error) if error.is_about_arguments() && !Bug::PollsAllOrNothing.is_planted() => {
                match part.halves() {
                    Ok(halves) => parts.extend(halves),
                    Err(one) => engine.waiters.refuse(&one, &error),
                }
            }
            Err(error) => tracing::error!(%error, "waiters could not be served"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn all_who_wait_for_the_same_event_are_woken() {
        let waiters = Waiters::default();
        let workflow = WorkflowId::from("w");
        let both = [waiters.event(&workflow, "k"), waiters.event(&workflow, "k")];
        waiters.event_set(&workflow, "k");
        for waiting in &both {
            assert!(waiting.signalled().now_or_never().is_some());
        }
    }
}
