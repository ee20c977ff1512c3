//! Abandoned workflows: whose rows are nobody's any more, and who is told of them.

use std::sync::Arc;

use durable_core::{
    db::{Abandoned, AbandonedQuery, NewWorkflow, SystemDb},
    ids::{Format, WorkflowKey},
    payload::Encoded,
    state::Status,
};

use super::{
    Context,
    context::{Worker, given, wanted},
    make::{self, here, success},
};

cases! { "recovery":
    what_the_dead_left_is_abandoned,
    what_an_executor_that_left_had_is_abandoned,
    what_the_living_run_is_not_abandoned,
    what_an_executor_that_never_lived_has_is_left_alone,
    what_is_not_pending_is_not_abandoned,
    an_id_that_lives_again_has_abandoned_nothing,
    own_workflows_are_listed_when_asked_for,
    another_version_is_left_alone,
    what_cannot_be_run_is_left_alone,
    another_application_is_left_alone,
    what_has_no_application_is_abandoned_to_all,
    abandoned_workflows_come_in_the_order_of_their_ids,
    abandoned_workflows_come_in_pages,
    a_claimed_workflow_is_listed_with_its_token_and_queue,
    a_row_without_an_owner_is_listed_so,
}

/// A process that joined under this id.
async fn process(t: &Context, executor: &str) -> Arc<dyn SystemDb> {
    let process = t.another_process().await;
    given(process.join(&wanted(executor)).await);
    process
}

/// Starts a workflow for this executor.
async fn start(t: &Context, id: &str, executor: &str) {
    start_as(
        t,
        NewWorkflow {
            executor: executor.into(),
            ..here(id)
        },
    )
    .await;
}

async fn start_as(t: &Context, new: NewWorkflow) {
    t.insert(new).await;
}

/// A direct start of "gone" as it is listed.
fn left(id: &str) -> Abandoned {
    Abandoned {
        workflow: id.into(),
        executor: "gone".into(),
        held: Some(make::creator(id)),
        queue: None,
    }
}

/// Lets executor "gone" live and leave.
async fn gone(t: &Context) {
    given(t.db.join(&wanted("gone")).await);
    given(t.db.leave(&"gone".into()).await);
}

fn names(abandoned: &[Abandoned]) -> Vec<&str> {
    abandoned.iter().map(|one| one.workflow.as_str()).collect()
}

async fn what_the_dead_left_is_abandoned(t: Context) {
    let other = process(&t, "gone").await;
    start(&t, "w", "gone").await;
    let worker = t.worker("worker").await;
    assert_eq!(worker.abandoned().await, []);
    drop(other);
    let listed = || async {
        let abandoned = worker.abandoned().await;
        (!abandoned.is_empty()).then_some(abandoned)
    };
    let abandoned = t
        .eventually("what a dead process had is abandoned", listed)
        .await;
    assert_eq!(abandoned, [left("w")]);
    assert_eq!(
        worker.abandoned().await,
        [left("w")],
        "asking takes nothing"
    );
    assert_eq!(t.row("w").await.owner, left("w").held);
}

async fn what_an_executor_that_left_had_is_abandoned(t: Context) {
    let other = process(&t, "gone").await;
    start(&t, "w", "gone").await;
    given(other.leave(&"gone".into()).await);
    let worker = t.worker("worker").await;
    assert_eq!(worker.abandoned().await, [left("w")]);
    start(&t, "late", "gone").await;
    assert_eq!(worker.abandoned().await, [left("late"), left("w")]);
}

async fn what_the_living_run_is_not_abandoned(t: Context) {
    let _other = process(&t, "living").await;
    given(t.db.join(&wanted("same process")).await);
    start(&t, "a", "living").await;
    start(&t, "b", "same process").await;
    start(&t, "c", "worker").await;
    let worker = t.worker("worker").await;
    assert_eq!(worker.abandoned().await, []);
}

async fn what_an_executor_that_never_lived_has_is_left_alone(t: Context) {
    start(&t, "w", "another SDK's").await;
    t.raw("none", |row| {
        row.status = Status::Pending;
        row.owner = Some("t".into());
        row.executor = None;
    })
    .await;
    let worker = t.worker("worker").await;
    assert_eq!(worker.abandoned().await, []);
    let own = AbandonedQuery {
        own: true,
        ..worker.query()
    };
    assert_eq!(given(t.db.abandoned(&own).await), []);
}

async fn what_is_not_pending_is_not_abandoned(t: Context) {
    gone(&t).await;
    for status in Status::ALL {
        t.raw(status.as_str(), |row| {
            row.status = status;
            row.executor = Some("gone".into());
            row.owner = Some("t".into());
        })
        .await;
    }
    let worker = t.worker("worker").await;
    assert_eq!(names(&worker.abandoned().await), ["PENDING"]);
    let owner = make::owner("PENDING", "t");
    t.finish(&owner, &success("1")).await;
    assert_eq!(worker.abandoned().await, []);
}

async fn an_id_that_lives_again_has_abandoned_nothing(t: Context) {
    gone(&t).await;
    start(&t, "w", "gone").await;
    let again = process(&t, "gone").await;
    let worker = t.worker("worker").await;
    assert_eq!(worker.abandoned().await, []);
    given(again.leave(&"gone".into()).await);
    assert_eq!(worker.abandoned().await, [left("w")]);
}

async fn own_workflows_are_listed_when_asked_for(t: Context) {
    gone(&t).await;
    let worker = t.worker("worker").await;
    start(&t, "mine", "worker").await;
    start(&t, "theirs", "gone").await;
    assert_eq!(names(&worker.abandoned().await), ["theirs"]);
    let own = AbandonedQuery {
        own: true,
        ..worker.query()
    };
    let abandoned = given(t.db.abandoned(&own).await);
    assert_eq!(names(&abandoned), ["mine", "theirs"]);
    assert_eq!(abandoned[0].executor, "worker".into());
}

async fn another_version_is_left_alone(t: Context) {
    gone(&t).await;
    for version in ["v0", "v1", "v2"] {
        start_as(
            &t,
            NewWorkflow {
                version: Some(version.into()),
                executor: "gone".into(),
                ..here(version)
            },
        )
        .await;
    }
    let worker = t.worker("worker").await;
    assert_eq!(names(&worker.abandoned().await), ["v1"]);
    let worker = worker.but(|c| c.version = "v2".into());
    assert_eq!(names(&worker.abandoned().await), ["v2"]);
}

async fn what_cannot_be_run_is_left_alone(t: Context) {
    gone(&t).await;
    let method = WorkflowKey {
        class: Some("Shop".into()),
        config: Some("north".into()),
        ..WorkflowKey::function("work")
    };
    let base = || NewWorkflow {
        executor: "gone".into(),
        ..here("a function")
    };
    let unknown = WorkflowKey::function("unknown");
    let pickled = Encoded::new("x", "py_pickle");
    start_as(&t, base()).await;
    for (id, key) in [("a method", method.clone()), ("another name", unknown)] {
        start_as(
            &t,
            NewWorkflow {
                id: id.into(),
                key,
                ..base()
            },
        )
        .await;
    }
    start_as(
        &t,
        NewWorkflow {
            id: "a pickle".into(),
            input: pickled,
            ..base()
        },
    )
    .await;
    let worker = t.worker("worker").await;
    assert_eq!(names(&worker.abandoned().await), ["a function"]);
    let methods = worker.but(|c| c.runnable = [method.clone()].into());
    assert_eq!(names(&methods.abandoned().await), ["a method"]);
    let pickles = worker.but(|c| c.formats = [Format::from("py_pickle")].into());
    assert_eq!(names(&pickles.abandoned().await), ["a pickle"]);
}

async fn another_application_is_left_alone(t: Context) {
    gone(&t).await;
    start_as(
        &t,
        NewWorkflow {
            application: "bank".into(),
            executor: "gone".into(),
            ..here("w")
        },
    )
    .await;
    let worker = t.worker("worker").await;
    assert_eq!(worker.abandoned().await, []);
    let worker = worker.but(|c| c.application = "bank".into());
    assert_eq!(names(&worker.abandoned().await), ["w"]);
}

async fn what_has_no_application_is_abandoned_to_all(t: Context) {
    gone(&t).await;
    t.raw("w", |row| {
        row.status = Status::Pending;
        row.application = None;
        row.executor = Some("gone".into());
        row.owner = Some("t".into());
    })
    .await;
    let worker = t.worker("worker").await;
    assert_eq!(names(&worker.abandoned().await), ["w"]);
    let adopted = worker.adopt("w", Some("t"), "new").await;
    assert_eq!(
        adopted[0].row.application.as_deref(),
        Some(make::APPLICATION)
    );
}

async fn abandoned_workflows_come_in_the_order_of_their_ids(t: Context) {
    gone(&t).await;
    for id in ["c", "a10", "B", "a2", "b", "a"] {
        start(&t, id, "gone").await;
    }
    let abandoned = t.worker("worker").await.abandoned().await;
    assert_eq!(names(&abandoned), ["B", "a", "a10", "a2", "b", "c"]);
}

async fn abandoned_workflows_come_in_pages(t: Context) {
    gone(&t).await;
    for n in 0..7 {
        start(&t, &format!("w{n}"), "gone").await;
        start(&t, &format!("x{n}"), "another SDK's").await;
    }
    let worker: Worker = t.worker("worker").await;
    let mut query = AbandonedQuery {
        limit: 3,
        ..worker.query()
    };
    for page in [&["w0", "w1", "w2"][..], &["w3", "w4", "w5"], &["w6"], &[]] {
        let abandoned = given(t.db.abandoned(&query).await);
        assert_eq!(names(&abandoned), page);
        query.after = abandoned.last().map(|last| last.workflow.clone());
    }
    query.after = Some("w4".into());
    let abandoned = given(t.db.abandoned(&query).await);
    assert_eq!(names(&abandoned), ["w5", "w6"]);
    query.limit = 0;
    assert_eq!(given(t.db.abandoned(&query).await), []);
}

async fn a_claimed_workflow_is_listed_with_its_token_and_queue(t: Context) {
    t.enqueued("w").await;
    let claimer = t.worker("gone").await;
    claimer.claim_one("t").await;
    given(t.db.leave(&"gone".into()).await);
    let abandoned = t.worker("worker").await.abandoned().await;
    let expected = Abandoned {
        held: Some("t".into()),
        queue: Some(make::QUEUE.to_owned()),
        ..left("w")
    };
    assert_eq!(abandoned, [expected]);
}

async fn a_row_without_an_owner_is_listed_so(t: Context) {
    gone(&t).await;
    t.raw("w", |row| {
        row.status = Status::Pending;
        row.executor = Some("gone".into());
        row.queue = None;
    })
    .await;
    let worker = t.worker("worker").await;
    let expected = Abandoned {
        held: None,
        ..left("w")
    };
    assert_eq!(worker.abandoned().await, [expected]);
}
