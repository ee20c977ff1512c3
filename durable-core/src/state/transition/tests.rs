use super::*;
use crate::{
    ids::WorkflowKey,
    state::sample::{at, row},
};

/// Later than the row was last changed, and before its deadline.
const NOW: i64 = 100;

fn claimant() -> Claimant {
    Claimant {
        executor: "executor".into(),
        incarnation: 1,
        application: "shop".to_owned(),
        version: "version".to_owned(),
        runnable: [WorkflowKey::function("order")].into(),
        formats: ["portable_json".into()].into(),
    }
}

fn after(row: &WorkflowRow, event: &Event<'_>) -> Result<WorkflowRow, Refusal> {
    apply(row, event, at(NOW))
}

fn claim<'a>(claimant: &'a Claimant, token: &'a OwnerToken) -> Event<'a> {
    Event::Claim { claimant, token }
}

/// Checks that the event is refused in every status but these, with the status.
fn is_refused_but_in(event: &Event<'_>, allowed: &[Status]) {
    for status in Status::ALL {
        let changed = after(&row(status), event);
        if allowed.contains(&status) {
            assert!(changed.is_ok(), "{event:?} in {status}: {changed:?}");
        } else {
            assert_eq!(changed, Err(Refusal::Status(status)), "{event:?}");
        }
    }
}

#[test]
fn a_claim_makes_an_execution_of_the_claimants_application_and_version() {
    let (claimant, token) = (claimant(), "new".into());
    let event = claim(&claimant, &token);
    let enqueued = row(Status::Enqueued);
    let claimed = WorkflowRow {
        status: Status::Pending,
        application: Some("shop".to_owned()),
        version: Some("version".to_owned()),
        executor: Some("executor".into()),
        owner: Some("new".into()),
        attempts: 4,
        updated_at: at(NOW),
        started_at: Some(at(NOW)),
        ..enqueued.clone()
    };
    assert_eq!(after(&enqueued, &event), Ok(claimed));
    is_refused_but_in(&event, &[Status::Enqueued]);
}

#[test]
fn a_timeout_counts_from_the_first_claim() {
    let (claimant, token) = (claimant(), "new".into());
    let event = claim(&claimant, &token);
    let deadline = |timeout_ms, deadline| {
        let enqueued = WorkflowRow {
            timeout_ms,
            deadline,
            ..row(Status::Enqueued)
        };
        after(&enqueued, &event).map(|claimed| claimed.deadline)
    };
    assert_eq!(deadline(Some(500), None), Ok(Some(at(NOW + 500))));
    assert_eq!(deadline(Some(500), Some(at(900))), Ok(Some(at(900))));
    assert_eq!(deadline(None, Some(at(900))), Ok(Some(at(900))));
    assert_eq!(deadline(None, None), Ok(None));
}

#[test]
fn an_adoption_is_fenced_by_the_token_that_was_read_and_keeps_version_and_deadline() {
    let (claimant, held, token) = (claimant(), "owner".into(), "new".into());
    let adopt = |held| Event::Adopt {
        claimant: &claimant,
        held,
        token: &token,
    };
    let pending = row(Status::Pending);
    let adopted = WorkflowRow {
        application: Some("shop".to_owned()),
        executor: Some("executor".into()),
        owner: Some("new".into()),
        attempts: 4,
        updated_at: at(NOW),
        ..pending.clone()
    };
    assert_eq!(after(&pending, &adopt(Some(&held))), Ok(adopted));
    for other in [None, Some(&token)] {
        assert_eq!(after(&pending, &adopt(other)), Err(Refusal::NotOwner));
    }
    let unowned = WorkflowRow {
        owner: None,
        ..pending
    };
    assert!(after(&unowned, &adopt(None)).is_ok());
    is_refused_but_in(&adopt(Some(&held)), &[Status::Pending]);
}

#[test]
fn a_requeue_is_fenced_by_the_token_that_was_read_and_needs_a_queue() {
    let (held, other) = ("owner".into(), "other".into());
    let requeue = |held| Event::Requeue { held: Some(held) };
    let pending = row(Status::Pending);
    let requeued = WorkflowRow {
        status: Status::Enqueued,
        owner: None,
        started_at: None,
        updated_at: at(NOW),
        ..pending.clone()
    };
    assert_eq!(after(&pending, &requeue(&held)), Ok(requeued));
    assert_eq!(after(&pending, &requeue(&other)), Err(Refusal::NotOwner));
    let direct = WorkflowRow {
        queue: None,
        ..pending
    };
    let refused = Err(Refusal::Status(Status::Pending));
    assert_eq!(after(&direct, &requeue(&held)), refused);
    is_refused_but_in(&requeue(&held), &[Status::Pending]);
}

#[test]
fn an_outcome_is_the_owners_and_keeps_the_queue() {
    let (token, other) = ("owner".into(), "other".into());
    let finish = |token, success| Event::Finish { token, success };
    let pending = row(Status::Pending);
    for (success, status) in [(true, Status::Success), (false, Status::Error)] {
        let ended = WorkflowRow {
            status,
            owner: None,
            deduplication_id: None,
            updated_at: at(NOW),
            completed_at: Some(at(NOW)),
            ..pending.clone()
        };
        assert_eq!(after(&pending, &finish(&token, success)), Ok(ended));
        let stranger = after(&pending, &finish(&other, success));
        assert_eq!(stranger, Err(Refusal::NotOwner));
    }
    let enqueued = after(&row(Status::Enqueued), &finish(&token, true));
    assert_eq!(enqueued, Err(Refusal::NotOwner));
}

#[test]
fn a_dead_letter_is_the_owners_and_leaves_the_queue() {
    let (token, other) = ("owner".into(), "other".into());
    let pending = row(Status::Pending);
    let ended = WorkflowRow {
        status: Status::MaxRecoveryAttemptsExceeded,
        owner: None,
        queue: None,
        deduplication_id: None,
        updated_at: at(NOW),
        started_at: None,
        completed_at: Some(at(NOW)),
        ..pending.clone()
    };
    let dead_letter = |token| Event::DeadLetter { token };
    assert_eq!(after(&pending, &dead_letter(&token)), Ok(ended));
    let stranger = after(&pending, &dead_letter(&other));
    assert_eq!(stranger, Err(Refusal::NotOwner));
}

#[test]
fn a_cancel_takes_what_has_not_ended_off_its_queue() {
    for status in [Status::Delayed, Status::Enqueued, Status::Pending] {
        let before = row(status);
        let cancelled = WorkflowRow {
            status: Status::Cancelled,
            owner: None,
            queue: None,
            deduplication_id: None,
            updated_at: at(NOW),
            started_at: None,
            completed_at: Some(at(NOW)),
            ..before.clone()
        };
        assert_eq!(after(&before, &Event::Cancel), Ok(cancelled));
    }
    let open = [Status::Delayed, Status::Enqueued, Status::Pending];
    is_refused_but_in(&Event::Cancel, &open);
}

#[test]
fn a_deadline_cancels_from_its_own_instant_on_what_has_not_ended() {
    let check = |row: &WorkflowRow, now| apply(row, &Event::DeadlineCheck, at(now));
    let pending = row(Status::Pending);
    assert_eq!(check(&pending, 899), Err(Refusal::NotDue));
    for now in [900, 901] {
        let cancelled = apply(&pending, &Event::Cancel, at(now));
        assert_eq!(check(&pending, now), cancelled);
    }
    assert_eq!(check(&row(Status::Success), 901), Err(Refusal::NotDue));
    let unbounded = WorkflowRow {
        deadline: None,
        ..pending
    };
    assert_eq!(check(&unbounded, 901), Err(Refusal::NotDue));
}

#[test]
fn a_resume_starts_anew_on_a_queue() {
    for status in [Status::Cancelled, Status::MaxRecoveryAttemptsExceeded] {
        let before = row(status);
        for (asked, queue) in [(Some("other"), "other"), (None, INTERNAL_QUEUE)] {
            let resumed = WorkflowRow {
                status: Status::Enqueued,
                owner: None,
                attempts: 0,
                queue: Some(queue.to_owned()),
                deduplication_id: None,
                deadline: None,
                updated_at: at(NOW),
                started_at: None,
                completed_at: None,
                ..before.clone()
            };
            let event = Event::Resume { queue: asked };
            assert_eq!(after(&before, &event), Ok(resumed));
        }
    }
    let ended = [Status::Cancelled, Status::MaxRecoveryAttemptsExceeded];
    is_refused_but_in(&Event::Resume { queue: None }, &ended);
}
