//! Who may claim what, and in which order.

use std::{cmp::Ordering, sync::Arc};

use super::{Status, WorkflowRow};
use crate::{
    ids::{ExecutorId, Format, WorkflowKey},
    sabotage::Bug,
};

/// An executor as it shows itself when it takes workflows: who it is, and what it can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its id.
    pub executor: ExecutorId,
    /// Its life: a request of an earlier life of the same id is refused.
    pub incarnation: i64,
    /// Its application.
    pub application: String,
    /// Its application version.
    pub version: String,
    /// The workflows it has registered.
    pub runnable: Arc<[WorkflowKey]>,
    /// The payload formats it can read.
    pub formats: Arc<[Format]>,
}

impl Claimant {
    /// Whether this executor can run the row at all: its application or nobody's, a registered
    /// name, and an input in a format that it reads.
    pub fn can_run(&self, row: &WorkflowRow) -> bool {
        let ours = row
            .application
            .as_ref()
            .is_none_or(|name| *name == self.application);
        let readable = row
            .format
            .as_ref()
            .is_some_and(|format| self.formats.contains(format));
        ours && readable && self.runnable.contains(&row.key)
    }

    /// Whether this executor may claim the row from `queue`. `is_latest`: its version is the newest registered one
    /// of its application, or none is registered; then it also takes rows that name no version.
    pub fn may_claim(&self, row: &WorkflowRow, queue: &str, is_latest: bool) -> bool {
        let version = match &row.version {
            Some(version) => *version == self.version,
            None => is_latest,
        };
        row.status == Status::Enqueued
            && row.queue.as_deref() == Some(queue)
            && (version || Bug::ClaimsAnyVersion.is_planted())
            && self.can_run(row)
    }
}

/// The order in which rows of one queue are claimed: most urgent first, then oldest, then by id.
pub fn order(a: &WorkflowRow, b: &WorkflowRow) -> Ordering {
    (a.priority, a.created_at, &a.id).cmp(&(b.priority, b.created_at, &b.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{at, row};

    fn claimant() -> Claimant {
        Claimant {
            executor: "executor".into(),
            incarnation: 1,
            application: "shop".to_owned(),
            version: "2".to_owned(),
            runnable: [WorkflowKey::function("order")].into(),
            formats: ["portable_json".into()].into(),
        }
    }

    /// A row that [`claimant`] may claim from the queue `queue`.
    fn enqueued() -> WorkflowRow {
        WorkflowRow {
            application: Some("shop".to_owned()),
            version: Some("2".to_owned()),
            ..row(Status::Enqueued)
        }
    }

    fn with(change: impl FnOnce(&mut WorkflowRow)) -> WorkflowRow {
        let mut row = enqueued();
        change(&mut row);
        row
    }

    #[test]
    fn what_is_of_another_application_unreadable_or_unknown_cannot_be_run() {
        let claimant = claimant();
        assert!(claimant.can_run(&enqueued()));
        assert!(claimant.can_run(&with(|row| row.application = None)));
        let others = [
            with(|row| row.application = Some("bank".to_owned())),
            with(|row| row.format = Some("pickle".into())),
            with(|row| row.format = None),
            with(|row| row.key = WorkflowKey::function("refund")),
        ];
        for other in others {
            assert!(!claimant.can_run(&other), "{other:?}");
            assert!(!claimant.may_claim(&other, "queue", true), "{other:?}");
        }
    }

    #[test]
    fn only_what_waits_on_that_queue_is_claimed_from_it() {
        let claimant = claimant();
        assert!(claimant.may_claim(&enqueued(), "queue", false));
        assert!(!claimant.may_claim(&enqueued(), "other", true));
        assert!(!claimant.may_claim(&with(|row| row.queue = None), "queue", true));
        for status in Status::ALL {
            let may = claimant.may_claim(&with(|row| row.status = status), "queue", true);
            assert_eq!(may, status == Status::Enqueued, "{status}");
        }
    }

    #[test]
    fn a_version_is_claimed_by_its_own_and_none_by_the_newest() {
        let claimant = claimant();
        let other = with(|row| row.version = Some("1".to_owned()));
        let none = with(|row| row.version = None);
        for is_latest in [true, false] {
            assert!(claimant.may_claim(&enqueued(), "queue", is_latest));
            assert!(!claimant.may_claim(&other, "queue", is_latest));
            assert_eq!(claimant.may_claim(&none, "queue", is_latest), is_latest);
        }
    }

    #[test]
    fn the_most_urgent_goes_first_then_the_oldest_then_the_first_id() {
        let row = |priority, created, id: &str| {
            with(|row| {
                row.priority = priority;
                row.created_at = at(created);
                row.id = id.into();
            })
        };
        let sorted = [
            row(0, 2, "b"),
            row(0, 2, "c"),
            row(0, 3, "a"),
            row(1, 1, "a"),
        ];
        for pair in sorted.windows(2) {
            assert_eq!(order(&pair[0], &pair[1]), Ordering::Less);
            assert_eq!(order(&pair[1], &pair[0]), Ordering::Greater);
        }
    }
}
