//! A parent that has its child's result has it from a child that has ended.

use durable_core::ids::WorkflowId;

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Fact, Moment, Written};

/// A parent records a child's result only once the child has ended, and a child's row is there when its start is recorded.
#[derive(Debug, Default)]
pub struct ChildrenAreJoined(Standings);

impl Invariant for ChildrenAreJoined {
    fn name(&self) -> &'static str {
        "children_are_joined"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.0.see(moment.fact);
        let Fact::Written { owner, what, .. } = moment.fact else {
            return Ok(());
        };
        let ended = |child: &WorkflowId| self.0.of(child).is_some_and(|child| child.end.is_some());
        if let Written::Step {
            number,
            child: Some(child),
            ..
        } = what
            && !ended(child)
        {
            return Err(format!(
                "operation {number} of {} recorded the result of {child}, which has not ended",
                owner.workflow
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};
    use crate::sim::fact::Ends;

    fn joined(child: &str) -> Written {
        Written::Step {
            number: 2,
            name: "DBOS.getResult".to_owned(),
            child: Some(WorkflowId::from(child)),
            until: None,
            result: Ends::Value,
        }
    }

    #[test]
    fn a_result_of_a_child_that_has_not_ended_is_found() {
        let facts = [
            started("a", "1"),
            started("c", "2"),
            written("a", "1", joined("c")),
        ];
        assert!(judge(ChildrenAreJoined::default(), &facts).is_err());
    }

    #[test]
    fn the_result_of_a_child_that_has_ended_is_right() {
        let facts = [
            started("a", "1"),
            started("c", "2"),
            written("c", "2", outcome("3")),
            written("a", "1", joined("c")),
        ];
        assert_eq!(judge(ChildrenAreJoined::default(), &facts), Ok(()));
    }
}
