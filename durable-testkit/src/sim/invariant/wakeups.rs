//! Who waits for a message is woken when it comes.

use std::{collections::BTreeMap, time::Duration};

use durable_core::ids::WorkflowId;

use super::Invariant;
use crate::sim::fact::{Awaits, Fact, Moment, Written};

/// How long a wake-up may take without faults: a poll interval of 5 s, and a network that takes as long both ways.
const BOUND: Duration = Duration::from_secs(30);

/// A message that a running execution waits for is taken soon after it was sent, whatever becomes of hints.
///
/// Judged only where no process dies, stands still or loses its workflow in between; each lost request puts it off.
#[derive(Debug, Default)]
pub struct WakeUpsAreNotLost {
    /// The topics that operations of workflows were found waiting for.
    waiting: BTreeMap<(WorkflowId, i32), String>,
    /// Until when a message that is there must be taken.
    due: BTreeMap<(WorkflowId, String), Duration>,
}

impl Invariant for WakeUpsAreNotLost {
    fn name(&self) -> &'static str {
        "wake_ups_are_not_lost"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        if let Some(((workflow, _), due)) = self.due.iter().find(|(_, due)| **due < moment.at) {
            return Err(format!(
                "{workflow} waits for a message that has been there since {:.3} s",
                due.saturating_sub(BOUND).as_secs_f64()
            ));
        }
        match moment.fact {
            Fact::Waits {
                owner,
                number,
                what: Awaits::Message(topic),
            } => {
                let place = (owner.workflow.clone(), *number);
                self.waiting.insert(place, topic.clone());
            }
            Fact::Sent { to, topic, .. } if self.is_awaited(to, topic) => {
                let place = (to.clone(), topic.clone());
                self.due.entry(place).or_insert(moment.at + BOUND);
            }
            Fact::Written {
                owner,
                what: Written::Receive { number, .. },
                ..
            } => {
                let place = (owner.workflow.clone(), *number);
                if let Some(topic) = self.waiting.remove(&place) {
                    self.due.remove(&(place.0, topic));
                }
            }
            Fact::Dropped { owner, number } => {
                let place = (owner.workflow.clone(), *number);
                if let Some(topic) = self.waiting.remove(&place)
                    && !self.is_awaited(&place.0, &topic)
                {
                    self.due.remove(&(place.0, topic));
                }
            }
            Fact::Cancelled(workflow) | Fact::Requeued(workflow) => self.forget(workflow),
            Fact::Written {
                owner,
                what: Written::Outcome { .. },
                ..
            }
            | Fact::Taken { owner, .. }
            | Fact::Stopped { owner, .. } => self.forget(&owner.workflow),
            Fact::Crashed { .. } | Fact::Paused { .. } | Fact::WokenUp => {
                self.waiting.clear();
                self.due.clear();
            }
            Fact::Failed { .. } => {
                self.due
                    .values_mut()
                    .for_each(|due| *due = moment.at + BOUND);
            }
            Fact::Skipped(by) => self.due.values_mut().for_each(|due| *due += *by),
            _ => {}
        }
        Ok(())
    }
}

impl WakeUpsAreNotLost {
    fn forget(&mut self, workflow: &WorkflowId) {
        self.waiting.retain(|(of, _), _| of != workflow);
        self.due.retain(|(of, _), _| of != workflow);
    }

    fn is_awaited(&self, workflow: &WorkflowId, topic: &str) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|((of, _), awaited)| of == workflow && awaited == topic)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn waits() -> Fact {
        Fact::Waits {
            owner: owner("a", "1"),
            number: 1,
            what: Awaits::Message("t".to_owned()),
        }
    }

    fn sent(topic: &str) -> Fact {
        Fact::Sent {
            message: "m".to_owned(),
            to: WorkflowId::from("a"),
            topic: topic.to_owned(),
        }
    }

    /// A second each.
    fn and_then(mut facts: Vec<Fact>, seconds: usize) -> Vec<Fact> {
        facts.extend(std::iter::repeat_n(Fact::Note(String::new()), seconds));
        facts
    }

    #[test]
    fn a_message_that_is_left_lying_is_found() {
        let facts = and_then(vec![waits(), sent("t")], 40);
        assert!(judge(WakeUpsAreNotLost::default(), &facts).is_err());
    }

    #[test]
    fn one_that_is_taken_in_time_or_not_waited_for_is_right() {
        let message = Some("m".to_owned());
        let taken = written("a", "1", Written::Receive { number: 1, message });
        let in_time = and_then(vec![waits(), sent("t"), taken], 40);
        let other = and_then(vec![waits(), sent("other")], 40);
        let crash = Fact::Crashed {
            down: Duration::ZERO,
        };
        let crashed = and_then(vec![waits(), sent("t"), crash], 40);
        let dropped = Fact::Dropped {
            owner: owner("a", "1"),
            number: 1,
        };
        let dropped = and_then(vec![waits(), sent("t"), dropped], 40);
        for facts in [in_time, other, crashed, dropped] {
            assert_eq!(judge(WakeUpsAreNotLost::default(), &facts), Ok(()));
        }
    }
}
