//! Which executions of a workflow count as crashes.
//!
//! The column `recovery_attempts` counts every dispatch, as the other SDKs have it. What is taken
//! off it stands beside: a dispatch that a clean shutdown ended, or during which something was
//! recorded, is no sign of a workflow that kills its process.

use super::WorkflowRow;
use crate::sabotage::Bug;

/// What is known of a workflow's executions beside their number. None is known of one that was
/// never dispatched again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many dispatches do not count.
    pub excused: i64,
    /// How many operations were recorded at the last dispatch.
    pub steps: i64,
    /// The last dispatch that does not count, by its number; it is not taken off twice.
    pub last: i64,
}

impl Attempts {
    /// After one more dispatch of this row, which was dispatched before and has so many operations
    /// recorded.
    pub fn dispatched(&self, before: &WorkflowRow, steps: i64) -> Self {
        let progress = steps > self.steps && !Bug::ProgressIsNotSeen.is_planted();
        let excused = if progress {
            self.released(before)
        } else {
            self.clone()
        };
        Self { steps, ..excused }
    }

    /// After the last dispatch of this row was ended by a clean shutdown.
    pub fn released(&self, row: &WorkflowRow) -> Self {
        if self.last == row.attempts {
            return self.clone();
        }
        Self {
            excused: self.excused.saturating_add(1),
            last: row.attempts,
            ..self.clone()
        }
    }

    /// After a resume, which counts anew.
    pub fn resumed(steps: i64) -> Self {
        Self {
            steps,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::{NewWorkflow, Placement, Timing},
        ids::WorkflowKey,
        payload::Encoded,
    };

    fn row(attempts: i64) -> WorkflowRow {
        let new = NewWorkflow {
            id: "w".into(),
            key: WorkflowKey::function("w"),
            input: Encoded::new("null", "portable_json"),
            placement: Placement::Here,
            creator: "creator".into(),
            executor: "executor".into(),
            application: "test".to_owned(),
            version: None,
            timing: Timing::Unbounded,
            parent: None,
        };
        WorkflowRow {
            attempts,
            ..new.into_row(crate::time::Timestamp::from_millis(0))
        }
    }

    #[test]
    fn a_dispatch_after_progress_is_excused_and_one_without_is_not() {
        let second = Attempts::default().dispatched(&row(1), 3);
        assert_eq!((second.excused, second.steps), (1, 3));
        let third = second.dispatched(&row(2), 3);
        assert_eq!((third.excused, third.steps), (1, 3));
        assert_eq!(third.dispatched(&row(3), 4).excused, 2);
    }

    #[test]
    fn a_dispatch_is_excused_once() {
        let released = Attempts::default().released(&row(1));
        assert_eq!(released.released(&row(1)), released);
        let next = released.dispatched(&row(1), 5);
        assert_eq!((next.excused, next.steps), (1, 5));
        assert_eq!(next.released(&row(2)).excused, 2);
    }

    #[test]
    fn what_was_recorded_before_a_resume_is_no_progress() {
        assert_eq!(Attempts::resumed(4).dispatched(&row(1), 4).excused, 0);
        assert_eq!(Attempts::resumed(4).dispatched(&row(1), 5).excused, 1);
    }
}
