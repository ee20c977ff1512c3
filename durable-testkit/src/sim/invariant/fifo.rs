//! A queue gives out the most urgent first, and among those the oldest.

use std::collections::BTreeMap;

use durable_core::ids::WorkflowId;

use super::Invariant;
use crate::sim::fact::{Fact, Moment, Written};

/// A queue gives out the most urgent first, and among those the one that was put on it first, also one that was put back.
///
/// For scenarios in which every executor can run all that is on the queues.
#[derive(Debug, Default)]
pub struct FifoWithinPriority {
    inserted: u64,
    /// The place of everything that was ever put on a queue.
    places: BTreeMap<WorkflowId, Place>,
    waiting: BTreeMap<WorkflowId, Place>,
}

/// A place in a queue: among what the same version runs, as no other may take it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    queue: String,
    version: Option<String>,
    priority: i32,
    inserted: u64,
}

impl Invariant for FifoWithinPriority {
    fn name(&self) -> &'static str {
        "fifo_within_priority"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Inserted {
                owner,
                queue: Some((queue, priority)),
                terms,
                ..
            } => {
                self.inserted += 1;
                let place = Place {
                    queue: queue.clone(),
                    version: terms.version.clone(),
                    priority: *priority,
                    inserted: self.inserted,
                };
                self.places.insert(owner.workflow.clone(), place.clone());
                self.waiting.insert(owner.workflow.clone(), place);
            }
            Fact::Requeued { workflow, .. } => {
                if let Some(place) = self.places.get(workflow) {
                    self.waiting.insert(workflow.clone(), place.clone());
                }
            }
            // A resumed workflow waits on a queue of the engine's own.
            Fact::Resumed(workflow) => {
                self.places.remove(workflow);
            }
            Fact::Cancelled(workflow) => {
                self.waiting.remove(workflow);
            }
            Fact::Written {
                owner,
                what: Written::Outcome { .. },
                ..
            } => {
                self.waiting.remove(&owner.workflow);
            }
            Fact::Taken {
                owner,
                queue: Some(queue),
                terms,
                ..
            } => {
                // From now on it is this version's.
                if let Some(place) = self.places.get_mut(&owner.workflow) {
                    place.version.clone_from(&terms.version);
                }
                let Some(place) = self.waiting.remove(&owner.workflow) else {
                    return Ok(());
                };
                let is_beside =
                    |other: &Place| other.queue == *queue && other.version == place.version;
                let mut others = self.waiting.iter().filter(|(_, other)| is_beside(other));
                if let Some((first, _)) = others.find(|(_, other)| **other < place) {
                    return Err(format!(
                        "{} was taken from queue {queue} before {first}, which is more urgent or older",
                        owner.workflow
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    #[test]
    fn one_that_is_taken_before_its_turn_is_found() {
        let late = [enqueued("a", 0), enqueued("b", 0), claimed("b", "1")];
        assert!(judge(FifoWithinPriority::default(), &late).is_err());
        let urgent = [enqueued("a", 5), enqueued("b", 2), claimed("a", "1")];
        assert!(judge(FifoWithinPriority::default(), &urgent).is_err());
        let put_back = [
            enqueued("a", 0),
            enqueued("b", 0),
            claimed("a", "1"),
            requeued("a", 1),
            claimed("b", "2"),
        ];
        assert!(judge(FifoWithinPriority::default(), &put_back).is_err());
    }

    #[test]
    fn the_most_urgent_and_then_the_oldest_may_go() {
        let facts = [
            enqueued("a", 5),
            enqueued("b", 0),
            enqueued("c", 5),
            claimed("b", "1"),
            claimed("a", "2"),
            claimed("c", "3"),
        ];
        assert_eq!(judge(FifoWithinPriority::default(), &facts), Ok(()));
    }
}
