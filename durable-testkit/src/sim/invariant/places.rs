//! No process runs more of a queue's workflows at once than it has places.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::ids::{Owner, OwnerToken, WorkflowId};

use super::Invariant;
use crate::sim::fact::{Fact, Moment};

/// No process runs more of a queue's workflows at once than it has places.
#[derive(Debug)]
pub struct PlacesAreKept {
    places: BTreeMap<String, usize>,
    /// The queue that an execution was claimed from.
    queues: BTreeMap<OwnerToken, String>,
    running: BTreeSet<(usize, String, Owner)>,
    /// The queue that a workflow was put on: also one that is adopted takes a place.
    homes: BTreeMap<WorkflowId, String>,
}

impl PlacesAreKept {
    /// Each process has so many places in these queues.
    pub fn new<Q: Into<String>>(places: impl IntoIterator<Item = (Q, usize)>) -> Self {
        Self {
            places: places
                .into_iter()
                .map(|(queue, n)| (queue.into(), n))
                .collect(),
            queues: BTreeMap::new(),
            running: BTreeSet::new(),
            homes: BTreeMap::new(),
        }
    }
}

impl Invariant for PlacesAreKept {
    fn name(&self) -> &'static str {
        "places_are_kept"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        let process = moment.process;
        match moment.fact {
            Fact::Inserted {
                owner,
                queue: Some((queue, _)),
                ..
            } => {
                self.homes.insert(owner.workflow.clone(), queue.clone());
            }
            // What was resumed comes from a queue of the engine's own.
            Fact::Resumed(workflow) => {
                self.homes.remove(workflow);
            }
            Fact::Taken { owner, queue, .. } => {
                let home = queue.as_ref().or_else(|| self.homes.get(&owner.workflow));
                if let Some(queue) = home {
                    self.queues.insert(owner.token.clone(), queue.clone());
                }
            }
            Fact::Execution { owner, .. } => {
                let Some(queue) = self.queues.get(&owner.token) else {
                    return Ok(());
                };
                self.running.insert((process, queue.clone(), owner.clone()));
                let taken = self
                    .running
                    .iter()
                    .filter(|(of, on, _)| *of == process && on == queue);
                let taken = taken.count();
                if self.places.get(queue).is_some_and(|places| taken > *places) {
                    return Err(format!(
                        "E{process} runs {taken} workflows of queue {queue}, with {} places",
                        self.places[queue]
                    ));
                }
            }
            Fact::Finished(owner) | Fact::Stopped { owner, .. } => {
                self.running
                    .retain(|(of, _, running)| *of != process || running != owner);
            }
            Fact::Crashed { .. } => self.running.retain(|(of, ..)| *of != process),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn runs(workflow: &str, token: &str) -> [Fact; 2] {
        let execution = Fact::Execution {
            owner: owner(workflow, token),
            attempt: 1,
        };
        [claimed(workflow, token), execution]
    }

    #[test]
    fn one_more_than_there_are_places_is_found() {
        let facts = [runs("a", "1"), runs("b", "2")].concat();
        assert!(judge(PlacesAreKept::new([("q", 1)]), &facts).is_err());
        assert_eq!(judge(PlacesAreKept::new([("q", 2)]), &facts), Ok(()));
    }

    #[test]
    fn a_crash_frees_its_places() {
        let crash = Fact::Crashed {
            down: std::time::Duration::ZERO,
        };
        let facts = [&runs("a", "1")[..], &[crash], &runs("b", "2")].concat();
        assert_eq!(judge(PlacesAreKept::new([("q", 1)]), &facts), Ok(()));
    }
}
