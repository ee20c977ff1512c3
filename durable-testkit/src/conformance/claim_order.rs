//! The order of claims: most urgent first, then oldest, then by id.

use durable_core::time::Timestamp;

use super::{
    Context,
    context::{given, ids},
    make::{self, queued_on},
};

cases! { "claims":
    the_oldest_is_claimed_first,
    the_most_urgent_is_claimed_first,
    the_id_decides_between_equals,
    a_resumed_workflow_keeps_its_age,
    order_does_not_depend_on_the_length_of_a_claim,
    what_cannot_be_claimed_does_not_hold_up_what_can,
}

async fn the_oldest_is_claimed_first(t: Context) {
    let enqueued: Vec<String> = (0..20).map(|n| format!("w{}", (n * 7) % 20)).collect();
    for id in &enqueued {
        t.enqueued(id).await;
    }
    let worker = t.worker("worker").await;
    let mut order = Vec::new();
    for n in 0..20 {
        let row = worker.claim_one(&format!("t{n}")).await;
        order.push(row.id.to_string());
    }
    assert_eq!(order, enqueued);
}

async fn the_most_urgent_is_claimed_first(t: Context) {
    for (id, priority) in [("c", 7), ("e", i32::MAX), ("b", 1), ("d", 7), ("a", 0)] {
        t.insert(queued_on(id, make::QUEUE, priority)).await;
    }
    let worker = t.worker("worker").await;
    let claimed = worker.claim(&["1", "2", "3", "4", "5"]).await;
    assert_eq!(ids(&claimed), ["a", "b", "c", "d", "e"]);
    let priorities: Vec<_> = claimed.iter().map(|one| one.row.priority).collect();
    assert_eq!(priorities, [0, 1, 7, 7, i32::MAX]);
}

async fn the_id_decides_between_equals(t: Context) {
    let now = t.now().await;
    for id in ["b", "d", "a", "c"] {
        t.raw(id, |row| row.created_at = now).await;
    }
    let older = Timestamp::from_millis(now.as_millis() - 1);
    t.raw("z", |row| row.created_at = older).await;
    let claimed = t
        .worker("worker")
        .await
        .claim(&["1", "2", "3", "4", "5"])
        .await;
    assert_eq!(ids(&claimed), ["z", "a", "b", "c", "d"]);
}

async fn a_resumed_workflow_keeps_its_age(t: Context) {
    t.enqueued("old").await;
    t.enqueued("young").await;
    t.cancel("old").await;
    t.advance(5).await;
    given(t.db.resume(&"old".into(), Some(make::QUEUE)).await);
    let claimed = t.worker("worker").await.claim(&["1", "2"]).await;
    assert_eq!(ids(&claimed), ["old", "young"]);
}

async fn order_does_not_depend_on_the_length_of_a_claim(t: Context) {
    for n in 0..12 {
        let id = format!("w{n:02}");
        t.insert(queued_on(&id, make::QUEUE, (n * 5) % 3)).await;
    }
    let worker = t.worker("worker").await;
    let mut order = Vec::new();
    for tokens in [
        &["a"][..],
        &["b", "c", "d", "e"],
        &["f", "g"],
        &["h", "i", "j", "k", "l", "m"],
    ] {
        let claimed = worker.claim(tokens).await;
        order.extend(claimed.into_iter().map(|one| one.row));
    }
    let mut sorted = order.clone();
    sorted.sort_by_key(|row| (row.priority, row.created_at, row.id.clone()));
    assert_eq!(order, sorted);
    assert_eq!(order.len(), 12);
}

async fn what_cannot_be_claimed_does_not_hold_up_what_can(t: Context) {
    for n in 0..30 {
        let mut foreign = queued_on(&format!("foreign{n}"), make::QUEUE, 0);
        foreign.version = Some("v0".into());
        t.insert(foreign).await;
    }
    t.insert(queued_on("ours", make::QUEUE, 9)).await;
    let row = t.worker("worker").await.claim_one("t").await;
    assert_eq!(row.id, "ours".into());
}
