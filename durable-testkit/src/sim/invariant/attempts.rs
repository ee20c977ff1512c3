//! Executions are counted, and too many of them end a workflow.

use std::collections::BTreeMap;

use durable_core::ids::{OwnerToken, WorkflowId};

use super::Invariant;
use crate::sim::fact::{Fact, Moment, Written};

/// A workflow's row says how many executions were dispatched, and so does each execution; a workflow is put away when it has had as many
/// as it may, and not before.
#[derive(Debug, Default)]
pub struct AttemptsAreCounted {
    /// What the rows must say.
    counts: BTreeMap<WorkflowId, i64>,
    /// What they said when a token was given out.
    given: BTreeMap<OwnerToken, i64>,
    /// How many recoveries workflows may have, for those of which it is known.
    limits: BTreeMap<WorkflowId, u32>,
}

/// What happens to a workflow's count.
enum Change {
    /// It is inserted, and runs at once or waits.
    Inserted { runs: bool },
    /// It is taken for another execution.
    Dispatched,
    /// It is resumed.
    Resumed,
}

/// The rule: what the row says after a change.
fn count(before: i64, change: &Change) -> i64 {
    match change {
        Change::Inserted { runs } => i64::from(*runs),
        Change::Dispatched => before + 1,
        Change::Resumed => 0,
    }
}

impl AttemptsAreCounted {
    /// And these workflows may have so many recoveries.
    pub fn with_limits<I: Into<WorkflowId>>(limits: impl IntoIterator<Item = (I, u32)>) -> Self {
        let limits = limits.into_iter();
        Self {
            limits: limits.map(|(id, limit)| (id.into(), limit)).collect(),
            ..Self::default()
        }
    }

    fn change(&mut self, workflow: &WorkflowId, change: &Change) -> i64 {
        let held = self.counts.entry(workflow.clone()).or_default();
        *held = count(*held, change);
        *held
    }

    fn is_exhausted(&self, workflow: &WorkflowId, attempts: i64) -> Option<bool> {
        let limit = self.limits.get(workflow)?;
        // As the documentation says it, not as the engine has it.
        Some(attempts > i64::from(*limit) + 1)
    }
}

impl Invariant for AttemptsAreCounted {
    fn name(&self) -> &'static str {
        "attempts_are_counted"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Inserted {
                owner,
                queue,
                terms,
                ..
            } => {
                let runs = queue.is_none();
                let wanted = self.change(&owner.workflow, &Change::Inserted { runs });
                self.given.insert(owner.token.clone(), wanted);
                said(&owner.workflow, terms.attempts, wanted)
            }
            Fact::Taken { owner, terms, .. } => {
                let wanted = self.change(&owner.workflow, &Change::Dispatched);
                self.given.insert(owner.token.clone(), wanted);
                said(&owner.workflow, terms.attempts, wanted)
            }
            Fact::Resumed(workflow) => {
                self.change(workflow, &Change::Resumed);
                Ok(())
            }
            Fact::Execution { owner, attempt } => {
                let wanted = self.given.get(&owner.token).copied().unwrap_or(*attempt);
                said(&owner.workflow, *attempt, wanted)?;
                match self.is_exhausted(&owner.workflow, *attempt) {
                    Some(true) => Err(format!(
                        "{} is run for the {attempt}. time and may not be",
                        owner.workflow
                    )),
                    _ => Ok(()),
                }
            }
            Fact::Written {
                owner,
                what: Written::DeadLetter,
                ..
            } => {
                let given = self.given.get(&owner.token).copied().unwrap_or_default();
                match self.is_exhausted(&owner.workflow, given) {
                    Some(false) => Err(format!(
                        "{} is put away with attempt {given}, and may have that",
                        owner.workflow
                    )),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

fn said(workflow: &WorkflowId, found: i64, wanted: i64) -> Result<(), String> {
    if found == wanted {
        Ok(())
    } else {
        Err(format!(
            "{workflow} is said to have had {found} executions, and had {wanted}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn counted(fact: Fact, count: i64) -> Fact {
        with_terms(fact, |terms| terms.attempts = count)
    }

    fn runs(token: &str, attempt: i64) -> Fact {
        Fact::Execution {
            owner: owner("a", token),
            attempt,
        }
    }

    fn put_away(token: &str) -> Fact {
        written("a", token, Written::DeadLetter)
    }

    fn limited() -> AttemptsAreCounted {
        AttemptsAreCounted::with_limits([("a", 1)])
    }

    #[test]
    fn a_dispatch_that_is_not_counted_and_one_counted_twice_are_found() {
        for second in [1, 3] {
            let facts = [
                counted(started("a", "1"), 1),
                counted(adopted("a", "2"), second),
            ];
            assert!(judge(AttemptsAreCounted::default(), &facts).is_err());
        }
        let queued = [
            counted(enqueued("a", 0), 0),
            counted(claimed("a", "1"), 1),
            runs("1", 2),
        ];
        assert!(judge(AttemptsAreCounted::default(), &queued).is_err());
        let resumed = [
            counted(started("a", "1"), 1),
            Fact::Resumed(WorkflowId::from("a")),
            counted(claimed("a", "2"), 2),
        ];
        assert!(judge(AttemptsAreCounted::default(), &resumed).is_err());
    }

    #[test]
    fn one_execution_too_many_and_one_too_few_are_found() {
        let third = [
            counted(started("a", "1"), 1),
            counted(adopted("a", "2"), 2),
            counted(adopted("a", "3"), 3),
            runs("3", 3),
        ];
        assert!(judge(limited(), &third).is_err());
        let early = [
            counted(started("a", "1"), 1),
            counted(adopted("a", "2"), 2),
            put_away("2"),
        ];
        assert!(judge(limited(), &early).is_err());
    }

    #[test]
    fn each_dispatch_once_and_the_last_one_put_away_is_right() {
        let facts = [
            counted(started("a", "1"), 1),
            runs("1", 1),
            counted(adopted("a", "2"), 2),
            runs("2", 2),
            counted(adopted("a", "3"), 3),
            put_away("3"),
            Fact::Resumed(WorkflowId::from("a")),
            counted(claimed("a", "4"), 1),
            runs("4", 1),
        ];
        assert_eq!(judge(limited(), &facts), Ok(()));
    }
}
