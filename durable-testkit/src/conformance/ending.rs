//! Ends: finished by itself, dead-lettered, cancelled.

use durable_core::{
    db::{Lost, Write},
    payload::{Encoded, Ended, Outcome},
    state::{Status, WorkflowRow},
};

use super::{
    Context,
    context::given,
    make::{self, failure, owner, step, success},
};

cases! { "ending":
    a_success_is_stored_with_its_value,
    a_failure_is_stored_with_its_error,
    a_finish_clears_the_owner_and_sets_the_end,
    a_finish_leaves_the_queue_and_the_start_of_a_claimed_workflow,
    an_outcome_in_another_format_than_the_input_is_read_in_its_own,
    a_workflow_finishes_once,
    only_the_owner_finishes,
    a_workflow_that_is_not_there_is_not_finished,
    every_end_frees_the_deduplication_id,
    the_owner_dead_letters,
    only_the_owner_dead_letters,
    a_dead_letter_asked_again_is_lost_and_changes_nothing,
    a_cancel_ends_what_has_not_ended,
    a_cancel_leaves_what_has_ended_exactly_as_it_is,
    a_cancel_of_many_tells_which_it_cancelled,
    a_cancel_of_nothing_is_nothing,
    a_cancel_keeps_the_steps,
}

async fn a_success_is_stored_with_its_value(t: Context) {
    let owner = t.running("w").await;
    t.finish(&owner, &success("{\"receipt\": 7}")).await;
    assert_eq!(t.status("w").await, Status::Success);
    let outcome = success("{\"receipt\": 7}");
    assert_eq!(t.ended("w").await, Some(Ended::Outcome(outcome)));
}

async fn a_failure_is_stored_with_its_error(t: Context) {
    let owner = t.running("w").await;
    t.finish(&owner, &failure("{\"name\":\"SoldOut\"}")).await;
    assert_eq!(t.status("w").await, Status::Error);
    let outcome = failure("{\"name\":\"SoldOut\"}");
    assert_eq!(t.ended("w").await, Some(Ended::Outcome(outcome)));
}

async fn a_finish_clears_the_owner_and_sets_the_end(t: Context) {
    let owner = t.running("w").await;
    let before = t.row("w").await;
    t.advance(5).await;
    t.finish(&owner, &success("1")).await;
    let row = t.row("w").await;
    let ended = row.updated_at;
    assert!(ended > before.updated_at);
    let expected = WorkflowRow {
        status: Status::Success,
        owner: None,
        updated_at: ended,
        completed_at: Some(ended),
        ..before
    };
    assert_eq!(row, expected, "and nothing else");
}

async fn a_finish_leaves_the_queue_and_the_start_of_a_claimed_workflow(t: Context) {
    t.enqueued("w").await;
    let claimed = t.worker("worker").await.claim_one("t").await;
    t.finish(&owner("w", "t"), &success("1")).await;
    let row = t.row("w").await;
    assert_eq!(row.queue.as_deref(), Some(make::QUEUE));
    assert_eq!(row.started_at, claimed.started_at);
    assert!(row.started_at.is_some());
}

async fn an_outcome_in_another_format_than_the_input_is_read_in_its_own(t: Context) {
    let owner = t.running("w").await;
    let outcome = Outcome::Success(Encoded::new("other", "another format"));
    t.finish(&owner, &outcome).await;
    assert_eq!(t.ended("w").await, Some(Ended::Outcome(outcome)));
    assert_eq!(t.row("w").await.format, Some("another format".into()));
}

async fn a_workflow_finishes_once(t: Context) {
    let owner = t.running("w").await;
    t.finish(&owner, &success("1")).await;
    let before = t.seen("w").await;
    t.advance(5).await;
    for outcome in [success("1"), success("2"), failure("3")] {
        let again = given(t.db.finish_workflow(&owner, &outcome).await);
        assert_eq!(again, lost(Status::Success));
    }
    assert_eq!(t.seen("w").await, before);
}

fn lost(status: Status) -> Write {
    Write::Lost(Lost {
        status: Some(status),
    })
}

async fn only_the_owner_finishes(t: Context) {
    t.running("w").await;
    t.enqueued("waiting").await;
    for (id, token, status) in [
        ("w", "somebody", Status::Pending),
        ("w", "", Status::Pending),
        ("w", "W:creator", Status::Pending),
        ("waiting", "somebody", Status::Enqueued),
        ("waiting", "waiting:creator", Status::Enqueued),
    ] {
        let before = t.seen(id).await;
        let written = given(t.db.finish_workflow(&owner(id, token), &success("1")).await);
        assert_eq!(written, lost(status), "{id} {token}");
        assert_eq!(t.seen(id).await, before);
    }
}

async fn a_workflow_that_is_not_there_is_not_finished(t: Context) {
    let nowhere = owner("nowhere", "t");
    let gone = Write::Lost(Lost { status: None });
    assert_eq!(
        given(t.db.finish_workflow(&nowhere, &success("1")).await),
        gone
    );
    assert_eq!(given(t.db.dead_letter(&nowhere).await), gone);
    assert_eq!(t.ended("nowhere").await, Some(Ended::Missing));
}

async fn every_end_frees_the_deduplication_id(t: Context) {
    let worker = t.worker("worker").await;
    for (id, token) in [
        ("finished", "t1"),
        ("dead", "t2"),
        ("cancelled", "t3"),
        ("due", "t4"),
    ] {
        let now = t.now().await;
        t.raw(id, |row| {
            row.deduplication_id = Some("order-7".into());
            row.deadline = (id == "due").then_some(now);
        })
        .await;
        let row = worker.claim_one(token).await;
        assert_eq!(
            row.deduplication_id.as_deref(),
            Some("order-7"),
            "kept by the claim"
        );
        let owner = owner(id, token);
        match id {
            "finished" => t.finish(&owner, &success("1")).await,
            "dead" => assert_eq!(given(t.db.dead_letter(&owner).await), Write::Written),
            "due" => drop(given(t.db.expire_deadlines(make::APPLICATION, 9).await)),
            _ => t.cancel(id).await,
        }
        let row = t.row(id).await;
        assert!(row.status.is_terminal());
        assert_eq!(row.deduplication_id, None, "{id}");
    }
}

async fn the_owner_dead_letters(t: Context) {
    t.enqueued("w").await;
    let before = t.worker("worker").await.claim_one("t").await;
    t.advance(5).await;
    let written = given(t.db.dead_letter(&owner("w", "t")).await);
    assert_eq!(written, Write::Written);
    let row = t.row("w").await;
    let expected = WorkflowRow {
        status: Status::MaxRecoveryAttemptsExceeded,
        owner: None,
        queue: None,
        started_at: None,
        updated_at: row.updated_at,
        completed_at: Some(row.updated_at),
        ..before.clone()
    };
    assert_eq!(row, expected);
    assert!(row.updated_at > before.updated_at);
    assert_eq!(row.attempts, 1, "they tell how often it was dispatched");
    assert_eq!(t.ended("w").await, Some(Ended::DeadLettered));
}

async fn only_the_owner_dead_letters(t: Context) {
    t.running("w").await;
    let before = t.seen("w").await;
    let written = given(t.db.dead_letter(&owner("w", "somebody")).await);
    assert_eq!(written, lost(Status::Pending));
    assert_eq!(t.seen("w").await, before);
}

async fn a_dead_letter_asked_again_is_lost_and_changes_nothing(t: Context) {
    let owner = t.dead_lettered("w").await;
    let before = t.seen("w").await;
    t.advance(5).await;
    let again = given(t.db.dead_letter(&owner).await);
    assert_eq!(again, lost(Status::MaxRecoveryAttemptsExceeded));
    assert_eq!(t.seen("w").await, before);
}

async fn a_cancel_ends_what_has_not_ended(t: Context) {
    t.one_of_each_status().await;
    for id in ["pending", "enqueued", "delayed"] {
        let before = t.row(id).await;
        t.advance(5).await;
        t.cancel(id).await;
        let row = t.row(id).await;
        let expected = WorkflowRow {
            status: Status::Cancelled,
            owner: None,
            queue: None,
            started_at: None,
            updated_at: row.updated_at,
            completed_at: Some(row.updated_at),
            ..before.clone()
        };
        assert_eq!(row, expected);
        assert!(row.updated_at > before.updated_at);
        assert_eq!(t.ended(id).await, Some(Ended::Cancelled));
    }
}

async fn a_cancel_leaves_what_has_ended_exactly_as_it_is(t: Context) {
    for id in t.one_of_each_status().await {
        if !t.status(&id).await.is_terminal() {
            continue;
        }
        let before = t.seen(&id).await;
        t.advance(5).await;
        let cancelled = given(t.db.cancel(&[id.as_str().into()]).await);
        assert_eq!(cancelled, [], "{id}");
        assert_eq!(t.seen(&id).await, before);
    }
}

async fn a_cancel_of_many_tells_which_it_cancelled(t: Context) {
    t.running("a").await;
    t.finished("b").await;
    t.enqueued("c").await;
    t.running("untouched").await;
    let ids = ["c", "nowhere", "b", "a"].map(Into::into);
    let mut cancelled = given(t.db.cancel(&ids).await);
    cancelled.sort();
    assert_eq!(cancelled, ["a", "c"].map(Into::into));
    assert_eq!(given(t.db.cancel(&ids).await), [], "asked again");
    assert_eq!(t.status("untouched").await, Status::Pending);
    let outcome: Outcome = success("1");
    assert_eq!(t.ended("b").await, Some(Ended::Outcome(outcome)));
}

async fn a_cancel_of_nothing_is_nothing(t: Context) {
    t.running("w").await;
    let before = t.seen("w").await;
    assert_eq!(given(t.db.cancel(&[]).await), []);
    assert_eq!(given(t.db.cancel(&["nowhere".into()]).await), []);
    assert_eq!(t.seen("w").await, before);
}

async fn a_cancel_keeps_the_steps(t: Context) {
    let owner = t.running("w").await;
    t.record(&owner, &step(1, "1")).await;
    t.cancel("w").await;
    assert_eq!(t.steps("w").await, [step(1, "1")]);
}
