//! Deadlines: when a workflow gets one, and what happens when it comes.

use std::time::Duration;

use durable_core::{
    db::{Inserted, NewWorkflow, Timing},
    payload::Ended,
    state::{Status, WorkflowRow},
    time::Timestamp,
};

use super::{
    Context,
    context::given,
    make::{self, here, queued},
};

cases! { "deadlines":
    a_direct_start_gets_its_deadline_at_once,
    an_enqueued_workflow_gets_its_deadline_when_it_is_claimed,
    an_inherited_deadline_is_there_from_the_start,
    a_claim_keeps_an_inherited_deadline,
    a_takeover_keeps_the_first_deadline,
    a_timeout_beyond_the_end_of_time_is_the_end_of_time,
    a_due_workflow_is_cancelled,
    what_has_not_ended_is_cancelled_when_due,
    what_is_not_due_is_left_alone,
    what_has_ended_is_left_alone_when_due,
    the_earliest_deadlines_come_first,
    deadlines_of_another_application_are_left_alone,
    deadlines_of_no_application_are_everybodys,
}

fn hour() -> Duration {
    Duration::from_hours(1)
}

fn timed(ms: i64, new: NewWorkflow) -> NewWorkflow {
    NewWorkflow {
        timing: Timing::Timeout(ms),
        ..new
    }
}

fn until(deadline: Timestamp, new: NewWorkflow) -> NewWorkflow {
    NewWorkflow {
        timing: Timing::Inherited(deadline),
        ..new
    }
}

async fn expire(t: &Context, limit: usize) -> Vec<String> {
    let expired = given(t.db.expire_deadlines(make::APPLICATION, limit).await);
    expired.iter().map(ToString::to_string).collect()
}

async fn a_direct_start_gets_its_deadline_at_once(t: Context) {
    let inserted = given(t.db.insert_workflow(&timed(60_000, here("w"))).await);
    let row = t.row("w").await;
    let deadline = Some(row.created_at.saturating_add(Duration::from_mins(1)));
    assert_eq!(inserted, Inserted::Created { deadline });
    assert_eq!((row.deadline, row.timeout_ms), (deadline, Some(60_000)));
}

async fn an_enqueued_workflow_gets_its_deadline_when_it_is_claimed(t: Context) {
    let inserted = given(t.db.insert_workflow(&timed(60_000, queued("w"))).await);
    assert_eq!(inserted, Inserted::Created { deadline: None });
    let row = t.row("w").await;
    assert_eq!((row.deadline, row.timeout_ms), (None, Some(60_000)));
    t.advance(20).await;
    let claimed = t.worker("worker").await.claim_one("t").await;
    let started = claimed.started_at.expect("a claim sets it");
    assert!(started > row.created_at);
    let deadline = started.saturating_add(Duration::from_mins(1));
    assert_eq!(claimed.deadline, Some(deadline));
    assert_eq!(t.row("w").await.deadline, Some(deadline));
}

async fn an_inherited_deadline_is_there_from_the_start(t: Context) {
    let deadline = t.now().await.saturating_add(hour());
    for new in [here("here"), queued("queued")] {
        let new = until(deadline, new);
        let inserted = given(t.db.insert_workflow(&new).await);
        let deadline = Some(deadline);
        assert_eq!(inserted, Inserted::Created { deadline });
        let row = t.row(new.id.as_str()).await;
        assert_eq!((row.deadline, row.timeout_ms), (deadline, None));
    }
}

async fn a_claim_keeps_an_inherited_deadline(t: Context) {
    let deadline = t.now().await.saturating_add(hour());
    t.insert(until(deadline, queued("w"))).await;
    t.raw("both", |row| {
        row.deadline = Some(deadline);
        row.timeout_ms = Some(5);
    })
    .await;
    for claimed in t.worker("worker").await.claim(&["t1", "t2"]).await {
        assert_eq!(claimed.row.deadline, Some(deadline));
    }
}

async fn a_takeover_keeps_the_first_deadline(t: Context) {
    t.insert(timed(60_000, here("direct"))).await;
    t.insert(timed(60_000, queued("claimed"))).await;
    let worker = t.worker("worker").await;
    worker.claim_one("t").await;
    for (id, held) in [("direct", "direct:creator"), ("claimed", "t")] {
        let first = t.row(id).await.deadline;
        assert!(first.is_some());
        t.advance(20).await;
        let adopted = worker.adopt(id, Some(held), &format!("{id} anew")).await;
        assert_eq!(adopted[0].row.deadline, first);
    }
}

async fn a_timeout_beyond_the_end_of_time_is_the_end_of_time(t: Context) {
    let end = Some(Timestamp::from_millis(i64::MAX));
    let inserted = given(t.db.insert_workflow(&timed(i64::MAX, here("w"))).await);
    assert_eq!(inserted, Inserted::Created { deadline: end });
    assert_eq!(t.row("w").await.deadline, end);
    t.insert(timed(i64::MAX, queued("q"))).await;
    let claimed = t.worker("worker").await.claim_one("t").await;
    assert_eq!(claimed.deadline, end);
    assert_eq!(expire(&t, 9).await, [] as [&str; 0]);
}

async fn a_due_workflow_is_cancelled(t: Context) {
    t.insert(timed(20, here("w"))).await;
    let before = t.row("w").await;
    t.advance(40).await;
    assert_eq!(expire(&t, 9).await, ["w"]);
    let row = t.row("w").await;
    let expected = WorkflowRow {
        status: Status::Cancelled,
        owner: None,
        updated_at: row.updated_at,
        completed_at: Some(row.updated_at),
        ..before
    };
    assert_eq!(row, expected);
    assert_eq!(t.ended("w").await, Some(Ended::Cancelled));
    assert_eq!(expire(&t, 9).await, [] as [&str; 0], "asked again");
    assert_eq!(t.row("w").await, row);
}

async fn what_has_not_ended_is_cancelled_when_due(t: Context) {
    let now = t.now().await;
    for status in [Status::Enqueued, Status::Pending, Status::Delayed] {
        t.raw(status.as_str(), |row| {
            row.status = status;
            row.started_at = Some(now);
            row.deadline = Some(now);
        })
        .await;
    }
    let mut expired = expire(&t, 9).await;
    expired.sort();
    assert_eq!(expired, ["DELAYED", "ENQUEUED", "PENDING"]);
    for id in expired {
        let row = t.row(&id).await;
        assert_eq!(row.status, Status::Cancelled);
        assert_eq!((row.queue, row.started_at, row.owner), (None, None, None));
        assert_eq!(row.completed_at, Some(row.updated_at));
    }
}

async fn what_is_not_due_is_left_alone(t: Context) {
    t.insert(timed(3_600_000, here("later"))).await;
    t.running("never").await;
    t.insert(timed(1, queued("not begun"))).await;
    t.advance(20).await;
    let ids = ["later", "never", "not begun"];
    let mut before = Vec::new();
    for id in ids {
        before.push(t.seen(id).await);
    }
    assert_eq!(expire(&t, 9).await, [] as [&str; 0]);
    for (id, before) in ids.iter().zip(before) {
        assert_eq!(t.seen(id).await, before);
    }
}

async fn what_has_ended_is_left_alone_when_due(t: Context) {
    let now = t.now().await;
    let ended = Status::ALL
        .into_iter()
        .filter(|status| status.is_terminal());
    let mut before = Vec::new();
    for status in ended {
        t.raw(status.as_str(), |row| {
            row.status = status;
            row.deadline = Some(now);
        })
        .await;
        before.push(t.row(status.as_str()).await);
    }
    t.advance(5).await;
    assert_eq!(expire(&t, 9).await, [] as [&str; 0]);
    for row in before {
        assert_eq!(t.row(row.id.as_str()).await, row);
    }
}

async fn the_earliest_deadlines_come_first(t: Context) {
    let now = t.now().await;
    for (id, ms) in [("c", 3), ("a", 1), ("e", 5), ("b", 2), ("d", 4)] {
        let deadline = now.saturating_add(Duration::from_millis(ms));
        t.insert(until(deadline, here(id))).await;
    }
    t.insert(until(now.saturating_add(hour()), here("later")))
        .await;
    t.advance(20).await;
    assert_eq!(expire(&t, 0).await, [] as [&str; 0]);
    assert_eq!(expire(&t, 2).await, ["a", "b"]);
    assert_eq!(t.status("c").await, Status::Pending);
    assert_eq!(expire(&t, 2).await, ["c", "d"]);
    assert_eq!(expire(&t, 2).await, ["e"]);
    assert_eq!(expire(&t, 2).await, [] as [&str; 0]);
}

async fn deadlines_of_another_application_are_left_alone(t: Context) {
    let application = "bank".to_owned();
    t.insert(NewWorkflow {
        application,
        ..timed(1, here("w"))
    })
    .await;
    t.advance(20).await;
    let before = t.seen("w").await;
    assert_eq!(expire(&t, 9).await, [] as [&str; 0]);
    assert_eq!(t.seen("w").await, before);
    let expired = given(t.db.expire_deadlines("bank", 9).await);
    assert_eq!(expired, ["w".into()]);
}

async fn deadlines_of_no_application_are_everybodys(t: Context) {
    let now = t.now().await;
    t.raw("w", |row| {
        row.application = None;
        row.deadline = Some(now);
    })
    .await;
    assert_eq!(expire(&t, 9).await, ["w"]);
}
