//! What a workflow that succeeded has done is recorded.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::ids::Owner;

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Fact, Moment, Written};

/// When a workflow succeeds, every operation is recorded that its execution began and did not drop: each has ended, also with an error.
///
/// For scenarios whose code keeps no operation beyond its workflow's end.
#[derive(Debug, Default)]
pub struct EndedIsRecorded {
    standings: Standings,
    begun: BTreeMap<Owner, BTreeSet<i32>>,
}

impl Invariant for EndedIsRecorded {
    fn name(&self) -> &'static str {
        "what_ended_is_recorded"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Body { owner, number, .. } | Fact::Waits { owner, number, .. } => {
                let begun = self.begun.entry(owner.clone()).or_default();
                begun.insert(*number);
            }
            Fact::Dropped { owner, number } => {
                if let Some(begun) = self.begun.get_mut(owner) {
                    begun.remove(number);
                }
            }
            Fact::Written {
                owner,
                what: Written::Outcome { success: true, .. },
                ..
            } => {
                let begun = self.begun.remove(owner).unwrap_or_default();
                let is_missing =
                    |number: &i32| !self.standings.is_recorded(&owner.workflow, *number);
                if let Some(missing) = begun.into_iter().find(is_missing) {
                    return Err(format!(
                        "{} succeeded, and its operation {missing} is not recorded",
                        owner.workflow
                    ));
                }
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
    use crate::sim::fact::Awaits;

    fn waits() -> Fact {
        Fact::Waits {
            owner: owner("a", "1"),
            number: 1,
            what: Awaits::Message("t".to_owned()),
        }
    }

    fn end() -> Fact {
        written("a", "1", outcome("1"))
    }

    #[test]
    fn a_step_or_a_wait_that_is_not_recorded_is_found() {
        for begins in [body("a", "1", 1), waits()] {
            let facts = [started("a", "1"), begins, end()];
            assert!(judge(EndedIsRecorded::default(), &facts).is_err());
        }
    }

    #[test]
    fn what_is_recorded_or_was_dropped_is_right() {
        let recorded = written("a", "1", step(1));
        let dropped = Fact::Dropped {
            owner: owner("a", "1"),
            number: 1,
        };
        for then in [recorded, dropped] {
            let facts = [started("a", "1"), body("a", "1", 1), then, end()];
            assert_eq!(judge(EndedIsRecorded::default(), &facts), Ok(()));
        }
    }
}
