//! What a poll tells waiters, all in one question.

use durable_core::{
    db::{Lost, NULL_TOPIC, Waits, Wakes},
    ids::{Owner, WorkflowId},
    payload::Ended,
    state::Status,
};

use super::{
    Context,
    context::given,
    make::{self, json, owner, stamp, success},
};

cases! { "waits":
    nothing_is_told_to_nobody,
    an_end_of_each_kind_is_told,
    what_has_not_ended_is_left_out,
    a_workflow_that_is_not_there_is_missing,
    a_waiting_message_is_told,
    a_published_value_is_told,
    a_lost_token_is_told_with_the_status,
    a_held_token_is_left_out,
    all_kinds_are_answered_at_once,
    many_waiters_are_answered_at_once,
    a_poll_changes_nothing,
}

async fn poll(t: &Context, waits: Waits) -> Wakes {
    given(t.db.poll(&waits).await)
}

fn results(ids: &[&str]) -> Waits {
    Waits {
        results: ids.iter().map(|id| WorkflowId::from(*id)).collect(),
        ..Waits::default()
    }
}

fn owners(owners: &[&Owner]) -> Waits {
    Waits {
        owners: owners.iter().copied().cloned().collect(),
        ..Waits::default()
    }
}

async fn nothing_is_told_to_nobody(t: Context) {
    t.finished("w").await;
    assert_eq!(poll(&t, Waits::default()).await, Wakes::default());
}

async fn an_end_of_each_kind_is_told(t: Context) {
    t.one_of_each_status().await;
    for (id, end) in [
        ("success", Ended::Outcome(success("1"))),
        ("error", Ended::Outcome(make::failure("{}"))),
        ("cancelled", Ended::Cancelled),
        ("max_recovery_attempts_exceeded", Ended::DeadLettered),
    ] {
        let wakes = poll(&t, results(&[id])).await;
        assert_eq!(wakes.results, [(id.into(), end)]);
    }
}

async fn what_has_not_ended_is_left_out(t: Context) {
    t.one_of_each_status().await;
    let wakes = poll(&t, results(&["pending", "success", "enqueued", "delayed"])).await;
    assert_eq!(
        wakes.results,
        [("success".into(), Ended::Outcome(success("1")))]
    );
}

async fn a_workflow_that_is_not_there_is_missing(t: Context) {
    t.finished("deleted").await;
    t.database.delete_row(&"deleted".into()).await;
    for id in ["deleted", "never was"] {
        let wakes = poll(&t, results(&[id])).await;
        assert_eq!(wakes.results, [(id.into(), Ended::Missing)]);
    }
}

async fn a_waiting_message_is_told(t: Context) {
    let receiver = t.running("w").await;
    t.running("other").await;
    t.mail("m1", "w", "news").await;
    t.mail("m2", "w", "news").await;
    t.mail("m3", "w", NULL_TOPIC).await;
    let place = |id: &str, topic: &str| (WorkflowId::from(id), topic.to_owned());
    let waits = Waits {
        messages: vec![
            place("w", "news"),
            place("w", "other"),
            place("w", ""),
            place("other", "news"),
            place("nowhere", "news"),
        ],
        ..Waits::default()
    };
    for left in ["both", "one"] {
        let wakes = poll(&t, waits.clone()).await;
        assert_eq!(wakes.messages, [place("w", "news")], "{left}");
        let number = if left == "both" { 1 } else { 2 };
        let recv = stamp(number, "DBOS.recv");
        let received = durable_core::db::Messages::receive(&*t.db, &receiver, "news", &recv, None);
        given(received.await);
    }
    assert_eq!(poll(&t, waits).await, Wakes::default());
}

async fn a_published_value_is_told(t: Context) {
    let owner = t.running("w").await;
    let set =
        t.db.set_event(&owner, "progress", &json("1"), &stamp(1, "DBOS.setEvent"))
            .await;
    given(set);
    let place = |id: &str, key: &str| (WorkflowId::from(id), key.to_owned());
    let waits = Waits {
        events: vec![
            place("w", "other"),
            place("w", "progress"),
            place("nowhere", "progress"),
        ],
        ..Waits::default()
    };
    assert_eq!(poll(&t, waits).await.events, [place("w", "progress")]);
}

async fn a_lost_token_is_told_with_the_status(t: Context) {
    let finished = t.finished("finished").await;
    let cancelled = t.cancelled("cancelled").await;
    let dead = t.dead_lettered("dead").await;
    let resumed = t.cancelled("resumed").await;
    given(t.db.resume(&"resumed".into(), None).await);
    let taken = t.running("taken").await;
    t.worker("survivor")
        .await
        .adopt("taken", Some(taken.token.as_str()), "new")
        .await;
    let deleted = t.running("deleted").await;
    t.database.delete_row(&"deleted".into()).await;
    for (owner, status) in [
        (&finished, Some(Status::Success)),
        (&cancelled, Some(Status::Cancelled)),
        (&dead, Some(Status::MaxRecoveryAttemptsExceeded)),
        (&resumed, Some(Status::Enqueued)),
        (&taken, Some(Status::Pending)),
        (&deleted, None),
    ] {
        let wakes = poll(&t, owners(&[owner])).await;
        assert_eq!(wakes.owners, [(owner.clone(), Lost { status })]);
    }
}

async fn a_held_token_is_left_out(t: Context) {
    let direct = t.running("direct").await;
    t.enqueued("claimed").await;
    t.worker("worker").await.claim_one("t").await;
    let claimed = owner("claimed", "t");
    assert_eq!(
        poll(&t, owners(&[&direct, &claimed])).await,
        Wakes::default()
    );
    let stale = owner("claimed", make::creator("claimed"));
    let wakes = poll(&t, owners(&[&claimed, &stale])).await;
    let lost = Lost {
        status: Some(Status::Pending),
    };
    assert_eq!(wakes.owners, [(stale, lost)]);
}

async fn all_kinds_are_answered_at_once(t: Context) {
    t.finished("ended").await;
    let owner = t.running("w").await;
    t.mail("m", "w", "news").await;
    given(
        t.db.set_event(&owner, "progress", &json("1"), &stamp(1, "DBOS.setEvent"))
            .await,
    );
    let lost = make::owner("w", "stale");
    let waits = Waits {
        results: vec!["ended".into(), "w".into()],
        messages: vec![("w".into(), "news".into()), ("w".into(), "none".into())],
        events: vec![("w".into(), "progress".into()), ("w".into(), "none".into())],
        owners: vec![owner, lost.clone()],
    };
    let expected = Wakes {
        results: vec![("ended".into(), Ended::Outcome(success("1")))],
        messages: vec![("w".into(), "news".into())],
        events: vec![("w".into(), "progress".into())],
        owners: vec![(
            lost,
            Lost {
                status: Some(Status::Pending),
            },
        )],
    };
    assert_eq!(poll(&t, waits).await, expected);
}

async fn many_waiters_are_answered_at_once(t: Context) {
    let owner = t.running("w").await;
    let waits = Waits {
        results: (0..3_000).map(|n| format!("gone{n}").into()).collect(),
        messages: (0..3_000)
            .map(|n| ("w".into(), format!("topic{n}")))
            .collect(),
        events: (0..3_000)
            .map(|n| ("w".into(), format!("key{n}")))
            .collect(),
        owners: (0..3_000)
            .map(|n| make::owner("w", format!("token{n}")))
            .collect(),
    };
    t.mail("m", "w", "topic2999").await;
    given(
        t.db.set_event(&owner, "key7", &json("1"), &stamp(1, "DBOS.setEvent"))
            .await,
    );
    let wakes = poll(&t, waits).await;
    assert_eq!(wakes.results.len(), 3_000);
    assert_eq!(wakes.messages, [("w".into(), "topic2999".into())]);
    assert_eq!(wakes.events, [("w".into(), "key7".into())]);
    assert_eq!(wakes.owners.len(), 3_000);
}

async fn a_poll_changes_nothing(t: Context) {
    let running = t.running("w").await;
    t.mail("m", "w", "news").await;
    let before = t.seen("w").await;
    t.advance(5).await;
    let waits = Waits {
        results: vec!["w".into()],
        messages: vec![("w".into(), "news".into())],
        events: vec![("w".into(), "progress".into())],
        owners: vec![running, owner("w", "stale")],
    };
    assert_eq!(poll(&t, waits.clone()).await, poll(&t, waits).await);
    assert_eq!(t.seen("w").await, before);
}
