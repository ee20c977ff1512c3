//! Who may claim what: registered workflows, readable formats, its version, its application, its present life.

use durable_core::{
    db::{NewWorkflow, WantedExecutor},
    ids::{Format, WorkflowKey},
    payload::Encoded,
    state::Status,
};

use super::{
    Context,
    context::{Worker, given, ids, wanted},
    make::{self, queued},
};

cases! { "claims":
    a_workflow_that_is_not_registered_is_not_claimed,
    a_method_is_claimed_by_its_class_and_instance,
    a_format_that_is_not_readable_is_not_claimed,
    a_row_without_a_format_is_not_claimed,
    a_row_of_another_version_is_not_claimed,
    a_row_without_a_version_is_claimed_by_the_newest,
    registering_again_does_not_make_a_version_the_newest,
    of_two_versions_of_one_instant_the_later_is_the_newest,
    a_row_without_a_version_is_claimed_while_none_is_registered,
    versions_of_other_applications_do_not_count,
    a_row_of_another_application_is_not_claimed,
    a_row_without_an_application_becomes_the_claimers,
    nothing_is_claimed_for_an_earlier_life,
    an_executor_that_never_joined_has_no_later_life,
    an_executor_that_can_run_nothing_claims_nothing,
}

/// Asserts that this worker claims nothing, and that the rows stay as they are.
async fn expect_nothing(t: &Context, worker: &Worker, rows: &[&str]) {
    let mut before = Vec::new();
    for id in rows {
        before.push(t.seen(id).await);
    }
    assert_eq!(worker.claim(&["x1", "x2", "x3", "x4"]).await, []);
    for (id, before) in rows.iter().zip(before) {
        assert_eq!(t.seen(id).await, before);
    }
}

async fn a_workflow_that_is_not_registered_is_not_claimed(t: Context) {
    t.insert(NewWorkflow {
        key: WorkflowKey::function("unknown"),
        ..queued("w")
    })
    .await;
    let worker = t.worker("worker").await;
    expect_nothing(&t, &worker, &["w"]).await;
    let worker = worker.but(|c| {
        c.runnable = ["work", "unknown"].map(WorkflowKey::function).into();
    });
    assert_eq!(ids(&worker.claim(&["t"]).await), ["w"]);
}

async fn a_method_is_claimed_by_its_class_and_instance(t: Context) {
    let key = |class: Option<&str>, config: Option<&str>| WorkflowKey {
        name: "work".into(),
        class: class.map(Into::into),
        config: config.map(Into::into),
    };
    let keys = [
        ("static", key(Some("Shop"), None)),
        ("north", key(Some("Shop"), Some("north"))),
        ("south", key(Some("Shop"), Some("south"))),
        ("other", key(Some("Store"), Some("north"))),
    ];
    for (id, key) in &keys {
        t.insert(NewWorkflow {
            key: key.clone(),
            ..queued(id)
        })
        .await;
    }
    let all = ["static", "north", "south", "other"];
    let worker = t.worker("worker").await;
    expect_nothing(&t, &worker, &all).await;
    let partly = worker.but(|c| c.runnable = [key(Some("Shop"), Some(""))].into());
    expect_nothing(&t, &partly, &all).await;
    for (id, key) in keys.iter().rev() {
        let worker = worker.but(|c| c.runnable = [key.clone()].into());
        assert_eq!(ids(&worker.claim(&[id, "more"]).await), [*id]);
    }
}

async fn a_format_that_is_not_readable_is_not_claimed(t: Context) {
    let input = Encoded::new("gAROLg==", "py_pickle");
    t.insert(NewWorkflow {
        input,
        ..queued("w")
    })
    .await;
    let worker = t.worker("worker").await;
    expect_nothing(&t, &worker, &["w"]).await;
    let worker = worker.but(|c| c.formats = ["zip", "py_pickle"].map(Format::from).into());
    assert_eq!(ids(&worker.claim(&["t"]).await), ["w"]);
}

async fn a_row_without_a_format_is_not_claimed(t: Context) {
    t.raw("w", |row| row.format = None).await;
    let worker = t.worker("worker").await;
    expect_nothing(&t, &worker, &["w"]).await;
}

async fn a_row_of_another_version_is_not_claimed(t: Context) {
    for version in ["v0", "v2", ""] {
        let version = Some(version.to_owned());
        let id = format!("w{version:?}");
        t.insert(NewWorkflow {
            version,
            ..queued(&id)
        })
        .await;
    }
    let worker = t.worker("worker").await;
    assert_eq!(worker.claim(&["x1", "x2"]).await, []);
    given(
        t.db.register_version(make::APPLICATION, make::VERSION)
            .await,
    );
    assert_eq!(
        worker.claim(&["x1", "x2"]).await,
        [],
        "not by the newest either"
    );
    let worker = worker.but(|c| c.version = "v2".into());
    assert_eq!(ids(&worker.claim(&["t1", "t2"]).await), ["wSome(\"v2\")"]);
}

async fn versionless(t: &Context, id: &str) {
    t.insert(NewWorkflow {
        version: None,
        ..queued(id)
    })
    .await;
}

async fn a_row_without_a_version_is_claimed_by_the_newest(t: Context) {
    versionless(&t, "w").await;
    given(t.db.register_version(make::APPLICATION, "v1").await);
    t.advance(5).await;
    given(t.db.register_version(make::APPLICATION, "v2").await);
    let worker = t.worker("worker").await;
    expect_nothing(&t, &worker, &["w"]).await;
    let unknown = worker.but(|c| c.version = "v3".into());
    expect_nothing(&t, &unknown, &["w"]).await;
    let row = worker.but(|c| c.version = "v2".into()).claim_one("t").await;
    assert_eq!(
        row.version.as_deref(),
        Some("v2"),
        "it belongs to that version now"
    );
}

async fn registering_again_does_not_make_a_version_the_newest(t: Context) {
    versionless(&t, "w").await;
    for version in ["v1", "v2", "v1", "v2", "v1"] {
        given(t.db.register_version(make::APPLICATION, version).await);
        t.advance(5).await;
    }
    let worker = t.worker("worker").await;
    expect_nothing(&t, &worker, &["w"]).await;
    let worker = worker.but(|c| c.version = "v2".into());
    assert_eq!(ids(&worker.claim(&["t"]).await), ["w"]);
}

async fn of_two_versions_of_one_instant_the_later_is_the_newest(t: Context) {
    versionless(&t, "w").await;
    for version in ["b", "c", "a"] {
        given(t.db.register_version(make::APPLICATION, version).await);
    }
    let worker = t.worker("worker").await;
    for earlier in ["b", "c"] {
        let worker = worker.but(|c| c.version = earlier.into());
        expect_nothing(&t, &worker, &["w"]).await;
    }
    let worker = worker.but(|c| c.version = "a".into());
    assert_eq!(ids(&worker.claim(&["t"]).await), ["w"]);
}

async fn a_row_without_a_version_is_claimed_while_none_is_registered(t: Context) {
    versionless(&t, "w").await;
    let row = t.worker("worker").await.claim_one("t").await;
    assert_eq!(row.version.as_deref(), Some(make::VERSION));
}

async fn versions_of_other_applications_do_not_count(t: Context) {
    versionless(&t, "w").await;
    given(t.db.register_version("bank", "bank v9").await);
    let worker = t.worker("worker").await;
    assert_eq!(ids(&worker.claim(&["t"]).await), ["w"]);
}

async fn a_row_of_another_application_is_not_claimed(t: Context) {
    t.insert(NewWorkflow {
        application: "bank".into(),
        ..queued("w")
    })
    .await;
    let worker = t.worker("worker").await;
    expect_nothing(&t, &worker, &["w"]).await;
    let worker = worker.but(|c| c.application = "bank".into());
    assert_eq!(ids(&worker.claim(&["t"]).await), ["w"]);
}

async fn a_row_without_an_application_becomes_the_claimers(t: Context) {
    t.raw("w", |row| {
        row.application = None;
        row.executor = None;
        row.creator = None;
    })
    .await;
    let row = t.worker("worker").await.claim_one("t").await;
    assert_eq!(row.application.as_deref(), Some(make::APPLICATION));
    assert_eq!(row.executor, Some("worker".into()));
    assert_eq!(t.row("w").await, row);
}

async fn nothing_is_claimed_for_an_earlier_life(t: Context) {
    t.enqueued("w").await;
    let former = t.worker("worker").await;
    given(t.db.leave(&"worker".into()).await);
    let joined = given(t.db.join(&wanted("worker")).await);
    assert!(joined.incarnation > former.claimant.incarnation);
    expect_nothing(&t, &former, &["w"]).await;
    let present = former.but(|c| c.incarnation = joined.incarnation);
    assert_eq!(ids(&present.claim(&["t"]).await), ["w"]);

    t.enqueued("later").await;
    let elsewhere = WantedExecutor {
        given: false,
        ..wanted("worker")
    };
    let other = given(t.another_process().await.join(&elsewhere).await);
    assert_ne!(other.id, "worker".into());
    assert_eq!(
        ids(&present.claim(&["t2"]).await),
        ["later"],
        "another id's life is its own"
    );
}

async fn an_executor_that_never_joined_has_no_later_life(t: Context) {
    t.enqueued("w").await;
    let stranger = t
        .worker("worker")
        .await
        .but(|c| c.executor = "stranger".into());
    assert_eq!(ids(&stranger.claim(&["t"]).await), ["w"]);
}

async fn an_executor_that_can_run_nothing_claims_nothing(t: Context) {
    t.enqueued("w").await;
    let worker = t.worker("worker").await;
    let no_workflows = worker.but(|c| c.runnable = [].into());
    expect_nothing(&t, &no_workflows, &["w"]).await;
    let no_formats = worker.but(|c| c.formats = [].into());
    expect_nothing(&t, &no_formats, &["w"]).await;
    assert_eq!(t.status("w").await, Status::Enqueued);
}
