//! No execution that owns its workflow runs the body of a recorded step.

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Fact, Moment};

/// No execution that owns its workflow runs the body of a recorded step.
///
/// One that has lost its workflow and does not know yet may: bodies run at least once, and what it writes is refused.
#[derive(Debug, Default)]
pub struct RecordedStepsDoNotRun(Standings);

impl Invariant for RecordedStepsDoNotRun {
    fn name(&self) -> &'static str {
        "recorded_steps_do_not_run"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.0.see(moment.fact);
        if let Fact::Body {
            owner,
            number,
            name,
            ..
        } = moment.fact
            && self.0.is_owner(owner)
            && self
                .0
                .of(&owner.workflow)
                .is_some_and(|of| of.recorded.contains(number))
        {
            return Err(format!(
                "the body of step {number} {name:?} of {} runs again, though it is recorded and token {} owns the workflow",
                owner.workflow, owner.token
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    #[test]
    fn a_recorded_step_that_runs_again_under_the_owners_token_is_found() {
        let facts = [
            started("a", "1"),
            body("a", "1", 1),
            written("a", "1", step(1)),
            adopted("a", "2"),
            body("a", "2", 1),
        ];
        assert!(judge(RecordedStepsDoNotRun::default(), &facts).is_err());
    }

    #[test]
    fn a_body_that_was_not_recorded_may_run_again_and_a_zombie_may_run_any() {
        let facts = [
            started("a", "1"),
            body("a", "1", 1),
            adopted("a", "2"),
            body("a", "2", 1),
            written("a", "2", step(1)),
            body("a", "1", 1),
        ];
        assert_eq!(judge(RecordedStepsDoNotRun::default(), &facts), Ok(()));
    }
}
