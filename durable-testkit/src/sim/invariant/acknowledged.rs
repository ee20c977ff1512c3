//! What is acknowledged is committed.

use durable_core::ids::WorkflowId;

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Fact, Moment};

/// What is acknowledged (a start, an operation, an end) was committed before.
#[derive(Debug, Default)]
pub struct AcknowledgedIsKept(Standings);

impl Invariant for AcknowledgedIsKept {
    fn name(&self) -> &'static str {
        "acknowledged_is_kept"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.0.see(moment.fact);
        let recorded = |workflow: &WorkflowId, number| {
            let standing = self.0.of(workflow);
            standing.is_some_and(|standing| standing.recorded.contains(&number))
        };
        match moment.fact {
            Fact::Started(workflow) if self.0.of(workflow).is_none() => {
                return Err(format!(
                    "the start of {workflow} was acknowledged and is not committed"
                ));
            }
            Fact::Acknowledged { owner, number } if !recorded(&owner.workflow, *number) => {
                return Err(format!(
                    "operation {number} of {} was acknowledged and is not committed",
                    owner.workflow
                ));
            }
            Fact::Finished(owner) => {
                let standing = self.0.of(&owner.workflow);
                if standing.is_none_or(|standing| standing.end.is_none()) {
                    return Err(format!(
                        "the end of {} was acknowledged and is not committed",
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

    fn acknowledged(number: i32) -> Fact {
        Fact::Acknowledged {
            owner: owner("a", "1"),
            number,
        }
    }

    #[test]
    fn what_is_acknowledged_and_not_committed_is_found() {
        let start = Fact::Started(WorkflowId::from("a"));
        let end = Fact::Finished(owner("a", "1"));
        assert!(judge(AcknowledgedIsKept::default(), &[start]).is_err());
        for early in [acknowledged(1), end] {
            let facts = [started("a", "1"), early];
            assert!(judge(AcknowledgedIsKept::default(), &facts).is_err());
        }
    }

    #[test]
    fn what_is_committed_may_be_acknowledged() {
        let facts = [
            started("a", "1"),
            Fact::Started(WorkflowId::from("a")),
            written("a", "1", step(1)),
            acknowledged(1),
            written("a", "1", outcome("1")),
            Fact::Finished(owner("a", "1")),
        ];
        assert_eq!(judge(AcknowledgedIsKept::default(), &facts), Ok(()));
    }
}
