//! Taking over and putting back what the dead left, each fenced by the token that was read.

use durable_core::{
    db::{Abandoned, NewWorkflow, Timing},
    state::{Status, WorkflowRow},
};

use super::{
    Context,
    context::{Worker, adoption, given, ids, wanted},
    make::{self, here, owner, queued, queued_on},
};

cases! { "recovery":
    an_adoption_changes_the_owner_and_counts,
    an_adoption_gives_the_row_and_the_input,
    an_adopted_workflow_is_not_adopted_with_the_old_token,
    only_what_still_holds_the_token_is_adopted,
    what_is_not_pending_is_not_adopted,
    a_row_without_an_owner_is_adopted_as_such,
    each_adoption_gets_its_own_token,
    nothing_is_adopted_for_an_earlier_life,
    an_adoption_whose_answer_was_lost_is_found,
    of_two_adoptions_of_one_workflow_the_first_counts,
    an_adoption_of_nothing_is_nothing,
    a_requeue_puts_a_claimed_workflow_back,
    a_requeued_workflow_is_claimed_before_younger_ones,
    a_requeue_is_fenced_by_the_token,
    a_requeue_by_two_tokens_goes_by_the_one_that_is_held,
    a_requeue_asked_again_changes_nothing,
    a_direct_start_is_not_requeued,
    nothing_is_requeued_for_an_earlier_life,
}

async fn an_adoption_changes_the_owner_and_counts(t: Context) {
    let timed = NewWorkflow {
        timing: Timing::Timeout(60_000),
        ..here("direct")
    };
    t.insert(timed).await;
    t.enqueued("claimed").await;
    t.worker("claimer").await.claim_one("t").await;
    t.advance(5).await;
    let worker = t.worker("survivor").await;
    for (id, held) in [("direct", "direct:creator"), ("claimed", "t")] {
        let before = t.row(id).await;
        let token = format!("{id} anew");
        let adopted = worker.adopt(id, Some(held), &token).await;
        let expected = WorkflowRow {
            owner: Some(token.into()),
            executor: Some("survivor".into()),
            attempts: 2,
            updated_at: adopted[0].row.updated_at,
            ..before.clone()
        };
        assert_eq!(adopted[0].row, expected);
        assert!(expected.updated_at > before.updated_at);
    }
}

async fn an_adoption_gives_the_row_and_the_input(t: Context) {
    t.running("w").await;
    let adopted = t
        .worker("survivor")
        .await
        .adopt("w", Some("w:creator"), "new")
        .await;
    assert_eq!(ids(&adopted), ["w"]);
    assert_eq!(adopted[0].row, t.row("w").await);
    assert_eq!(adopted[0].input, Some(here("w").input));
}

async fn an_adopted_workflow_is_not_adopted_with_the_old_token(t: Context) {
    t.running("w").await;
    let first = t.worker("first").await;
    let second = t.worker("second").await;
    assert_eq!(first.adopt("w", Some("w:creator"), "one").await.len(), 1);
    let before = t.seen("w").await;
    t.advance(5).await;
    assert_eq!(second.adopt("w", Some("w:creator"), "two").await, []);
    assert_eq!(t.seen("w").await, before);
    assert_eq!(second.adopt("w", Some("one"), "three").await.len(), 1);
    assert_eq!(t.row("w").await.attempts, 3);
}

async fn only_what_still_holds_the_token_is_adopted(t: Context) {
    for id in ["a", "b", "c"] {
        t.running(id).await;
    }
    let before = [t.seen("a").await, t.seen("c").await];
    let worker = t.worker("survivor").await;
    let adoptions = [
        adoption("a", Some("b:creator"), "t1"),
        adoption("b", Some("b:creator"), "t2"),
        adoption("c", None, "t3"),
        adoption("nowhere", Some("c:creator"), "t4"),
    ];
    let adopted = given(t.db.adopt(&worker.claimant, &adoptions).await);
    assert_eq!(ids(&adopted), ["b"]);
    assert_eq!(t.row("b").await.owner, Some("t2".into()));
    assert_eq!([t.seen("a").await, t.seen("c").await], before);
    assert_eq!(t.find("nowhere").await, None);
}

async fn what_is_not_pending_is_not_adopted(t: Context) {
    let worker = t.worker("survivor").await;
    for status in Status::ALL {
        let id = status.as_str();
        t.raw(id, |row| {
            row.status = status;
            row.owner = Some("t".into());
        })
        .await;
        let before = t.row(id).await;
        let adopted = worker.adopt(id, Some("t"), "new").await;
        assert_eq!(
            adopted.len(),
            usize::from(status == Status::Pending),
            "{id}"
        );
        assert_eq!(t.row(id).await == before, status != Status::Pending, "{id}");
    }
}

async fn a_row_without_an_owner_is_adopted_as_such(t: Context) {
    t.raw("w", |row| row.status = Status::Pending).await;
    let worker = t.worker("survivor").await;
    assert_eq!(worker.adopt("w", Some("t"), "new").await, []);
    assert_eq!(worker.adopt("w", Some(""), "new").await, []);
    assert_eq!(ids(&worker.adopt("w", None, "new").await), ["w"]);
    assert_eq!(worker.adopt("w", None, "newer").await, []);
    assert_eq!(t.row("w").await.owner, Some("new".into()));
}

async fn each_adoption_gets_its_own_token(t: Context) {
    let mut adoptions = Vec::new();
    for n in [3, 1, 2] {
        let id = format!("w{n}");
        let held = t.running(&id).await.token;
        adoptions.push(adoption(&id, Some(held.as_str()), &format!("token {id}")));
    }
    let worker = t.worker("survivor").await;
    let adopted = given(t.db.adopt(&worker.claimant, &adoptions).await);
    assert_eq!(adopted.len(), 3);
    for one in adopted {
        let id = one.row.id;
        assert_eq!(one.row.owner, Some(format!("token {id}").into()));
        assert_eq!(one.input, Some(here(id.as_str()).input));
    }
}

async fn of_two_adoptions_of_one_workflow_the_first_counts(t: Context) {
    let held = t.running("w").await.token;
    let worker = t.worker("survivor").await;
    let adoptions = [
        adoption("w", Some(held.as_str()), "first"),
        adoption("w", Some("first"), "second"),
    ];
    let adopted = given(t.db.adopt(&worker.claimant, &adoptions).await);
    assert_eq!(ids(&adopted), ["w"]);
    assert_eq!(t.row("w").await.owner, Some("first".into()));
    let adoptions = [
        adoption("w", Some("another"), "third"),
        adoption("w", Some("first"), "fourth"),
    ];
    assert_eq!(given(t.db.adopt(&worker.claimant, &adoptions).await), []);
}

/// A worker, and the same executor in its life before.
async fn two_lives(t: &Context) -> (Worker, Worker) {
    let former = t.worker("worker").await;
    given(t.db.leave(&"worker".into()).await);
    let joined = given(t.db.join(&wanted("worker")).await);
    let present = former.but(|c| c.incarnation = joined.incarnation);
    (former, present)
}

async fn nothing_is_adopted_for_an_earlier_life(t: Context) {
    t.running("w").await;
    let (former, present) = two_lives(&t).await;
    let before = t.seen("w").await;
    assert_eq!(former.adopt("w", Some("w:creator"), "late").await, []);
    assert_eq!(t.seen("w").await, before);
    assert_eq!(
        ids(&present.adopt("w", Some("w:creator"), "new").await),
        ["w"]
    );
}

async fn an_adoption_whose_answer_was_lost_is_found(t: Context) {
    t.running("a").await;
    t.running("b").await;
    let worker = t.worker("survivor").await;
    let adopted = worker.adopt("a", Some("a:creator"), "new a").await;
    let found = given(t.db.claimed_by(&["new a".into(), "new b".into()]).await);
    assert_eq!(found, adopted);
    assert_eq!(
        worker.adopt("a", Some("a:creator"), "new a").await,
        [],
        "asking again gives it to nobody"
    );
}

async fn an_adoption_of_nothing_is_nothing(t: Context) {
    t.running("w").await;
    let before = t.seen("w").await;
    let worker = t.worker("survivor").await;
    assert_eq!(given(t.db.adopt(&worker.claimant, &[]).await), []);
    assert_eq!(given(t.db.requeue(&worker.claimant, &[]).await), []);
    assert_eq!(t.seen("w").await, before);
}

/// A workflow of the queue "orders", held under this token.
fn held(id: &str, token: &str) -> Abandoned {
    Abandoned {
        workflow: id.into(),
        executor: "gone".into(),
        held: Some(token.into()),
        queue: Some(make::QUEUE.to_owned()),
    }
}

/// Claims all that waits on "orders" for an executor "gone" that leaves; the tokens are the ids.
async fn claim_and_leave(t: &Context, all: &[&str]) {
    let claimer = t.worker("gone").await;
    assert_eq!(ids(&claimer.claim(all).await), all);
    given(t.db.leave(&"gone".into()).await);
}

async fn a_requeue_puts_a_claimed_workflow_back(t: Context) {
    let timed = NewWorkflow {
        timing: Timing::Timeout(60_000),
        ..queued_on("w", make::QUEUE, 3)
    };
    t.insert(timed).await;
    claim_and_leave(&t, &["w"]).await;
    let before = t.row("w").await;
    t.advance(5).await;
    let worker = t.worker("survivor").await;
    let back = given(t.db.requeue(&worker.claimant, &[held("w", "w")]).await);
    assert_eq!(back, ["w".into()]);
    let row = t.row("w").await;
    let expected = WorkflowRow {
        status: Status::Enqueued,
        owner: None,
        started_at: None,
        updated_at: row.updated_at,
        ..before.clone()
    };
    assert_eq!(row, expected, "attempts, deadline and place stay");
    assert!(row.updated_at > before.updated_at);

    let again = worker.claim_one("t").await;
    assert_eq!((again.attempts, again.deadline), (2, before.deadline));
}

async fn a_requeued_workflow_is_claimed_before_younger_ones(t: Context) {
    t.raw("old", |row| row.deduplication_id = Some("order-7".into()))
        .await;
    claim_and_leave(&t, &["old"]).await;
    t.advance(5).await;
    t.enqueued("young").await;
    let worker = t.worker("survivor").await;
    given(t.db.requeue(&worker.claimant, &[held("old", "old")]).await);
    let row = t.row("old").await;
    assert_eq!(row.deduplication_id.as_deref(), Some("order-7"));
    assert_eq!(ids(&worker.claim(&["t1", "t2"]).await), ["old", "young"]);
}

async fn a_requeue_is_fenced_by_the_token(t: Context) {
    let all = ["a", "b", "cancelled", "finished", "taken"];
    for id in all {
        t.enqueued(id).await;
    }
    claim_and_leave(&t, &all).await;
    t.cancel("cancelled").await;
    t.finish(&owner("finished", "finished"), &make::success("1"))
        .await;
    let worker = t.worker("survivor").await;
    worker.adopt("taken", Some("taken"), "new").await;
    let mut before = Vec::new();
    for id in &all[1..] {
        before.push(t.seen(id).await);
    }
    let asked = [
        held("a", "a"),
        held("b", "another"),
        Abandoned {
            held: None,
            ..held("b", "b")
        },
        held("cancelled", "cancelled"),
        held("finished", "finished"),
        held("taken", "taken"),
        held("nowhere", "nowhere"),
    ];
    let back = given(t.db.requeue(&worker.claimant, &asked).await);
    assert_eq!(back, ["a".into()]);
    for (id, before) in all[1..].iter().zip(before) {
        assert_eq!(t.seen(id).await, before);
    }
}

async fn a_requeue_by_two_tokens_goes_by_the_one_that_is_held(t: Context) {
    for id in ["a", "b"] {
        t.enqueued(id).await;
    }
    claim_and_leave(&t, &["a", "b"]).await;
    let worker = t.worker("survivor").await;
    let asked = [
        held("a", "a"),
        held("a", "old"),
        held("b", "old"),
        held("b", "b"),
    ];
    let back = given(t.db.requeue(&worker.claimant, &asked).await);
    assert_eq!(back, ["a".into(), "b".into()]);
}

async fn a_requeue_asked_again_changes_nothing(t: Context) {
    t.enqueued("w").await;
    claim_and_leave(&t, &["w"]).await;
    let worker = t.worker("survivor").await;
    given(t.db.requeue(&worker.claimant, &[held("w", "w")]).await);
    let before = t.seen("w").await;
    t.advance(5).await;
    given(t.db.requeue(&worker.claimant, &[held("w", "w")]).await);
    assert_eq!(t.seen("w").await, before);
    worker.claim_one("t").await;
    let before = t.seen("w").await;
    assert_eq!(
        given(t.db.requeue(&worker.claimant, &[held("w", "w")]).await),
        []
    );
    assert_eq!(t.seen("w").await, before);
}

async fn a_direct_start_is_not_requeued(t: Context) {
    t.running("w").await;
    let before = t.seen("w").await;
    let worker = t.worker("survivor").await;
    let direct = Abandoned {
        queue: None,
        ..held("w", "w:creator")
    };
    for asked in [direct, held("w", "w:creator")] {
        assert_eq!(given(t.db.requeue(&worker.claimant, &[asked]).await), []);
    }
    assert_eq!(t.seen("w").await, before);
    assert_eq!(worker.claim(&["t"]).await, []);
}

async fn nothing_is_requeued_for_an_earlier_life(t: Context) {
    t.insert(queued("w")).await;
    claim_and_leave(&t, &["w"]).await;
    let (former, present) = two_lives(&t).await;
    let before = t.seen("w").await;
    assert_eq!(
        given(t.db.requeue(&former.claimant, &[held("w", "w")]).await),
        []
    );
    assert_eq!(t.seen("w").await, before);
    let back = given(t.db.requeue(&present.claimant, &[held("w", "w")]).await);
    assert_eq!(back, ["w".into()]);
    assert_eq!(given(t.db.claimed_by(&["w".into()]).await), []);
}
