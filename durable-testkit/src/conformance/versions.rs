//! Application versions, and what waits for other ones.

use durable_core::{
    db::{DbError, NewWorkflow, Unrunnable, VersionCount, WaitingCount},
    ids::WorkflowKey,
    state::Status,
};

use super::{
    Context,
    context::given,
    make::{self, here, queued, queued_on, success},
};

cases! { "versions":
    a_version_may_be_registered_again,
    a_version_name_belongs_to_one_application,
    what_waits_for_other_versions_is_counted,
    what_has_ended_waits_for_no_version,
    workflows_of_other_applications_are_not_stranded,
    what_a_claimant_cannot_run_is_counted_by_name_and_format,
    what_others_cannot_run_is_not_told,
    what_waits_is_counted_by_queue_and_version,
    what_runs_or_ended_or_is_another_applications_waits_on_no_queue,
}

async fn a_version_may_be_registered_again(t: Context) {
    for _ in 0..3 {
        given(t.db.register_version(make::APPLICATION, "v1").await);
    }
    let other = t.another_process().await;
    given(other.register_version(make::APPLICATION, "v1").await);
    given(other.register_version(make::APPLICATION, "v2").await);
}

async fn a_version_name_belongs_to_one_application(t: Context) {
    given(t.db.register_version("bank", "v1").await);
    let refused = t.db.register_version(make::APPLICATION, "v1").await;
    let Err(DbError::Refused(why)) = refused else {
        panic!("another application's version was registered: {refused:?}");
    };
    assert!(
        why.contains("v1") && why.contains("bank"),
        "it names both: {why}"
    );
    given(t.db.register_version("bank", "v1").await);
}

async fn insert_as(t: &Context, version: &str, new: NewWorkflow) {
    let version = Some(version.to_owned());
    t.insert(NewWorkflow { version, ..new }).await;
}

async fn what_waits_for_other_versions_is_counted(t: Context) {
    insert_as(&t, "v0", queued("a")).await;
    insert_as(&t, "v3", here("b")).await;
    insert_as(&t, "v3", queued("c")).await;
    insert_as(&t, "v3", queued("d")).await;
    t.raw("e", |row| {
        row.version = Some("v0".into());
        row.status = Status::Delayed;
    })
    .await;
    insert_as(&t, "v9", queued("f")).await;
    insert_as(&t, "v1", queued("own")).await;
    t.insert(NewWorkflow {
        version: None,
        ..queued("none")
    })
    .await;

    let stranded = given(t.db.stranded(make::APPLICATION, "v1").await);
    assert_eq!(stranded, [count("v3", 3), count("v0", 2), count("v9", 1)]);
    let stranded = given(t.db.stranded(make::APPLICATION, "v3").await);
    assert_eq!(stranded.len(), 3);
    assert_eq!(stranded[0], count("v0", 2));
}

fn count(version: &str, count: u64) -> VersionCount {
    VersionCount {
        version: version.to_owned(),
        count,
    }
}

async fn what_has_ended_waits_for_no_version(t: Context) {
    t.one_of_each_status().await;
    let stranded = given(t.db.stranded(make::APPLICATION, "v2").await);
    assert_eq!(stranded, [count("v1", 3)]);
    let owner = make::owner("pending", make::creator("pending"));
    t.finish(&owner, &success("1")).await;
    t.cancel("delayed").await;
    t.cancel("enqueued").await;
    assert_eq!(given(t.db.stranded(make::APPLICATION, "v2").await), []);
}

async fn workflows_of_other_applications_are_not_stranded(t: Context) {
    let application = "bank".to_owned();
    t.insert(NewWorkflow {
        application,
        ..queued("w")
    })
    .await;
    assert_eq!(given(t.db.stranded(make::APPLICATION, "v2").await), []);
    assert_eq!(given(t.db.stranded("bank", "v2").await), [count("v1", 1)]);
}

fn unrunnable(key: WorkflowKey, format: &str, count: u64) -> Unrunnable {
    Unrunnable {
        key,
        format: Some(format.into()),
        count,
    }
}

async fn what_a_claimant_cannot_run_is_counted_by_name_and_format(t: Context) {
    let other = WorkflowKey::function("other");
    let method = WorkflowKey {
        class: Some("Shop".to_owned()),
        ..WorkflowKey::function("work")
    };
    for id in ["a", "b", "c"] {
        let key = other.clone();
        t.insert(NewWorkflow { key, ..queued(id) }).await;
    }
    let key = method.clone();
    t.insert(NewWorkflow { key, ..here("d") }).await;
    for (id, status) in [("e", Status::Delayed), ("f", Status::Pending)] {
        t.raw(id, |row| {
            row.status = status;
            row.version = None;
            row.format = Some("py_pickle".into());
        })
        .await;
    }
    t.insert(queued("runnable")).await;
    t.insert(here("running")).await;

    let claimant = t.worker("worker").await.claimant;
    let found = given(t.db.unrunnable(&claimant).await);
    let expected = [
        unrunnable(other, make::FORMAT, 3),
        unrunnable(WorkflowKey::function("work"), "py_pickle", 2),
        unrunnable(method, make::FORMAT, 1),
    ];
    assert_eq!(found, expected);
}

async fn what_others_cannot_run_is_not_told(t: Context) {
    let key = WorkflowKey::function("other");
    let other = |id: &str| NewWorkflow {
        key: key.clone(),
        ..queued(id)
    };
    let application = "bank".to_owned();
    t.insert(NewWorkflow {
        application,
        ..other("of another application")
    })
    .await;
    insert_as(&t, "v9", other("of another version")).await;
    t.insert(other("ended")).await;
    t.cancel("ended").await;
    let claimant = t.worker("worker").await.claimant;
    assert_eq!(given(t.db.unrunnable(&claimant).await), []);
}

fn waiting(queue: &str, version: Option<&str>, count: u64) -> WaitingCount {
    WaitingCount {
        queue: queue.to_owned(),
        version: version.map(str::to_owned),
        count,
    }
}

async fn what_waits_is_counted_by_queue_and_version(t: Context) {
    let told = async || given(t.db.waiting(make::APPLICATION).await);
    assert_eq!(told().await, []);
    for (id, queue, version) in [
        ("a", "mail", "v1"),
        ("b", "mail", "v2"),
        ("c", "größe", "v1"),
        ("d", "mail", "v1"),
        ("e", "Mail", "v1"),
    ] {
        insert_as(&t, version, queued_on(id, queue, 0)).await;
    }
    t.insert(NewWorkflow {
        version: None,
        ..queued_on("f", "mail", 0)
    })
    .await;
    t.raw("g", |row| {
        row.queue = Some("größe".into());
        row.version = Some("v1".into());
        row.status = Status::Delayed;
    })
    .await;
    assert_eq!(
        told().await,
        [
            waiting("größe", Some("v1"), 2),
            waiting("mail", Some("v1"), 2),
            waiting("Mail", Some("v1"), 1),
            waiting("mail", None, 1),
            waiting("mail", Some("v2"), 1),
        ]
    );
}

async fn what_runs_or_ended_or_is_another_applications_waits_on_no_queue(t: Context) {
    t.insert(here("runs")).await;
    t.enqueued("claimed").await;
    t.worker("worker").await.claim_one("t").await;
    t.enqueued("cancelled").await;
    t.cancel("cancelled").await;
    t.insert(NewWorkflow {
        application: "bank".into(),
        ..queued("elsewhere")
    })
    .await;
    assert_eq!(given(t.db.waiting(make::APPLICATION).await), []);
    let there = given(t.db.waiting("bank").await);
    assert_eq!(there.len(), 1);
}
