//! Published values.

use durable_core::{
    db::{Recorded, StepResult},
    ids::Owner,
    payload::Encoded,
};

use super::{
    Context,
    context::given,
    make::{json, stamp, step, success},
};

cases! { "events":
    a_published_value_is_read_by_all,
    a_value_keeps_its_text_and_its_format,
    what_was_not_published_is_none,
    a_value_published_again_replaces_the_last,
    keys_and_workflows_are_kept_apart,
    a_publication_and_its_step_are_one,
    a_publication_asked_again_does_not_bring_an_old_value_back,
    nothing_is_published_under_a_number_that_is_taken,
    a_keys_history_holds_each_value_under_its_step,
    a_value_outlives_the_workflows_end,
    a_deleted_workflow_has_published_nothing,
}

async fn set(t: &Context, owner: &Owner, key: &str, value: &Encoded, number: i32) {
    let recorded =
        t.db.set_event(owner, key, value, &stamp(number, "DBOS.setEvent"))
            .await;
    assert_eq!(given(recorded), Recorded::Written);
}

async fn a_published_value_is_read_by_all(t: Context) {
    let owner = t.running("w").await;
    set(&t, &owner, "progress", &json("1"), 1).await;
    assert_eq!(t.event("w", "progress").await, Some(json("1")));
    let other = t.another_process().await;
    let read = given(other.event(&"w".into(), "progress").await);
    assert_eq!(read, Some(json("1")));
}

async fn a_value_keeps_its_text_and_its_format(t: Context) {
    let owner = t.running("w").await;
    let values = [
        json(""),
        json("null"),
        json(&"größe 🦀 '\"".repeat(5_000)),
        Encoded::new("gAROLg==", "py_pickle"),
        Encoded {
            text: "x".into(),
            format: None,
        },
    ];
    for (n, value) in (1..).zip(values) {
        set(&t, &owner, "progress", &value, n).await;
        assert_eq!(t.event("w", "progress").await, Some(value));
    }
}

async fn what_was_not_published_is_none(t: Context) {
    let owner = t.running("w").await;
    set(&t, &owner, "progress", &json("1"), 1).await;
    assert_eq!(t.event("w", "Progress").await, None);
    assert_eq!(t.event("w", "").await, None);
    assert_eq!(t.event("nowhere", "progress").await, None);
}

async fn a_value_published_again_replaces_the_last(t: Context) {
    let owner = t.running("w").await;
    for (n, value) in (1..).zip(["1", "2", "1"]) {
        set(&t, &owner, "progress", &json(value), n).await;
        assert_eq!(t.event("w", "progress").await, Some(json(value)));
    }
}

async fn keys_and_workflows_are_kept_apart(t: Context) {
    let a = t.running("a").await;
    let b = t.running("b").await;
    set(&t, &a, "progress", &json("1"), 1).await;
    set(&t, &a, "other", &json("2"), 2).await;
    set(&t, &b, "progress", &json("3"), 1).await;
    set(&t, &b, "", &json("4"), 2).await;
    assert_eq!(t.event("a", "progress").await, Some(json("1")));
    assert_eq!(t.event("a", "other").await, Some(json("2")));
    assert_eq!(t.event("b", "progress").await, Some(json("3")));
    assert_eq!(t.event("b", "").await, Some(json("4")));
    assert_eq!(t.event("b", "other").await, None);
}

async fn a_publication_and_its_step_are_one(t: Context) {
    let owner = t.running("w").await;
    set(&t, &owner, "progress", &json("1"), 3).await;
    let record = stamp(3, "DBOS.setEvent").record(StepResult::Nothing, None);
    assert_eq!(t.steps("w").await, [record]);
}

async fn a_publication_asked_again_does_not_bring_an_old_value_back(t: Context) {
    let owner = t.running("w").await;
    set(&t, &owner, "progress", &json("1"), 1).await;
    set(&t, &owner, "progress", &json("1"), 1).await;
    set(&t, &owner, "progress", &json("2"), 2).await;
    set(&t, &owner, "progress", &json("1"), 1).await;
    assert_eq!(t.event("w", "progress").await, Some(json("2")));
    assert_eq!(t.steps("w").await.len(), 2);
}

async fn nothing_is_published_under_a_number_that_is_taken(t: Context) {
    let owner = t.running("w").await;
    t.record(&owner, &step(1, "1")).await;
    let before = t.seen("w").await;
    let recorded =
        t.db.set_event(&owner, "progress", &json("1"), &stamp(1, "DBOS.setEvent"))
            .await;
    assert_eq!(given(recorded), Recorded::Conflict(Box::new(step(1, "1"))));
    assert_eq!(t.seen("w").await, before);
    assert_eq!(t.database.event_history(&"w".into(), "progress").await, []);
}

async fn a_keys_history_holds_each_value_under_its_step(t: Context) {
    let owner = t.running("w").await;
    set(&t, &owner, "progress", &json("1"), 2).await;
    set(&t, &owner, "other", &json("2"), 3).await;
    set(&t, &owner, "progress", &json("3"), 10).await;
    set(&t, &owner, "progress", &json("1"), 2).await;
    let history = t.database.event_history(&"w".into(), "progress").await;
    assert_eq!(history, [(2, json("1")), (10, json("3"))]);
    let history = t.database.event_history(&"w".into(), "other").await;
    assert_eq!(history, [(3, json("2"))]);
}

async fn a_value_outlives_the_workflows_end(t: Context) {
    let owner = t.running("w").await;
    set(&t, &owner, "progress", &json("1"), 1).await;
    t.finish(&owner, &success("2")).await;
    assert_eq!(t.event("w", "progress").await, Some(json("1")));
}

async fn a_deleted_workflow_has_published_nothing(t: Context) {
    let owner = t.running("w").await;
    set(&t, &owner, "progress", &json("1"), 1).await;
    t.database.delete_row(&"w".into()).await;
    assert_eq!(t.event("w", "progress").await, None);
    t.running("w").await;
    assert_eq!(t.event("w", "progress").await, None);
}
