//! Resumes: which workflows they put back, and as what.

use durable_core::{
    db::{NewWorkflow, Resumed, Timing},
    payload::Ended,
    state::{INTERNAL_QUEUE, Status, WorkflowRow},
};

use super::{
    Context,
    context::{given, ids},
    make::{self, owner, queued, step, success},
};

cases! { "resuming":
    a_resume_puts_a_cancelled_workflow_on_the_internal_queue,
    a_resume_puts_a_dead_lettered_workflow_back,
    a_resume_puts_it_on_the_queue_that_is_named,
    a_resume_of_another_status_changes_nothing,
    a_resume_of_an_unknown_workflow_is_missing,
    a_resume_asked_again_changes_nothing,
    a_resumed_workflow_keeps_its_steps_and_its_input,
    a_resumed_workflow_runs_to_its_end,
    a_resume_forgets_the_deadline_and_its_timeout_starts_anew,
}

async fn a_resume_puts_a_cancelled_workflow_on_the_internal_queue(t: Context) {
    t.cancelled("w").await;
    let before = t.row("w").await;
    t.advance(5).await;
    assert_eq!(
        given(t.db.resume(&"w".into(), None).await),
        Resumed::Enqueued
    );
    expect_reset(&t, before, INTERNAL_QUEUE).await;
}

async fn a_resume_puts_a_dead_lettered_workflow_back(t: Context) {
    t.dead_lettered("w").await;
    let before = t.row("w").await;
    t.advance(5).await;
    assert_eq!(
        given(t.db.resume(&"w".into(), None).await),
        Resumed::Enqueued
    );
    expect_reset(&t, before, INTERNAL_QUEUE).await;
}

async fn a_resume_puts_it_on_the_queue_that_is_named(t: Context) {
    t.cancelled("w").await;
    let before = t.row("w").await;
    t.advance(5).await;
    let resumed = given(t.db.resume(&"w".into(), Some("slow lane")).await);
    assert_eq!(resumed, Resumed::Enqueued);
    expect_reset(&t, before, "slow lane").await;
}

async fn expect_reset(t: &Context, before: WorkflowRow, queue: &str) {
    let row = t.row("w").await;
    let expected = WorkflowRow {
        status: Status::Enqueued,
        queue: Some(queue.to_owned()),
        attempts: 0,
        started_at: None,
        completed_at: None,
        updated_at: row.updated_at,
        ..before.clone()
    };
    assert_eq!(row, expected);
    assert_eq!(row.owner, None);
    assert!(row.updated_at > before.updated_at);
}

async fn a_resume_of_another_status_changes_nothing(t: Context) {
    t.one_of_each_status().await;
    for id in ["pending", "enqueued", "delayed", "success", "error"] {
        let before = t.seen(id).await;
        let status = t.status(id).await;
        t.advance(5).await;
        for queue in [None, Some("other")] {
            let resumed = given(t.db.resume(&id.into(), queue).await);
            assert_eq!(resumed, Resumed::Unchanged(status));
        }
        assert_eq!(t.seen(id).await, before);
    }
}

async fn a_resume_of_an_unknown_workflow_is_missing(t: Context) {
    assert_eq!(
        given(t.db.resume(&"w".into(), None).await),
        Resumed::Missing
    );
    assert_eq!(t.find("w").await, None);
}

async fn a_resume_asked_again_changes_nothing(t: Context) {
    t.cancelled("w").await;
    given(t.db.resume(&"w".into(), None).await);
    let before = t.seen("w").await;
    t.advance(5).await;
    let again = given(t.db.resume(&"w".into(), None).await);
    assert_eq!(again, Resumed::Unchanged(Status::Enqueued));
    assert_eq!(t.seen("w").await, before);
}

async fn a_resumed_workflow_keeps_its_steps_and_its_input(t: Context) {
    t.enqueued("w").await;
    let worker = t.worker("worker").await;
    worker.claim_one("t1").await;
    t.record(&owner("w", "t1"), &step(1, "1")).await;
    t.cancel("w").await;
    given(t.db.resume(&"w".into(), Some(make::QUEUE)).await);
    assert_eq!(t.steps("w").await, [step(1, "1")]);
    let claimed = worker.claim(&["t2"]).await;
    assert_eq!(claimed[0].input, Some(queued("w").input));
    assert_eq!(claimed[0].row.attempts, 1);
}

async fn a_resumed_workflow_runs_to_its_end(t: Context) {
    t.cancelled("w").await;
    assert_eq!(t.ended("w").await, Some(Ended::Cancelled));
    given(t.db.resume(&"w".into(), None).await);
    assert_eq!(t.ended("w").await, None);
    let worker = t.worker("worker").await;
    let claimed = worker.claim_from(INTERNAL_QUEUE, &["t"]).await;
    assert_eq!(ids(&claimed), ["w"]);
    t.finish(&owner("w", "t"), &success("2")).await;
    assert_eq!(t.ended("w").await, Some(Ended::Outcome(success("2"))));
}

async fn a_resume_forgets_the_deadline_and_its_timeout_starts_anew(t: Context) {
    let timed = NewWorkflow {
        timing: Timing::Timeout(60_000),
        ..queued("timed")
    };
    t.insert(timed).await;
    let inherited = t
        .now()
        .await
        .saturating_add(std::time::Duration::from_hours(1));
    let heir = NewWorkflow {
        timing: Timing::Inherited(inherited),
        ..queued("heir")
    };
    t.insert(heir).await;
    let worker = t.worker("worker").await;
    assert_eq!(worker.claim(&["t1", "t2"]).await.len(), 2);
    for id in ["timed", "heir"] {
        t.cancel(id).await;
        given(t.db.resume(&id.into(), Some(make::QUEUE)).await);
        assert_eq!(t.row(id).await.deadline, None);
    }
    t.advance(5).await;
    let claimed = worker.claim(&["t3", "t4"]).await;
    assert_eq!(ids(&claimed), ["timed", "heir"]);
    let timed = &claimed[0].row;
    let anew = timed
        .started_at
        .map(|at| at.saturating_add(std::time::Duration::from_mins(1)));
    assert_eq!(timed.deadline, anew);
    assert_eq!(
        claimed[1].row.deadline, None,
        "an inherited one is gone for good"
    );
}
