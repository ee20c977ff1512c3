//! Children: a child and its parent's step are one.

use std::time::Duration;

use durable_core::{
    db::{ChildInserted, Existing, Inserted, NewWorkflow, StepResult, Timing},
    ids::WorkflowKey,
    state::Status,
};

use super::{
    Context,
    context::given,
    make::{self, here, json, queued, stamp, step, success},
};

cases! { "children":
    a_child_and_its_parents_step_are_one,
    a_child_may_go_on_a_queue,
    a_child_asked_again_is_there_once,
    a_child_asked_again_after_its_end_is_created,
    an_existing_workflow_of_the_same_kind_is_attached_and_recorded,
    an_attachment_asked_again_is_recorded_once,
    a_workflow_of_another_kind_is_not_recorded,
    the_id_that_a_child_gets_by_itself_is_its_parents_alone,
    a_child_has_its_parents_deadline,
    a_child_does_not_adopt_orphans,
    a_child_is_not_inserted_under_a_number_that_is_taken,
    a_childs_end_leaves_its_parent_alone,
}

fn created() -> ChildInserted {
    ChildInserted::Done(Inserted::Created { deadline: None })
}

/// The child "child" of "w".
fn child() -> NewWorkflow {
    NewWorkflow {
        parent: Some("w".into()),
        ..here("child")
    }
}

async fn a_child_and_its_parents_step_are_one(t: Context) {
    let parent = t.running("w").await;
    let stamp = stamp(3, "work");
    let inserted = given(t.db.insert_child(&child(), &parent, &stamp).await);
    assert_eq!(inserted, created());
    let record = stamp.record(StepResult::Nothing, Some("child".into()));
    assert_eq!(t.steps("w").await, [record]);
    let row = t.row("child").await;
    assert_eq!(row.status, Status::Pending);
    assert_eq!(row.parent, Some("w".into()));
    assert_eq!(row.owner, Some(make::creator("child")));
    let found = given(t.db.claimed_by(&[make::creator("child")]).await);
    assert_eq!(found[0].input, Some(child().input));
}

async fn a_child_may_go_on_a_queue(t: Context) {
    let parent = t.running("w").await;
    let child = NewWorkflow {
        parent: Some("w".into()),
        ..queued("child")
    };
    let inserted = given(t.db.insert_child(&child, &parent, &stamp(1, "work")).await);
    assert_eq!(inserted, created());
    assert_eq!(t.row("child").await.status, Status::Enqueued);
    let claimed = t.worker("worker").await.claim(&["t"]).await;
    assert_eq!(claimed[0].row.parent, Some("w".into()));
    assert_eq!(claimed[0].input, Some(child.input));
    assert_eq!(t.steps("w").await.len(), 1);
}

async fn a_child_asked_again_is_there_once(t: Context) {
    let parent = t.running("w").await;
    let stamp = stamp(1, "work");
    given(t.db.insert_child(&child(), &parent, &stamp).await);
    let (of_parent, of_child) = (t.seen("w").await, t.seen("child").await);
    t.advance(5).await;
    let again = given(t.db.insert_child(&child(), &parent, &stamp).await);
    assert_eq!(again, created());
    assert_eq!(t.seen("w").await, of_parent);
    assert_eq!(t.seen("child").await, of_child);
}

async fn a_child_asked_again_after_its_end_is_created(t: Context) {
    let parent = t.running("w").await;
    let stamp = stamp(1, "work");
    given(t.db.insert_child(&child(), &parent, &stamp).await);
    let child_owner = make::owner("child", make::creator("child"));
    t.record(&child_owner, &step(1, "1")).await;
    t.finish(&child_owner, &success("2")).await;
    let before = t.seen("child").await;
    let again = given(t.db.insert_child(&child(), &parent, &stamp).await);
    assert_eq!(again, created());
    assert_eq!(t.seen("child").await, before);
}

async fn an_existing_workflow_of_the_same_kind_is_attached_and_recorded(t: Context) {
    t.finished("child").await;
    let before = t.seen("child").await;
    let parent = t.running("w").await;
    let stamp = stamp(1, "work");
    let inserted =
        t.db.insert_child(&by_another(child()), &parent, &stamp)
            .await;
    let existing = Existing {
        key: WorkflowKey::function("work"),
        status: Status::Success,
        queue: None,
        parent: None,
    };
    assert_eq!(
        given(inserted),
        ChildInserted::Done(Inserted::Exists(existing))
    );
    let record = stamp.record(StepResult::Nothing, Some("child".into()));
    assert_eq!(t.steps("w").await, [record]);
    assert_eq!(t.seen("child").await, before);
}

fn by_another(new: NewWorkflow) -> NewWorkflow {
    NewWorkflow {
        creator: "another call".into(),
        input: json("\"other arguments\""),
        ..new
    }
}

async fn an_attachment_asked_again_is_recorded_once(t: Context) {
    t.running("child").await;
    let parent = t.running("w").await;
    let stamp = stamp(1, "work");
    let new = by_another(child());
    let first = given(t.db.insert_child(&new, &parent, &stamp).await);
    let before = t.seen("w").await;
    let again = given(t.db.insert_child(&new, &parent, &stamp).await);
    assert_eq!(first, again);
    assert_eq!(t.seen("w").await, before);
}

async fn a_workflow_of_another_kind_is_not_recorded(t: Context) {
    t.running("child").await;
    let parent = t.running("w").await;
    let (of_parent, of_child) = (t.seen("w").await, t.seen("child").await);
    let held = WorkflowKey::function("work");
    let existing = Existing {
        key: held.clone(),
        status: Status::Pending,
        queue: None,
        parent: None,
    };
    let others = [
        WorkflowKey::function("other"),
        WorkflowKey {
            class: Some("Shop".into()),
            ..held.clone()
        },
        WorkflowKey {
            config: Some("north".into()),
            ..held
        },
    ];
    for key in others {
        let new = NewWorkflow {
            key,
            ..by_another(child())
        };
        for _ in 0..2 {
            let inserted = given(t.db.insert_child(&new, &parent, &stamp(1, "other")).await);
            assert_eq!(
                inserted,
                ChildInserted::Done(Inserted::Exists(existing.clone()))
            );
        }
    }
    assert_eq!(t.seen("w").await, of_parent);
    assert_eq!(t.seen("child").await, of_child);
}

async fn the_id_that_a_child_gets_by_itself_is_its_parents_alone(t: Context) {
    t.running("w-1").await;
    let parent = t.running("w").await;
    let new = NewWorkflow {
        parent: Some("w".into()),
        ..by_another(here("w-1"))
    };
    let (of_parent, of_other) = (t.seen("w").await, t.seen("w-1").await);
    let existing = Existing {
        key: WorkflowKey::function("work"),
        status: Status::Pending,
        queue: None,
        parent: None,
    };
    for _ in 0..2 {
        let inserted = given(t.db.insert_child(&new, &parent, &stamp(1, "work")).await);
        let existing = existing.clone();
        assert_eq!(inserted, ChildInserted::Done(Inserted::Exists(existing)));
    }
    assert_eq!(t.seen("w").await, of_parent);
    assert_eq!(t.seen("w-1").await, of_other);
    // As another operation's child it is one by an id that was chosen.
    given(t.db.insert_child(&new, &parent, &stamp(2, "work")).await);
    assert_eq!(t.steps("w").await.len(), 1);
    // A child of an earlier execution is this workflow's own.
    let own = NewWorkflow {
        parent: Some("w".into()),
        ..here("w-3")
    };
    given(t.db.insert_child(&own, &parent, &stamp(4, "work")).await);
    let again = given(
        t.db.insert_child(&by_another(own), &parent, &stamp(3, "work"))
            .await,
    );
    let existing = Existing {
        parent: Some("w".into()),
        ..existing
    };
    assert_eq!(again, ChildInserted::Done(Inserted::Exists(existing)));
    assert_eq!(t.steps("w").await.len(), 3);
}

async fn a_child_has_its_parents_deadline(t: Context) {
    let parent = t.running("w").await;
    let deadline = t.now().await.saturating_add(Duration::from_hours(1));
    for (n, new) in [(1, here("here")), (2, queued("queued"))] {
        let new = NewWorkflow {
            timing: Timing::Inherited(deadline),
            ..new
        };
        let inserted = given(t.db.insert_child(&new, &parent, &stamp(n, "work")).await);
        let deadline = Some(deadline);
        assert_eq!(
            inserted,
            ChildInserted::Done(Inserted::Created { deadline })
        );
        let row = t.row(new.id.as_str()).await;
        assert_eq!((row.deadline, row.timeout_ms), (deadline, None));
    }
}

async fn a_child_does_not_adopt_orphans(t: Context) {
    let old = t.insert(by_another(here("child"))).await;
    t.record(&old, &step(1, "\"old\"")).await;
    t.finish(&old, &success("\"old\"")).await;
    t.database.delete_row(&"child".into()).await;
    let parent = t.running("w").await;
    given(
        t.db.insert_child(&child(), &parent, &stamp(1, "work"))
            .await,
    );
    assert_eq!(t.steps("child").await, []);
    assert_eq!(t.ended("child").await, None);
    let found = given(t.db.claimed_by(&[make::creator("child")]).await);
    assert_eq!(found[0].input, Some(child().input));
}

async fn a_child_is_not_inserted_under_a_number_that_is_taken(t: Context) {
    let parent = t.running("w").await;
    t.record(&parent, &step(1, "1")).await;
    let before = t.seen("w").await;
    let inserted =
        t.db.insert_child(&child(), &parent, &stamp(1, "work"))
            .await;
    assert!(
        inserted.is_err(),
        "one commit holds both or neither: {inserted:?}"
    );
    assert_eq!(t.find("child").await, None);
    assert_eq!(t.seen("w").await, before);
}

async fn a_childs_end_leaves_its_parent_alone(t: Context) {
    let parent = t.running("w").await;
    given(
        t.db.insert_child(&child(), &parent, &stamp(1, "work"))
            .await,
    );
    let before = t.seen("w").await;
    t.cancel("child").await;
    assert_eq!(t.seen("w").await, before);
    t.finish(&parent, &success("1")).await;
    assert_eq!(t.status("child").await, Status::Cancelled);
}
