//! A wait with a timeout ends at its time, and not before.

use std::{collections::BTreeMap, time::Duration};

use durable_core::{ids::WorkflowId, time::Timestamp};

use super::{Invariant, known_clock::KnownClock, patience::Patience, standing::Standings};
use crate::sim::{
    fact::{Awaits, Ends, Fact, Moment, Written},
    plan::Plan,
    world::EPOCH,
};

/// A wait for a message or an event that ends with nothing ends at the time that is recorded for it, not earlier and not much later, and
/// what was published before that is not missed.
#[derive(Debug)]
pub struct WaitsEndInTime {
    patience: Patience,
    standings: Standings,
    clock: KnownClock,
    /// Until when each workflow's sleeps and timeouts last, by their numbers, and when that was
    /// recorded.
    until: BTreeMap<(WorkflowId, i32), (Timestamp, Duration)>,
    waiting: BTreeMap<(WorkflowId, i32), Wait>,
    published: BTreeMap<(WorkflowId, String), Timestamp>,
}

#[derive(Debug)]
struct Wait {
    process: usize,
    what: Awaits,
    since: Duration,
}

impl WaitsEndInTime {
    /// For runs under this plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            patience: Patience::of(plan),
            standings: Standings::default(),
            clock: KnownClock::default(),
            until: BTreeMap::new(),
            waiting: BTreeMap::new(),
            published: BTreeMap::new(),
        }
    }

    /// Until when an operation waits: its timeout has the number after its own.
    fn until(&self, (workflow, number): &(WorkflowId, i32)) -> Option<(Timestamp, Duration)> {
        self.until.get(&(workflow.clone(), number + 1)).copied()
    }

    fn check_late(&self, moment: &Moment<'_>) -> Result<(), String> {
        for (place, wait) in &self.waiting {
            let Some((until, _)) = self.until(place) else {
                continue;
            };
            // One that is taken up again may begin when its time is over.
            let from = until.since(EPOCH).max(wait.since);
            // A process knows the database's clock no better than answers come.
            let bound = (1, Duration::from_secs(3));
            if moment.at > from && self.patience.is_late(moment, wait.process, from, bound) {
                return Err(format!(
                    "operation {} of {} waits for {} beyond its time, which was {:.3} s",
                    place.1,
                    place.0,
                    wait.what,
                    until.since(EPOCH).as_secs_f64()
                ));
            }
        }
        Ok(())
    }

    /// Errors: the wait ended with nothing, and should not have.
    fn ended_empty(&self, place: &(WorkflowId, i32), at: Duration) -> Result<(), String> {
        let Some((until, recorded)) = self.until(place) else {
            return Ok(());
        };
        let now = self.clock.latest(at, recorded);
        if until > now {
            return Err(format!(
                "operation {} of {} ended with nothing {:?} early",
                place.1,
                place.0,
                until.since(now)
            ));
        }
        let wait = self.waiting.get(place);
        let Some(Awaits::Event(workflow, key)) = wait.map(|wait| &wait.what) else {
            return Ok(());
        };
        match self.published.get(&(workflow.clone(), key.clone())) {
            // By a clock that was ahead the wait may have ended before that.
            Some(published) if *published < until && self.clock.is_known(recorded) => Err(format!(
                "operation {} of {} ended with nothing, and {workflow} had published {key:?} before that",
                place.1, place.0
            )),
            _ => Ok(()),
        }
    }

    fn forget(&mut self, workflow: &WorkflowId) {
        self.waiting.retain(|(of, _), _| of != workflow);
    }
}

impl Invariant for WaitsEndInTime {
    fn name(&self) -> &'static str {
        "waits_end_in_time"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.clock.see(moment);
        self.check_late(moment)?;
        self.patience.see(moment);
        let now = self.clock.database(moment.at);
        match moment.fact {
            Fact::Waits {
                owner,
                number,
                what: what @ (Awaits::Message(_) | Awaits::Event(..)),
            } if self.standings.is_owner(owner) => {
                let place = (owner.workflow.clone(), *number);
                let wait = Wait {
                    process: moment.process,
                    what: what.clone(),
                    since: moment.at,
                };
                self.waiting.insert(place, wait);
            }
            Fact::Written { owner, what, .. } => {
                let workflow = &owner.workflow;
                if let Some(number) = what.number() {
                    let place = (workflow.clone(), number);
                    let is_new = !self.standings.is_recorded(workflow, number);
                    let is_empty = match what {
                        Written::Receive { message, .. } => message.is_none(),
                        Written::Step { result, .. } => *result == Ends::Empty,
                        _ => false,
                    };
                    if is_new && is_empty {
                        self.ended_empty(&place, moment.at)?;
                    }
                    self.waiting.remove(&place);
                }
                match what {
                    Written::Step {
                        number,
                        until: Some(until),
                        ..
                    } => {
                        let place = (workflow.clone(), *number);
                        let until = (Timestamp::from_millis(*until), moment.at);
                        self.until.insert(place, until);
                    }
                    Written::Event { key, .. } => {
                        let place = (workflow.clone(), key.clone());
                        self.published.entry(place).or_insert(now);
                    }
                    Written::Outcome { .. } | Written::DeadLetter => self.forget(workflow),
                    _ => {}
                }
            }
            Fact::Dropped { owner, number } => {
                self.waiting.remove(&(owner.workflow.clone(), *number));
            }
            Fact::Cancelled(workflow) | Fact::Requeued { workflow, .. } => self.forget(workflow),
            Fact::Taken { owner, .. } | Fact::Stopped { owner, .. } => {
                self.forget(&owner.workflow);
            }
            Fact::Crashed { .. } => {
                self.waiting
                    .retain(|_, wait| wait.process != moment.process);
            }
            _ => {}
        }
        self.standings.see(moment.fact);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn kept() -> WaitsEndInTime {
        WaitsEndInTime::new(&Plan::calm())
    }

    /// Waits from the third second on, until the eighth, and then this happens.
    fn waits(what: Awaits, then: &[Fact]) -> Vec<Fact> {
        let until = Some(EPOCH.as_millis() + 8_000);
        let timeout = Written::Step {
            number: 2,
            name: "DBOS.sleep".to_owned(),
            child: None,
            until,
            result: Ends::Value,
        };
        let waits = Fact::Waits {
            owner: owner("a", "1"),
            number: 1,
            what,
        };
        let begin = [
            joined(1),
            started("a", "1"),
            written("a", "1", timeout),
            waits,
        ];
        begin.into_iter().chain(then.iter().cloned()).collect()
    }

    fn pause(seconds: usize) -> Vec<Fact> {
        vec![Fact::Note(String::new()); seconds]
    }

    fn message() -> Awaits {
        Awaits::Message("t".to_owned())
    }

    fn event() -> Awaits {
        Awaits::Event(WorkflowId::from("a"), "k".to_owned())
    }

    fn no_message() -> Fact {
        let receive = Written::Receive {
            number: 1,
            topic: "t".to_owned(),
            message: None,
        };
        written("a", "1", receive)
    }

    fn no_event() -> Fact {
        let mut none = step(1);
        if let Written::Step { result, .. } = &mut none {
            *result = Ends::Empty;
        }
        written("a", "1", none)
    }

    fn published() -> Fact {
        let event = Written::Event {
            number: 9,
            key: "k".to_owned(),
            value: String::new(),
        };
        written("a", "1", event)
    }

    #[test]
    fn an_early_and_a_late_end_are_found() {
        for (what, none) in [(message(), no_message()), (event(), no_event())] {
            let early = waits(what.clone(), &[none]);
            assert!(judge(kept(), &early).is_err());
            let late = waits(what, &pause(30));
            assert!(judge(kept(), &late).is_err());
        }
    }

    #[test]
    fn an_event_that_was_there_in_time_and_is_missed_is_found() {
        let then = [vec![published()], pause(5), vec![no_event()]].concat();
        assert!(judge(kept(), &waits(event(), &then)).is_err());
    }

    #[test]
    fn one_that_is_taken_up_again_after_its_time_is_not_late() {
        let again = Fact::Waits {
            owner: owner("a", "2"),
            number: 1,
            what: event(),
        };
        let crash = Fact::Crashed {
            down: Duration::ZERO,
        };
        let then = [
            vec![crash],
            pause(30),
            vec![joined(1), adopted("a", "2"), again, no_event()],
        ];
        assert_eq!(judge(kept(), &waits(event(), &then.concat())), Ok(()));
    }

    #[test]
    fn an_end_at_its_time_is_right() {
        for (what, none) in [(message(), no_message()), (event(), no_event())] {
            let then = [pause(5), vec![none], pause(30)].concat();
            assert_eq!(judge(kept(), &waits(what, &then)), Ok(()));
        }
        let too_late = [pause(5), vec![published(), no_event()]].concat();
        assert_eq!(judge(kept(), &waits(event(), &too_late)), Ok(()));
    }

    #[test]
    fn a_wait_may_end_early_by_a_clock_that_is_ahead_and_by_no_other() {
        let ahead = Fact::Ahead(Duration::from_secs(3_600));
        let early = |first: Fact| [vec![first], waits(message(), &[no_message()])].concat();
        assert_eq!(judge(kept(), &early(ahead)), Ok(()));
        assert!(judge(kept(), &early(Fact::Note(String::new()))).is_err());
    }
}
