//! Claims: what a claim gives and writes, and how a lost answer is found again.

use durable_core::{
    db::{NewWorkflow, Resumed, Timing},
    ids::OwnerToken,
    state::{INTERNAL_QUEUE, Status, WorkflowRow},
};

use super::{
    Context,
    context::{given, ids},
    make::{self, owner, queued, queued_on, step, success},
};

cases! { "claims":
    a_claim_writes_its_executor_and_nothing_else,
    a_claim_gives_the_row_and_the_input_as_stored,
    a_claimed_workflow_is_not_claimed_again,
    a_claim_takes_no_more_than_it_has_tokens,
    a_claim_with_more_tokens_takes_what_there_is,
    a_claim_without_a_token_takes_nothing,
    the_nth_workflow_gets_the_nth_token,
    a_claim_takes_from_its_own_queue_only,
    only_enqueued_workflows_are_claimed,
    the_internal_queue_is_claimed_like_any_other,
    a_claim_counts_attempts_on,
    a_lost_answer_is_found_by_its_tokens,
    a_lost_answer_is_found_with_steps_of_an_earlier_execution,
    what_has_ended_or_was_taken_is_not_found_by_its_token,
    a_direct_start_is_found_by_its_creator,
    no_tokens_find_nothing,
}

async fn a_claim_writes_its_executor_and_nothing_else(t: Context) {
    t.enqueued("w").await;
    let before = t.row("w").await;
    t.advance(5).await;
    let row = t.worker("worker").await.claim_one("t").await;
    let started = row.updated_at;
    let expected = WorkflowRow {
        status: Status::Pending,
        owner: Some("t".into()),
        executor: Some("worker".into()),
        attempts: 1,
        updated_at: started,
        started_at: Some(started),
        ..before.clone()
    };
    assert_eq!(row, expected);
    assert!(started > before.updated_at);
}

async fn a_claim_gives_the_row_and_the_input_as_stored(t: Context) {
    t.enqueued("w").await;
    t.raw("without input", |_| ()).await;
    let claimed = t.worker("worker").await.claim(&["t1", "t2"]).await;
    assert_eq!(claimed.len(), 2);
    for one in claimed {
        let id = one.row.id.as_str();
        assert_eq!(one.row, t.row(id).await);
        let input = (id == "w").then(|| queued("w").input);
        assert_eq!(one.input, input, "{id}");
    }
}

async fn a_claimed_workflow_is_not_claimed_again(t: Context) {
    t.enqueued("w").await;
    let worker = t.worker("worker").await;
    worker.claim_one("t1").await;
    let before = t.seen("w").await;
    assert_eq!(worker.claim(&["t2"]).await, []);
    assert_eq!(t.worker("other").await.claim(&["t3"]).await, []);
    assert_eq!(t.seen("w").await, before);
}

async fn a_claim_takes_no_more_than_it_has_tokens(t: Context) {
    for id in ["a", "b", "c"] {
        t.enqueued(id).await;
    }
    let claimed = t.worker("worker").await.claim(&["t1", "t2"]).await;
    assert_eq!(ids(&claimed), ["a", "b"]);
    let row = t.row("c").await;
    assert_eq!(
        (row.status, row.attempts, row.owner),
        (Status::Enqueued, 0, None)
    );
}

async fn a_claim_with_more_tokens_takes_what_there_is(t: Context) {
    t.enqueued("a").await;
    t.enqueued("b").await;
    let worker = t.worker("worker").await;
    let claimed = worker.claim(&["t1", "t2", "t3", "t4"]).await;
    assert_eq!(ids(&claimed), ["a", "b"]);
    assert_eq!(worker.claim(&["t3", "t4"]).await, []);
}

async fn a_claim_without_a_token_takes_nothing(t: Context) {
    t.enqueued("w").await;
    let before = t.seen("w").await;
    assert_eq!(t.worker("worker").await.claim(&[]).await, []);
    assert_eq!(t.seen("w").await, before);
}

async fn the_nth_workflow_gets_the_nth_token(t: Context) {
    for (id, priority) in [("third", 9), ("first", 0), ("second", 4)] {
        t.insert(queued_on(id, make::QUEUE, priority)).await;
    }
    // The tokens sort otherwise than the workflows do.
    let claimed = t.worker("worker").await.claim(&["z", "a", "m"]).await;
    let given: Vec<_> = claimed
        .iter()
        .map(|one| (one.row.id.as_str(), one.row.owner.clone()))
        .collect();
    let expected = [("first", "z"), ("second", "a"), ("third", "m")];
    assert_eq!(given, expected.map(|(id, token)| (id, Some(token.into()))));
    for (id, token) in expected {
        assert_eq!(t.row(id).await.owner, Some(token.into()));
    }
}

async fn a_claim_takes_from_its_own_queue_only(t: Context) {
    t.insert(queued_on("w", "other", 0)).await;
    t.running("direct").await;
    let worker = t.worker("worker").await;
    assert_eq!(worker.claim(&["t1", "t2"]).await, []);
    assert_eq!(worker.claim_from("OTHER", &["t1"]).await, []);
    assert_eq!(ids(&worker.claim_from("other", &["t1"]).await), ["w"]);
}

async fn only_enqueued_workflows_are_claimed(t: Context) {
    for status in Status::ALL {
        t.raw(status.as_str(), |row| row.status = status).await;
    }
    let tokens = ["t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    let claimed = t.worker("worker").await.claim(&tokens).await;
    assert_eq!(ids(&claimed), ["ENQUEUED"]);
}

async fn the_internal_queue_is_claimed_like_any_other(t: Context) {
    t.cancelled("w").await;
    assert_eq!(
        given(t.db.resume(&"w".into(), None).await),
        Resumed::Enqueued
    );
    let worker = t.worker("worker").await;
    let claimed = worker.claim_from(INTERNAL_QUEUE, &["t"]).await;
    assert_eq!(ids(&claimed), ["w"]);
    assert_eq!(claimed[0].row.queue.as_deref(), Some(INTERNAL_QUEUE));
}

async fn a_claim_counts_attempts_on(t: Context) {
    // As the reference's recovery leaves it: back on its queue, its attempts kept.
    t.raw("w", |row| row.attempts = 3).await;
    let row = t.worker("worker").await.claim_one("t").await;
    assert_eq!(row.attempts, 4);
}

async fn a_lost_answer_is_found_by_its_tokens(t: Context) {
    for id in ["a", "b", "c"] {
        t.enqueued(id).await;
    }
    let timed = NewWorkflow {
        timing: Timing::Timeout(60_000),
        ..queued("d")
    };
    t.insert(timed).await;
    let worker = t.worker("worker").await;
    let claimed = worker.claim(&["t1", "t2"]).await;
    let other = t.worker("other").await.claim(&["o1", "o2"]).await;
    assert_eq!(ids(&other), ["c", "d"]);
    let before = [t.seen("a").await, t.seen("d").await];

    t.advance(5).await;
    let tokens = ["t2", "t1", "never used"].map(OwnerToken::from);
    for _ in 0..2 {
        let mut found = given(t.db.claimed_by(&tokens).await);
        found.sort_by(|a, b| a.row.id.cmp(&b.row.id));
        assert_eq!(found, claimed);
    }
    let found = given(t.db.claimed_by(&["o2".into()]).await);
    assert_eq!(found, other[1..]);
    assert_eq!([t.seen("a").await, t.seen("d").await], before);
}

async fn a_lost_answer_is_found_with_steps_of_an_earlier_execution(t: Context) {
    let old = t.running("w").await;
    t.record(&old, &step(1, "1")).await;
    let worker = t.worker("survivor").await;
    worker.adopt("w", Some(old.token.as_str()), "new").await;
    let found = given(t.db.claimed_by(&["new".into()]).await);
    assert_eq!(ids(&found), ["w"]);
    assert_eq!(found[0].row, t.row("w").await);
    assert_eq!(found[0].input, Some(make::here("w").input));
    assert_eq!(given(t.db.claimed_by(&[old.token]).await), []);
}

async fn what_has_ended_or_was_taken_is_not_found_by_its_token(t: Context) {
    let worker = t.worker("worker").await;
    for id in ["finished", "cancelled", "dead", "resumed", "taken"] {
        t.enqueued(id).await;
        worker.claim_one(id).await;
    }
    t.finish(&owner("finished", "finished"), &success("1"))
        .await;
    t.cancel("cancelled").await;
    given(t.db.dead_letter(&owner("dead", "dead")).await);
    t.cancel("resumed").await;
    given(t.db.resume(&"resumed".into(), None).await);
    worker.adopt("taken", Some("taken"), "new").await;
    t.raw("left", |row| row.owner = Some("left".into())).await;
    let tokens = ["finished", "cancelled", "dead", "resumed", "taken", "left"];
    let found = given(t.db.claimed_by(&tokens.map(OwnerToken::from)).await);
    assert_eq!(ids(&found), [] as [&str; 0]);
}

async fn a_direct_start_is_found_by_its_creator(t: Context) {
    t.running("w").await;
    let found = given(t.db.claimed_by(&[make::creator("w")]).await);
    assert_eq!(ids(&found), ["w"]);
    assert_eq!(found[0].row, t.row("w").await);
}

async fn no_tokens_find_nothing(t: Context) {
    t.running("w").await;
    t.raw("ownerless", |row| row.status = Status::Pending).await;
    assert_eq!(given(t.db.claimed_by(&[]).await), []);
    assert_eq!(given(t.db.claimed_by(&["".into()]).await), []);
}
