//! Hints: they may be lost, so here is only that they come at all when nothing goes wrong.

use durable_core::{db::Hint, state::INTERNAL_QUEUE};
use futures_util::{StreamExt, stream::BoxStream};

use super::{
    Context,
    context::given,
    make::{self, json, owner, stamp, success},
};

cases! { "hints":
    a_message_is_hinted_at,
    a_published_value_is_hinted_at,
    new_work_is_hinted_at,
    resumed_work_is_hinted_at,
    every_end_is_hinted_at,
    a_change_of_the_owner_is_hinted_at,
    what_another_process_does_is_hinted_at,
    every_subscriber_gets_the_hint,
}

/// Waits for this hint, or for one that does not say what changed.
async fn expect(t: &Context, hints: &mut BoxStream<'static, Hint>, expected: &Hint) {
    let patience = t.database.patience();
    let found = async {
        while let Some(hint) = hints.next().await {
            if hint == *expected || hint == Hint::Anything {
                return true;
            }
        }
        false
    };
    let found = tokio::time::timeout(patience, found).await;
    assert_eq!(found, Ok(true), "no {expected:?} within {patience:?}");
}

fn ended(id: &str) -> Hint {
    Hint::Workflow(id.into())
}

async fn a_message_is_hinted_at(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    t.running("w").await;
    let mut hints = t.db.hints();
    t.mail("m", "w", "news").await;
    expect(&t, &mut hints, &Hint::Message("w".into(), "news".into())).await;
}

async fn a_published_value_is_hinted_at(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    let owner = t.running("w").await;
    let mut hints = t.db.hints();
    given(
        t.db.set_event(&owner, "progress", &json("1"), &stamp(1, "DBOS.setEvent"))
            .await,
    );
    expect(&t, &mut hints, &Hint::Event("w".into(), "progress".into())).await;
}

async fn new_work_is_hinted_at(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    let mut hints = t.db.hints();
    t.enqueued("w").await;
    expect(&t, &mut hints, &Hint::Queue(make::QUEUE.into())).await;
}

async fn resumed_work_is_hinted_at(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    t.cancelled("w").await;
    let mut hints = t.db.hints();
    given(t.db.resume(&"w".into(), None).await);
    expect(&t, &mut hints, &Hint::Queue(INTERNAL_QUEUE.into())).await;
}

async fn every_end_is_hinted_at(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    for id in ["finished", "cancelled", "dead", "due"] {
        let owner = t.running(id).await;
        let mut hints = t.db.hints();
        match id {
            "finished" => t.finish(&owner, &success("1")).await,
            "cancelled" => t.cancel(id).await,
            "dead" => drop(given(t.db.dead_letter(&owner).await)),
            _ => {
                let now = t.now().await;
                t.raw(id, |row| row.deadline = Some(now)).await;
                given(t.db.expire_deadlines(make::APPLICATION, 9).await);
            }
        }
        expect(&t, &mut hints, &ended(id)).await;
    }
}

async fn a_change_of_the_owner_is_hinted_at(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    t.running("w").await;
    let worker = t.worker("survivor").await;
    let mut hints = t.db.hints();
    worker.adopt("w", Some("w:creator"), "new").await;
    expect(&t, &mut hints, &ended("w")).await;
}

async fn what_another_process_does_is_hinted_at(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    t.running("w").await;
    let other = t.another_process().await;
    let mut hints = other.hints();
    t.finish(&owner("w", make::creator("w")), &success("1"))
        .await;
    expect(&t, &mut hints, &ended("w")).await;
}

async fn every_subscriber_gets_the_hint(t: Context) {
    if !t.database.gives_hints() {
        return;
    }
    let mut first = t.db.hints();
    let mut second = t.db.hints();
    t.enqueued("w").await;
    let hint = Hint::Queue(make::QUEUE.into());
    expect(&t, &mut first, &hint).await;
    expect(&t, &mut second, &hint).await;
}
