//! A workflow ends once, and its end does not change.

use std::collections::BTreeMap;

use durable_core::ids::WorkflowId;

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Fact, Moment, Written};

/// A workflow ends once and its end does not change, unless it is resumed; all who ask are told the same.
#[derive(Debug, Default)]
pub struct OneOutcome {
    standings: Standings,
    told: BTreeMap<WorkflowId, String>,
}

impl Invariant for OneOutcome {
    fn name(&self) -> &'static str {
        "one_outcome"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        let verdict = self.judge(moment.fact);
        self.standings.see(moment.fact);
        verdict
    }
}

impl OneOutcome {
    /// Judges by what came before.
    fn judge(&mut self, fact: &Fact) -> Result<(), String> {
        let ended = |workflow: &WorkflowId| self.standings.of(workflow)?.end.clone();
        match fact {
            Fact::Written { owner, what, .. } => {
                let new = match what {
                    Written::Outcome { text, .. } => text.as_str(),
                    Written::DeadLetter => "dead-lettered",
                    _ => return Ok(()),
                };
                if let Some(old) = ended(&owner.workflow)
                    && old != new
                {
                    return Err(format!(
                        "{} ended as {old}, and then as {new}",
                        owner.workflow
                    ));
                }
            }
            Fact::Cancelled(workflow) => {
                if let Some(old) = ended(workflow) {
                    return Err(format!("{workflow} ended as {old}, and then was cancelled"));
                }
            }
            Fact::Resumed(workflow) => {
                self.told.remove(workflow);
            }
            // A cancelled workflow may have been resumed since whoever tells it looked.
            Fact::Told { end, .. } if end == "cancelled" => {}
            Fact::Told { workflow, end } => {
                let before = self
                    .told
                    .entry(workflow.clone())
                    .or_insert_with(|| end.clone());
                if before != end {
                    return Err(format!(
                        "{workflow} was told to have ended as {before}, and as {end}"
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

    fn told(end: &str) -> Fact {
        Fact::Told {
            workflow: WorkflowId::from("a"),
            end: end.to_owned(),
        }
    }

    #[test]
    fn a_second_end_is_found() {
        let cancelled = Fact::Cancelled(WorkflowId::from("a"));
        for second in [written("a", "2", outcome("2")), cancelled] {
            let facts = [started("a", "1"), written("a", "1", outcome("1")), second];
            assert!(judge(OneOutcome::default(), &facts).is_err());
        }
        assert!(judge(OneOutcome::default(), &[told("1"), told("2")]).is_err());
    }

    #[test]
    fn the_same_end_again_and_one_after_a_resume_are_right() {
        let facts = [
            started("a", "1"),
            Fact::Cancelled(WorkflowId::from("a")),
            told("cancelled"),
            Fact::Resumed(WorkflowId::from("a")),
            written("a", "2", outcome("2")),
            written("a", "2", outcome("2")),
            told("2"),
            told("2"),
        ];
        assert_eq!(judge(OneOutcome::default(), &facts), Ok(()));
    }
}
