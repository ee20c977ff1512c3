//! The life cycle of a workflow as plain data and pure functions: no IO, no clock, no randomness.
//!
//! ```text
//!    start ──────────────► PENDING ──finish──► SUCCESS | ERROR
//!                          ▲  │  ▲
//!                    claim │  │  └─ adopt (its executor died: a new token, the same status;
//!                          │  │             what came from a queue goes back onto it: requeue)
//!    enqueue ──► ENQUEUED ─┘  │
//!                   ▲         ├──cancel, deadline──► CANCELLED ───────────┐
//!                   │         └──dead-letter──► MAX_RECOVERY_ATTEMPTS_… ──┤
//!                   └─────────────────────── resume ◄─────────────────────┘
//! ```
//!
//! [`transition::apply`] is the whole machine. The in-memory backend of the testkit is this machine over maps, and
//! the SQL backends are compared with it by the conformance suite. Whatever can be decided without IO is decided
//! here; nothing here may know a database, a runtime or the engine.

mod attempts;
pub mod claim;
pub mod retry;
mod row;
#[cfg(test)]
mod sample;
mod status;
pub mod transition;

use crate::sabotage::Bug;
pub use attempts::Attempts;
pub use row::WorkflowRow;
pub use status::{Status, UnknownStatus};

/// The queue that every executor claims from: where resumed, forked, rewound and, by other SDKs, recovered workflows go.
pub const INTERNAL_QUEUE: &str = "_dbos_internal_queue";

/// How many executions beyond the first may count as crashes unless its registration says
/// otherwise.
pub const DEFAULT_MAX_RECOVERY_ATTEMPTS: u32 = 100;

/// Whether a workflow that has just been dispatched is to be dead-lettered instead of run.
/// `counted`: its dispatches, this one included, without those that do not count ([`Attempts`]).
///
/// `max` recoveries allow `max + 1` executions that count; `None` allows any number.
pub fn is_exhausted(counted: i64, max: Option<u32>) -> bool {
    let fewer = i64::from(Bug::DeadLettersEarly.is_planted());
    max.is_some_and(|max| counted > i64::from(max) + 1 - fewer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_plus_one_executions_are_allowed() {
        assert!(!is_exhausted(3, Some(2)));
        assert!(is_exhausted(4, Some(2)));
        assert!(!is_exhausted(1, Some(0)));
        assert!(is_exhausted(2, Some(0)));
        assert!(!is_exhausted(i64::MAX, None));
    }

    #[test]
    fn every_status_is_read_back_from_its_text() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(status.to_string(), status.as_str());
        }
        assert_eq!("DONE".parse::<Status>(), Err(UnknownStatus("DONE".into())));
    }
}
