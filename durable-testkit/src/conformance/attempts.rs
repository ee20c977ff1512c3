//! Which executions of a workflow count as crashes: neither what a clean shutdown ended nor what
//! recorded something.

use durable_core::{
    db::{Abandoned, Claimed, NewWorkflow},
    ids::{Owner, WorkflowId},
};

use super::{
    Context,
    context::{Worker, given},
    make::{self, QUEUE, here, owner, step},
};

cases! { "attempts":
    an_execution_that_recorded_nothing_counts,
    an_execution_that_recorded_something_does_not_count,
    an_execution_that_a_clean_shutdown_ended_does_not_count,
    one_execution_is_taken_off_once,
    a_claim_after_a_requeue_counts_as_an_adoption_does,
    a_release_is_fenced_by_the_token,
    a_release_asked_again_changes_nothing,
    a_release_leaves_the_row_alone,
    a_resumed_workflow_counts_anew,
    what_a_deleted_workflow_left_is_not_anothers,
    a_claim_whose_answer_was_lost_tells_the_same,
}

/// Adopts workflow "w" from the execution with this token; how many executions there were, and how
/// many count.
async fn adopted(worker: &Worker, held: &str, token: &str) -> (i64, i64) {
    let adopted = worker.adopt("w", Some(held), token).await;
    assert_eq!(adopted.len(), 1, "{adopted:?}");
    counts(&adopted[0])
}

fn counts(claimed: &Claimed) -> (i64, i64) {
    (claimed.row.attempts, claimed.counted())
}

async fn released(t: &Context, owner: &Owner) {
    let released = given(t.db.release(std::slice::from_ref(owner)).await);
    assert_eq!(released, std::slice::from_ref(&owner.workflow));
}

async fn an_execution_that_recorded_nothing_counts(t: Context) {
    t.running("w").await;
    let worker = t.worker("survivor").await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 2));
    assert_eq!(adopted(&worker, "one", "two").await, (3, 3));
}

async fn an_execution_that_recorded_something_does_not_count(t: Context) {
    let first = t.running("w").await;
    let worker = t.worker("survivor").await;
    t.record(&first, &step(1, "1")).await;
    t.record(&first, &step(2, "1")).await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 1));
    assert_eq!(adopted(&worker, "one", "two").await, (3, 2));
    t.record(&owner("w", "two"), &step(3, "1")).await;
    assert_eq!(adopted(&worker, "two", "three").await, (4, 2));
    assert_eq!(adopted(&worker, "three", "four").await, (5, 3));
}

async fn an_execution_that_a_clean_shutdown_ended_does_not_count(t: Context) {
    let first = t.running("w").await;
    let worker = t.worker("survivor").await;
    released(&t, &first).await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 1));
    released(&t, &owner("w", "one")).await;
    assert_eq!(adopted(&worker, "one", "two").await, (3, 1));
    assert_eq!(adopted(&worker, "two", "three").await, (4, 2));
}

async fn one_execution_is_taken_off_once(t: Context) {
    let first = t.running("w").await;
    let worker = t.worker("survivor").await;
    t.record(&first, &step(1, "1")).await;
    released(&t, &first).await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 1));
    // What was recorded before is no progress of this one.
    assert_eq!(adopted(&worker, "one", "two").await, (3, 2));
}

async fn a_claim_after_a_requeue_counts_as_an_adoption_does(t: Context) {
    t.enqueued("w").await;
    let worker = t.worker("survivor").await;
    let again = async |held: &str, token: &str| {
        let left = Abandoned {
            workflow: "w".into(),
            executor: worker.claimant.executor.clone(),
            held: Some(held.into()),
            queue: Some(QUEUE.to_owned()),
        };
        let back = given(t.db.requeue(&worker.claimant, &[left]).await);
        assert_eq!(back, ["w".into()]);
        counts(&worker.claim(&[token]).await[0])
    };
    assert_eq!(counts(&worker.claim(&["one"]).await[0]), (1, 1));
    released(&t, &owner("w", "one")).await;
    assert_eq!(again("one", "two").await, (2, 1));
    t.record(&owner("w", "two"), &step(1, "1")).await;
    assert_eq!(again("two", "three").await, (3, 1));
    assert_eq!(again("three", "four").await, (4, 2));
}

async fn a_release_is_fenced_by_the_token(t: Context) {
    t.running("w").await;
    t.enqueued("queued").await;
    let done = t.finished("done").await;
    let owners = [
        owner("w", "another"),
        owner("queued", "queued:creator"),
        owner("nowhere", "any"),
        done,
    ];
    assert_eq!(given(t.db.release(&owners).await), Vec::<WorkflowId>::new());
    let worker = t.worker("survivor").await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 2));
}

async fn a_release_asked_again_changes_nothing(t: Context) {
    let first = t.running("w").await;
    let other = t.running("other").await;
    let both = [other.clone(), first.clone(), other];
    for _ in 0..2 {
        let released = given(t.db.release(&both).await);
        assert_eq!(released, ["other".into(), "w".into(), "other".into()]);
    }
    released(&t, &first).await;
    let worker = t.worker("survivor").await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 1));
    assert_eq!(adopted(&worker, "one", "two").await, (3, 2));
}

async fn a_release_leaves_the_row_alone(t: Context) {
    let first = t.running("w").await;
    let before = t.seen("w").await;
    t.advance(5).await;
    released(&t, &first).await;
    assert_eq!(t.seen("w").await, before);
}

async fn a_resumed_workflow_counts_anew(t: Context) {
    let first = t.running("w").await;
    t.record(&first, &step(1, "1")).await;
    let worker = t.worker("survivor").await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 1));
    t.cancel("w").await;
    given(t.db.resume(&"w".into(), Some(QUEUE)).await);
    assert_eq!(counts(&worker.claim(&["two"]).await[0]), (1, 1));
    // What was recorded before the resume is no progress of what came after it.
    assert_eq!(adopted(&worker, "two", "three").await, (2, 2));
    t.record(&owner("w", "three"), &step(2, "1")).await;
    assert_eq!(adopted(&worker, "three", "four").await, (3, 2));
}

async fn what_a_deleted_workflow_left_is_not_anothers(t: Context) {
    let first = t.running("w").await;
    released(&t, &first).await;
    let worker = t.worker("survivor").await;
    assert_eq!(adopted(&worker, "w:creator", "one").await, (2, 1));
    t.database.delete_row(&"w".into()).await;
    let anew = NewWorkflow {
        creator: "anew".into(),
        ..here("w")
    };
    t.insert(anew).await;
    assert_eq!(adopted(&worker, "anew", "two").await, (2, 2));
}

async fn a_claim_whose_answer_was_lost_tells_the_same(t: Context) {
    let first = t.running("w").await;
    released(&t, &first).await;
    let worker = t.worker("survivor").await;
    let adopted = worker.adopt("w", Some("w:creator"), "one").await;
    let found = given(t.db.claimed_by(&["one".into()]).await);
    assert_eq!(found, adopted);
    assert_eq!(found[0].counted(), 1);
    assert_eq!(found[0].row.owner, Some(make::owner("w", "one").token));
}
