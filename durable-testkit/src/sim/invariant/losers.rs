//! An execution that has lost its workflow ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use durable_core::ids::{Owner, OwnerToken, WorkflowId};

use super::{
    Invariant,
    patience::{BODIES, Patience},
};
use crate::sim::{
    fact::{Fact, Moment, Written},
    plan::Plan,
};

/// An execution whose workflow was cancelled, or is another's, ends soon, also where it only waits.
///
/// For scenarios whose bodies last no longer than a few seconds.
#[derive(Debug)]
pub struct LosersStop {
    patience: Patience,
    running: BTreeMap<Owner, usize>,
    /// Since when executions that run have lost their workflows.
    lost: BTreeMap<(usize, Owner), Duration>,
}

impl LosersStop {
    /// For runs under this plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            patience: Patience::of(plan),
            running: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    /// All executions of a workflow have lost it but for the one of this token.
    fn lose(&mut self, workflow: &WorkflowId, keeps: Option<&OwnerToken>, at: Duration) {
        let of: BTreeSet<_> = self
            .running
            .iter()
            .filter(|(owner, _)| owner.workflow == *workflow && Some(&owner.token) != keeps)
            .map(|(owner, process)| (*process, owner.clone()))
            .collect();
        for loser in of {
            self.lost.entry(loser).or_insert(at);
        }
    }
}

impl Invariant for LosersStop {
    fn name(&self) -> &'static str {
        "losers_stop"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        for ((process, owner), since) in &self.lost {
            // It is asked after once it has run for a whole interval.
            let bound = (2, BODIES);
            if self.patience.is_late(moment, *process, *since, bound) {
                return Err(format!(
                    "{} is no longer run under token {} since {:.3} s, and that execution goes on",
                    owner.workflow,
                    owner.token,
                    since.as_secs_f64()
                ));
            }
        }
        self.patience.see(moment);
        let at = moment.at;
        match moment.fact {
            Fact::Execution { owner, .. } => {
                self.running.insert(owner.clone(), moment.process);
            }
            Fact::Requeued { workflow, .. } | Fact::Cancelled(workflow) => {
                self.lose(workflow, None, at);
            }
            Fact::Taken { owner, .. }
            | Fact::Written {
                owner,
                what: Written::Outcome { .. } | Written::DeadLetter,
                ..
            } => self.lose(&owner.workflow, Some(&owner.token), at),
            Fact::Finished(owner) | Fact::Stopped { owner, .. } => {
                self.running.remove(owner);
                self.lost.remove(&(moment.process, owner.clone()));
            }
            Fact::Crashed { .. } => {
                self.running.retain(|_, process| *process != moment.process);
                self.lost.retain(|(of, _), _| *of != moment.process);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn judged(facts: &[Fact]) -> Result<(), String> {
        let execution = Fact::Execution {
            owner: owner("a", "1"),
            attempt: 1,
        };
        let begin = [joined(1), started("a", "1"), execution];
        let wait = std::iter::repeat_n(Fact::Note(String::new()), 30);
        let facts: Vec<_> = begin
            .into_iter()
            .chain(facts.iter().cloned())
            .chain(wait)
            .collect();
        judge(LosersStop::new(&Plan::calm()), &facts)
    }

    #[test]
    fn one_that_goes_on_is_found() {
        assert!(judged(&[Fact::Cancelled(WorkflowId::from("a"))]).is_err());
        assert!(judged(&[adopted("a", "2")]).is_err());
        assert!(judged(&[requeued("a", 2)]).is_err());
    }

    #[test]
    fn one_that_stops_or_dies_or_still_owns_it_is_right() {
        let stopped = Fact::Stopped {
            owner: owner("a", "1"),
            reason: String::new(),
        };
        let crash = Fact::Crashed {
            down: Duration::ZERO,
        };
        assert_eq!(judged(&[adopted("a", "2"), stopped]), Ok(()));
        assert_eq!(judged(&[adopted("a", "2"), crash]), Ok(()));
        assert_eq!(judged(&[]), Ok(()));
    }
}
