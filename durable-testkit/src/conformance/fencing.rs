//! Executions that lost their token: no write of theirs changes anything, and each tells how the row stands.

use durable_core::{
    db::{ChildInserted, Lost, NULL_TOPIC, Received, Recorded, Resumed, Sent, Write},
    ids::Owner,
    state::Status,
};

use super::{
    Context,
    context::{Worker, given},
    make::{self, failure, here, json, owner, stamp, step, success},
};

cases! { "fencing":
    a_superseded_execution_records_no_step,
    a_superseded_execution_starts_no_child,
    a_superseded_execution_sends_nothing,
    a_superseded_execution_receives_nothing,
    a_superseded_execution_publishes_nothing,
    a_superseded_execution_does_not_finish,
    a_superseded_execution_does_not_dead_letter,
    a_superseded_execution_is_lost_even_for_what_is_recorded,
    a_cancelled_execution_writes_nothing,
    a_finished_execution_writes_nothing,
    a_dead_lettered_execution_writes_nothing,
    a_resumed_workflows_old_execution_writes_nothing,
    a_deleted_workflows_execution_writes_nothing,
    a_claimed_workflows_creator_writes_nothing,
    an_owner_on_a_row_that_is_not_pending_means_nothing,
    the_new_owner_goes_on_where_the_old_one_was,
}

/// Workflow "w" runs under "new", after it ran under "w:creator"; a message waits for it, and "peer" can get one.
async fn superseded(t: &Context) -> (Owner, Worker) {
    let old = t.running("w").await;
    t.running("peer").await;
    t.mail("waiting", "w", "news").await;
    let worker = t.worker("survivor").await;
    let adopted = worker.adopt("w", Some(old.token.as_str()), "new").await;
    assert_eq!(adopted.len(), 1);
    (old, worker)
}

const PENDING: Lost = Lost {
    status: Some(Status::Pending),
};

async fn a_superseded_execution_records_no_step(t: Context) {
    let (old, _) = superseded(&t).await;
    let before = t.seen("w").await;
    let recorded = given(t.db.record_step(&old, &step(1, "1")).await);
    assert_eq!(recorded, Recorded::Lost(PENDING));
    assert_eq!(t.seen("w").await, before);
}

async fn a_superseded_execution_starts_no_child(t: Context) {
    let (old, _) = superseded(&t).await;
    let before = t.seen("w").await;
    let inserted = given(
        t.db.insert_child(&here("child"), &old, &stamp(1, "work"))
            .await,
    );
    assert_eq!(inserted, ChildInserted::Lost(PENDING));
    assert_eq!(t.find("child").await, None);
    assert_eq!(t.seen("w").await, before);
}

async fn a_superseded_execution_sends_nothing(t: Context) {
    let (old, _) = superseded(&t).await;
    let before = t.seen("w").await;
    let message = make::message("m", "peer", "news");
    let sent = given(
        t.db.send(&message, Some((&old, &stamp(1, "DBOS.send"))))
            .await,
    );
    assert_eq!(sent, Sent::Lost(PENDING));
    assert!(!t.has_mail("peer", "news").await);
    assert_eq!(t.seen("w").await, before);
}

async fn a_superseded_execution_receives_nothing(t: Context) {
    let (old, _) = superseded(&t).await;
    let before = t.seen("w").await;
    for (topic, otherwise) in [("news", None), ("empty", Some(json("null")))] {
        let stamp = stamp(1, "DBOS.recv");
        let received = t.db.receive(&old, topic, &stamp, otherwise.as_ref()).await;
        assert_eq!(given(received), Received::Lost(PENDING));
    }
    assert_eq!(t.seen("w").await, before);
}

async fn a_superseded_execution_publishes_nothing(t: Context) {
    let (old, _) = superseded(&t).await;
    let before = t.seen("w").await;
    let set =
        t.db.set_event(&old, "progress", &json("1"), &stamp(1, "DBOS.setEvent"))
            .await;
    assert_eq!(given(set), Recorded::Lost(PENDING));
    assert_eq!(t.seen("w").await, before);
    assert_eq!(t.database.event_history(&"w".into(), "progress").await, []);
}

async fn a_superseded_execution_does_not_finish(t: Context) {
    let (old, _) = superseded(&t).await;
    let before = t.seen("w").await;
    for outcome in [success("1"), failure("2")] {
        let written = given(t.db.finish_workflow(&old, &outcome).await);
        assert_eq!(written, Write::Lost(PENDING));
    }
    assert_eq!(t.seen("w").await, before);
    // Not even an outcome that would come to light later.
    t.finish(&owner("w", "new"), &success("3")).await;
    let ended = durable_core::payload::Ended::Outcome(success("3"));
    assert_eq!(t.ended("w").await, Some(ended));
}

async fn a_superseded_execution_does_not_dead_letter(t: Context) {
    let (old, _) = superseded(&t).await;
    let before = t.seen("w").await;
    assert_eq!(given(t.db.dead_letter(&old).await), Write::Lost(PENDING));
    assert_eq!(t.seen("w").await, before);
}

async fn a_superseded_execution_is_lost_even_for_what_is_recorded(t: Context) {
    let old = t.running("w").await;
    t.mail("m", "w", "news").await;
    t.record(&old, &step(1, "1")).await;
    let recv = stamp(2, "DBOS.recv");
    given(t.db.receive(&old, "news", &recv, None).await);
    let worker = t.worker("survivor").await;
    worker.adopt("w", Some(old.token.as_str()), "new").await;
    let again = given(t.db.record_step(&old, &step(1, "1")).await);
    assert_eq!(again, Recorded::Lost(PENDING));
    let again = given(t.db.receive(&old, "news", &recv, None).await);
    assert_eq!(again, Received::Lost(PENDING));
}

/// Tries every write with this token; all must be refused, tell this status, and leave no trace.
async fn expect_refused(t: &Context, owner: &Owner, status: Option<Status>) {
    let lost = Lost { status };
    t.running("peer").await;
    let id = owner.workflow.as_str();
    let before = t.seen(id).await;
    t.advance(5).await;
    assert_eq!(
        given(t.db.record_step(owner, &step(7, "1")).await),
        Recorded::Lost(lost)
    );
    let child =
        t.db.insert_child(&here("child"), owner, &stamp(7, "work"))
            .await;
    assert_eq!(given(child), ChildInserted::Lost(lost));
    let message = make::message("m", "peer", "news");
    let sent =
        t.db.send(&message, Some((owner, &stamp(7, "DBOS.send"))))
            .await;
    assert_eq!(given(sent), Sent::Lost(lost));
    let null = json("null");
    for (topic, otherwise) in [("news", None), (NULL_TOPIC, Some(&null))] {
        let received =
            t.db.receive(owner, topic, &stamp(7, "DBOS.recv"), otherwise)
                .await;
        assert_eq!(given(received), Received::Lost(lost));
    }
    let set =
        t.db.set_event(owner, "progress", &json("1"), &stamp(7, "DBOS.setEvent"))
            .await;
    assert_eq!(given(set), Recorded::Lost(lost));
    let finished = t.db.finish_workflow(owner, &success("1")).await;
    assert_eq!(given(finished), Write::Lost(lost));
    assert_eq!(given(t.db.dead_letter(owner).await), Write::Lost(lost));

    assert_eq!(t.seen(id).await, before);
    assert_eq!(t.find("child").await, None);
    assert!(!t.has_mail("peer", "news").await);
}

async fn a_cancelled_execution_writes_nothing(t: Context) {
    let owner = t.running("w").await;
    t.mail("waiting", "w", "news").await;
    t.cancel("w").await;
    expect_refused(&t, &owner, Some(Status::Cancelled)).await;
}

async fn a_finished_execution_writes_nothing(t: Context) {
    let owner = t.running("w").await;
    t.mail("waiting", "w", "news").await;
    t.finish(&owner, &failure("1")).await;
    expect_refused(&t, &owner, Some(Status::Error)).await;
}

async fn a_dead_lettered_execution_writes_nothing(t: Context) {
    let owner = t.dead_lettered("w").await;
    t.mail("waiting", "w", "news").await;
    expect_refused(&t, &owner, Some(Status::MaxRecoveryAttemptsExceeded)).await;
}

async fn a_resumed_workflows_old_execution_writes_nothing(t: Context) {
    let owner = t.cancelled("w").await;
    t.mail("waiting", "w", "news").await;
    assert_eq!(
        given(t.db.resume(&"w".into(), None).await),
        Resumed::Enqueued
    );
    expect_refused(&t, &owner, Some(Status::Enqueued)).await;
}

async fn a_deleted_workflows_execution_writes_nothing(t: Context) {
    let owner = t.running("w").await;
    t.record(&owner, &step(1, "1")).await;
    t.database.delete_row(&"w".into()).await;
    expect_refused(&t, &owner, None).await;
}

async fn a_claimed_workflows_creator_writes_nothing(t: Context) {
    t.enqueued("w").await;
    t.worker("worker").await.claim_one("t").await;
    t.mail("waiting", "w", "news").await;
    let creator = owner("w", make::creator("w"));
    expect_refused(&t, &creator, Some(Status::Pending)).await;
}

async fn an_owner_on_a_row_that_is_not_pending_means_nothing(t: Context) {
    // The enqueue function of the schema leaves a token there.
    t.raw("w", |row| row.owner = Some("left by another SDK".into()))
        .await;
    let stranger = owner("w", "left by another SDK");
    expect_refused(&t, &stranger, Some(Status::Enqueued)).await;
    let row = t.worker("worker").await.claim_one("t").await;
    assert_eq!(row.owner, Some("t".into()));
}

async fn the_new_owner_goes_on_where_the_old_one_was(t: Context) {
    let old = t.running("w").await;
    t.record(&old, &step(1, "1")).await;
    t.worker("survivor")
        .await
        .adopt("w", Some(old.token.as_str()), "new")
        .await;
    let new = owner("w", "new");
    assert_eq!(t.steps("w").await, [step(1, "1")]);
    t.record(&new, &step(2, "2")).await;
    t.finish(&new, &success("3")).await;
    assert_eq!(t.steps("w").await, [step(1, "1"), step(2, "2")]);
}
