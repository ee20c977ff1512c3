//! A cancel wins or loses, and nothing comes after one that has won.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::ids::WorkflowId;

use super::Invariant;
use crate::sim::fact::{Fact, Moment, Written};

/// After a cancel that was made nothing is recorded for the workflow, and it has no outcome, unless it is resumed.
///
/// What was written before may be answered as written again.
#[derive(Debug, Default)]
pub struct CancelsAreClean {
    cancelled: BTreeSet<WorkflowId>,
    written: BTreeMap<WorkflowId, Vec<Written>>,
}

impl Invariant for CancelsAreClean {
    fn name(&self) -> &'static str {
        "cancels_are_clean"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Cancelled(workflow) => {
                self.cancelled.insert(workflow.clone());
            }
            Fact::Resumed(workflow) => {
                self.cancelled.remove(workflow);
            }
            Fact::Written { owner, what, .. } => {
                let before = self.written.entry(owner.workflow.clone()).or_default();
                if before.contains(what) {
                    return Ok(());
                }
                before.push(what.clone());
                if self.cancelled.contains(&owner.workflow) {
                    return Err(format!(
                        "{} was cancelled, and then: {what}",
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

    fn cancelled() -> Fact {
        Fact::Cancelled(WorkflowId::from("a"))
    }

    #[test]
    fn what_is_written_after_a_cancel_is_found() {
        for what in [step(1), outcome("1")] {
            let facts = [started("a", "1"), cancelled(), written("a", "1", what)];
            assert!(judge(CancelsAreClean::default(), &facts).is_err());
        }
    }

    #[test]
    fn what_came_before_a_cancel_or_after_a_resume_is_right() {
        let facts = [
            started("a", "1"),
            written("a", "1", step(1)),
            cancelled(),
            written("a", "1", step(1)),
            Fact::Resumed(WorkflowId::from("a")),
            written("a", "2", step(2)),
        ];
        assert_eq!(judge(CancelsAreClean::default(), &facts), Ok(()));
    }
}
