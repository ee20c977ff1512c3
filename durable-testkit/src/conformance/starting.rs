//! Starts and enqueues: what row they make, and what an id that is taken means.

use std::time::Duration;

use durable_core::{
    db::{Existing, Inserted, NewWorkflow, Timing},
    ids::{OwnerToken, WorkflowKey},
    payload::Encoded,
    state::Status,
    time::Timestamp,
};

use super::{
    Context,
    context::{given, ids},
    make::{self, here, queued, queued_on, step, success},
};

cases! { "starting":
    a_direct_start_is_pending_and_owned_by_its_creator,
    an_enqueued_workflow_waits_without_an_owner,
    all_that_a_start_is_given_is_in_the_row,
    a_row_that_was_just_made_has_one_time,
    texts_are_kept_to_the_letter,
    an_unknown_workflow_is_none,
    an_id_that_is_taken_leaves_the_row_exactly_as_it_is,
    an_id_that_is_taken_leaves_payloads_and_steps_as_they_are,
    an_id_that_is_taken_tells_what_holds_it,
    an_id_that_ended_is_taken_too,
    the_same_creator_is_told_created_again,
    the_same_creator_is_told_created_after_the_end,
    a_row_without_a_creator_is_nobodys,
    enqueues_of_one_instant_are_in_order,
    a_direct_start_does_not_adopt_orphans,
    an_enqueue_does_not_adopt_orphans,
    another_process_sees_what_was_written,
    migrating_again_changes_nothing,
    the_clock_of_the_database_moves_on,
}

async fn a_direct_start_is_pending_and_owned_by_its_creator(t: Context) {
    t.running("w").await;
    let row = t.row("w").await;
    assert_eq!(row.status, Status::Pending);
    assert_eq!(row.attempts, 1);
    assert_eq!(row.owner, Some(make::creator("w")));
    assert_eq!(row.creator, Some(make::creator("w")));
    assert_eq!(row.queue, None);
}

async fn an_enqueued_workflow_waits_without_an_owner(t: Context) {
    t.enqueued("w").await;
    let row = t.row("w").await;
    assert_eq!(row.status, Status::Enqueued);
    assert_eq!(row.attempts, 0);
    assert_eq!(row.owner, None);
    assert_eq!(row.creator, Some(make::creator("w")));
    assert_eq!(row.queue.as_deref(), Some(make::QUEUE));
    assert_eq!(row.executor, Some(make::STARTER.into()), "who enqueued it");
}

async fn all_that_a_start_is_given_is_in_the_row(t: Context) {
    t.running("mother").await;
    let deadline = t.now().await.saturating_add(Duration::from_hours(1));
    let key = WorkflowKey {
        name: "ship".into(),
        class: Some("Shop".into()),
        config: Some("north".into()),
    };
    let full = NewWorkflow {
        key: key.clone(),
        parent: Some("mother".into()),
        version: Some("v7".into()),
        timing: Timing::Inherited(deadline),
        ..queued_on("full", "parcels", 12)
    };
    let expected = full.clone();
    t.insert(full).await;
    let row = t.row("full").await;
    assert_eq!(row, expected.into_row(row.created_at));

    let bare = NewWorkflow {
        version: None,
        timing: Timing::Timeout(90_000),
        ..here("bare")
    };
    let expected = bare.clone();
    t.insert(bare).await;
    let row = t.row("bare").await;
    assert_eq!(row, expected.into_row(row.created_at));
}

async fn a_row_that_was_just_made_has_one_time(t: Context) {
    let before = t.now().await;
    t.running("w").await;
    t.enqueued("q").await;
    let after = t.now().await.saturating_add(Duration::from_millis(1));
    for id in ["w", "q"] {
        let row = t.row(id).await;
        assert_eq!(row.created_at, row.updated_at);
        assert!(
            before <= row.created_at && row.created_at <= after,
            "{row:?}"
        );
        assert_eq!((row.started_at, row.completed_at), (None, None));
    }
}

async fn texts_are_kept_to_the_letter(t: Context) {
    let texts = [
        "",
        " ",
        "'\";--\\",
        "line\r\nbreak\t",
        "größe 🦀 \u{200b}",
        "null",
        "%_$1?",
    ];
    let worker = t.worker("worker").await;
    for (n, text) in texts.into_iter().enumerate() {
        let input = make::json(&text.repeat(if n == 4 { 20_000 } else { 1 }));
        let id = format!("id {text}.");
        let key = WorkflowKey::function(text);
        let queue = format!("queue {text}");
        let new = NewWorkflow {
            key: key.clone(),
            input: input.clone(),
            ..queued_on(&id, &queue, 0)
        };
        t.insert(new).await;
        let worker = worker.but(|claimant| claimant.runnable = [key.clone()].into());
        let claimed = worker.claim_from(&queue, &[&id]).await;
        assert_eq!(ids(&claimed), [id.as_str()]);
        assert_eq!(claimed[0].row.key, key);
        assert_eq!(claimed[0].row.owner, Some(OwnerToken::from(id)));
        assert_eq!(claimed[0].input, Some(input));
    }
}

async fn an_unknown_workflow_is_none(t: Context) {
    t.running("w").await;
    assert_eq!(t.find("W").await, None);
    assert_eq!(t.find("w ").await, None);
    assert_eq!(t.find("").await, None);
}

async fn an_id_that_is_taken_leaves_the_row_exactly_as_it_is(t: Context) {
    let first = NewWorkflow {
        timing: Timing::Timeout(60_000),
        ..queued("w")
    };
    t.insert(first).await;
    let before = t.seen("w").await;
    t.advance(5).await;
    let second = NewWorkflow {
        creator: "another call".into(),
        executor: "another".into(),
        version: Some("v2".into()),
        timing: Timing::Unbounded,
        ..here("w")
    };
    let inserted = given(t.db.insert_workflow(&second).await);
    assert!(matches!(inserted, Inserted::Exists(_)), "{inserted:?}");
    assert_eq!(t.seen("w").await, before);
}

async fn an_id_that_is_taken_leaves_payloads_and_steps_as_they_are(t: Context) {
    t.enqueued("w").await;
    let first = queued("w").input;
    let worker = t.worker("worker").await;
    let claimed = worker.claim(&["t"]).await;
    assert_eq!(claimed[0].input, Some(first.clone()));
    let owner = make::owner("w", "t");
    t.record(&owner, &step(1, "\"done\"")).await;
    t.finish(&owner, &success("7")).await;
    let before = t.seen("w").await;
    given(t.db.insert_workflow(&another("w")).await);
    assert_eq!(t.seen("w").await, before);

    t.running("running").await;
    given(t.db.insert_workflow(&another("running")).await);
    let found = given(t.db.claimed_by(&[make::creator("running")]).await);
    assert_eq!(found[0].input, Some(here("running").input));
}

/// A start with this id by somebody else, with other arguments.
fn another(id: &str) -> NewWorkflow {
    NewWorkflow {
        creator: "another call".into(),
        input: make::json("\"other arguments\""),
        ..here(id)
    }
}

async fn an_id_that_is_taken_tells_what_holds_it(t: Context) {
    let held = WorkflowKey {
        name: "ship".into(),
        class: Some("Shop".into()),
        config: Some("north".into()),
    };
    t.insert(NewWorkflow {
        key: held.clone(),
        ..queued("w")
    })
    .await;
    let existing = Existing {
        key: held.clone(),
        status: Status::Enqueued,
        queue: Some(make::QUEUE.to_owned()),
        parent: None,
    };
    let others = [
        held.clone(),
        WorkflowKey {
            name: "send".into(),
            ..held.clone()
        },
        WorkflowKey {
            class: None,
            ..held.clone()
        },
        WorkflowKey {
            config: Some("south".into()),
            ..held.clone()
        },
    ];
    for key in others {
        let inserted = given(
            t.db.insert_workflow(&NewWorkflow {
                key,
                ..another("w")
            })
            .await,
        );
        assert_eq!(inserted, Inserted::Exists(existing.clone()));
    }
}

async fn an_id_that_ended_is_taken_too(t: Context) {
    for id in t.one_of_each_status().await {
        let before = t.seen(&id).await;
        let row = t.row(&id).await;
        let inserted = given(t.db.insert_workflow(&another(&id)).await);
        let existing = Existing {
            key: row.key,
            status: row.status,
            queue: row.queue,
            parent: row.parent,
        };
        assert_eq!(inserted, Inserted::Exists(existing), "{id}");
        assert_eq!(t.seen(&id).await, before);
    }
}

async fn the_same_creator_is_told_created_again(t: Context) {
    let starts = [
        here("here"),
        queued("queued"),
        NewWorkflow {
            timing: Timing::Timeout(60_000),
            ..here("timed")
        },
        NewWorkflow {
            timing: Timing::Timeout(60_000),
            ..queued("timed later")
        },
    ];
    for new in starts {
        let first = given(t.db.insert_workflow(&new).await);
        let before = t.seen(new.id.as_str()).await;
        t.advance(5).await;
        let second = given(t.db.insert_workflow(&new).await);
        assert!(matches!(first, Inserted::Created { .. }), "{first:?}");
        assert_eq!(first, second, "the same answer, the deadline too");
        assert_eq!(t.seen(new.id.as_str()).await, before);
    }
}

async fn the_same_creator_is_told_created_after_the_end(t: Context) {
    t.finished("w").await;
    let before = t.seen("w").await;
    let again = given(t.db.insert_workflow(&here("w")).await);
    assert_eq!(again, Inserted::Created { deadline: None });
    assert_eq!(t.seen("w").await, before);
}

async fn a_row_without_a_creator_is_nobodys(t: Context) {
    t.raw("w", |row| row.creator = None).await;
    let inserted = given(t.db.insert_workflow(&queued("w")).await);
    assert!(matches!(inserted, Inserted::Exists(_)), "{inserted:?}");
}

async fn enqueues_of_one_instant_are_in_order(t: Context) {
    let mut last = Timestamp::from_millis(0);
    // Their ids are in no order, so that only the time can be what orders them.
    for n in [5, 3, 9, 1, 7, 0, 8, 2, 6, 4] {
        let id = format!("w{n}");
        t.enqueued(&id).await;
        let created = t.row(&id).await.created_at;
        assert!(
            created > last,
            "{id} is created at {created}, the one before at {last}"
        );
        last = created;
    }
}

/// Leaves input, outcome and a step of a workflow that is not there.
async fn orphans(t: &Context, id: &str) {
    let old = NewWorkflow {
        input: make::json("\"old arguments\""),
        creator: "old call".into(),
        ..here(id)
    };
    let owner = t.insert(old).await;
    t.record(&owner, &step(1, "\"old step\"")).await;
    t.record(&owner, &step(5, "\"old step\"")).await;
    t.finish(&owner, &success("\"old result\"")).await;
    t.database.delete_row(&id.into()).await;
    assert_eq!(t.find(id).await, None);
}

async fn a_direct_start_does_not_adopt_orphans(t: Context) {
    orphans(&t, "w").await;
    let owner = t.running("w").await;
    assert_eq!(t.steps("w").await, []);
    assert_eq!(t.ended("w").await, None);
    let found = given(t.db.claimed_by(&[make::creator("w")]).await);
    assert_eq!(found[0].input, Some(here("w").input));
    t.record(&owner, &step(1, "\"new\"")).await;
    t.finish(&owner, &make::failure("\"new\"")).await;
    let ended = durable_core::payload::Ended::Outcome(make::failure("\"new\""));
    assert_eq!(t.ended("w").await, Some(ended));
}

async fn an_enqueue_does_not_adopt_orphans(t: Context) {
    orphans(&t, "w").await;
    t.enqueued("w").await;
    assert_eq!(t.steps("w").await, []);
    let claimed = t.worker("worker").await.claim(&["t"]).await;
    let input: Option<Encoded> = claimed[0].input.clone();
    assert_eq!(input, Some(queued("w").input));
}

async fn another_process_sees_what_was_written(t: Context) {
    let owner = t.running("w").await;
    t.record(&owner, &step(1, "1")).await;
    let other = t.another_process().await;
    let row = given(other.workflow(&"w".into()).await);
    assert_eq!(row, Some(t.row("w").await));
    let history = given(other.histories(&["w".into()]).await);
    assert_eq!(history[0].steps, [step(1, "1")]);
}

async fn migrating_again_changes_nothing(t: Context) {
    let owner = t.running("w").await;
    t.record(&owner, &step(1, "1")).await;
    let before = t.seen("w").await;
    given(t.db.migrate().await);
    given(t.another_process().await.migrate().await);
    assert_eq!(t.seen("w").await, before);
}

async fn the_clock_of_the_database_moves_on(t: Context) {
    let before = t.now().await;
    t.advance(20).await;
    let after = t.now().await;
    assert!(
        after.since(before) >= Duration::from_millis(20),
        "{before} to {after}"
    );
    let other = given(t.another_process().await.now().await);
    assert!(other >= after, "all processes read one clock");
}
