//! What has lost a race stays out.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::ids::{OwnerToken, WorkflowId};

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Fact, Moment};

/// An operation that an execution dropped, as another was first, does nothing in the executions that follow: the race ends in the same way
/// before it can begin.
///
/// One that has lost its workflow and does not know yet may go on with it: what it writes is refused.
#[derive(Debug, Default)]
pub struct LosersStayOut {
    standings: Standings,
    dropped: BTreeMap<(WorkflowId, i32), BTreeSet<OwnerToken>>,
}

impl Invariant for LosersStayOut {
    fn name(&self) -> &'static str {
        "losers_stay_out"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.standings.see(moment.fact);
        match moment.fact {
            Fact::Dropped { owner, number } => {
                let place = (owner.workflow.clone(), *number);
                let by = self.dropped.entry(place).or_default();
                by.insert(owner.token.clone());
                Ok(())
            }
            Fact::Body { owner, number, .. } | Fact::Waits { owner, number, .. }
                if self.standings.is_owner(owner) =>
            {
                let place = (owner.workflow.clone(), *number);
                match self.dropped.get(&place) {
                    Some(by) if !by.contains(&owner.token) => Err(format!(
                        "operation {number} of {} begins under token {}, though it has lost a race before",
                        owner.workflow, owner.token
                    )),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn dropped() -> Fact {
        Fact::Dropped {
            owner: owner("a", "1"),
            number: 2,
        }
    }

    #[test]
    fn one_that_begins_again_is_found() {
        let facts = [
            body("a", "1", 2),
            dropped(),
            adopted("a", "2"),
            body("a", "2", 2),
        ];
        assert!(judge(LosersStayOut::default(), &facts).is_err());
    }

    #[test]
    fn others_may_begin_and_one_that_has_lost_its_workflow_may() {
        let facts = [
            started("a", "1"),
            body("a", "1", 2),
            dropped(),
            adopted("a", "2"),
            body("a", "2", 1),
            body("a", "1", 2),
            started("b", "3"),
            body("b", "3", 2),
        ];
        assert_eq!(judge(LosersStayOut::default(), &facts), Ok(()));
    }
}
