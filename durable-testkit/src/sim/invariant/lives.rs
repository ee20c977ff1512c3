//! Only the present life of an executor is given work.

use std::collections::BTreeMap;

use durable_core::ids::ExecutorId;

use super::Invariant;
use crate::sim::fact::{Fact, Moment};

/// Only the present life of an executor is given work: what an earlier one asked for comes too late.
#[derive(Debug, Default)]
pub struct OnlyPresentLivesTake(BTreeMap<ExecutorId, i64>);

impl Invariant for OnlyPresentLivesTake {
    fn name(&self) -> &'static str {
        "only_present_lives_take"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Joined { executor, life, .. } => {
                self.0.insert(executor.clone(), *life);
            }
            Fact::Taken {
                owner,
                executor,
                life,
                ..
            } => {
                let present = self.0.get(executor).copied().unwrap_or(*life);
                if present != *life {
                    return Err(format!(
                        "{} was given to life {life} of {executor}, which is in life {present}",
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

    fn joined(life: i64) -> Fact {
        Fact::Joined {
            executor: ExecutorId::from("E1"),
            life,
            process: 1,
        }
    }

    #[test]
    fn work_that_is_given_to_an_earlier_life_is_found() {
        let facts = [joined(1), joined(2), claimed("a", "1")];
        assert!(judge(OnlyPresentLivesTake::default(), &facts).is_err());
    }

    #[test]
    fn the_present_life_is_given_work() {
        let facts = [joined(1), claimed("a", "1"), joined(2)];
        assert_eq!(judge(OnlyPresentLivesTake::default(), &facts), Ok(()));
    }
}
