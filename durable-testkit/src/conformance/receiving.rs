//! Receives: the oldest message of a topic, consumed once and recorded.

use durable_core::{
    db::{NULL_TOPIC, Received, StepResult},
    payload::Encoded,
};

use super::{
    Context,
    context::given,
    make::{self, json, owner, stamp, step},
};

cases! { "messages":
    messages_are_received_in_the_order_in_which_they_were_sent,
    a_receive_records_what_it_took,
    a_receive_asked_again_answers_its_record,
    two_receives_take_two_messages,
    topics_are_kept_apart,
    the_empty_topic_is_not_the_null_topic,
    mailboxes_are_kept_apart,
    a_receive_of_nothing_writes_nothing,
    a_receive_of_nothing_records_what_is_given_instead,
    a_message_goes_before_what_is_given_instead,
    a_receive_that_recorded_the_other_value_takes_no_message_later,
    a_message_that_was_consumed_stays_so_for_the_next_owner,
    a_receive_after_a_takeover_is_answered_by_the_old_record,
    a_receive_under_a_number_that_is_taken_consumes_nothing,
}

async fn messages_are_received_in_the_order_in_which_they_were_sent(t: Context) {
    let receiver = t.running("w").await;
    let sent: Vec<String> = (0..20).map(|n| format!("m{}", (n * 7) % 20)).collect();
    for id in &sent {
        t.mail(id, "w", "news").await;
    }
    for (n, id) in (1..).zip(&sent) {
        let received =
            t.db.receive(&receiver, "news", &stamp(n, "DBOS.recv"), None)
                .await;
        assert_eq!(
            given(received),
            Received::Message(json(&format!("\"{id}\"")))
        );
    }
}

async fn a_receive_records_what_it_took(t: Context) {
    let receiver = t.running("w").await;
    t.mail("m", "w", "news").await;
    let stamp = stamp(6, "DBOS.recv");
    let received = given(t.db.receive(&receiver, "news", &stamp, None).await);
    assert_eq!(received, Received::Message(json("\"m\"")));
    let record = stamp.record(StepResult::Output(json("\"m\"")), None);
    assert_eq!(t.steps("w").await, [record]);
    assert!(!t.has_mail("w", "news").await);
}

async fn a_receive_asked_again_answers_its_record(t: Context) {
    let receiver = t.running("w").await;
    t.mail("first", "w", "news").await;
    t.mail("second", "w", "news").await;
    let stamp = stamp(1, "DBOS.recv");
    for otherwise in [None, Some(json("null")), None] {
        let received =
            t.db.receive(&receiver, "news", &stamp, otherwise.as_ref())
                .await;
        assert_eq!(given(received), Received::Message(json("\"first\"")));
    }
    assert!(
        t.has_mail("w", "news").await,
        "the second message still waits"
    );
    assert_eq!(t.steps("w").await.len(), 1);
}

async fn two_receives_take_two_messages(t: Context) {
    let receiver = t.running("w").await;
    t.mail("first", "w", "news").await;
    t.mail("second", "w", "news").await;
    // A receive with a greater number may come first: they may be joined.
    for (number, id) in [(3, "first"), (1, "second")] {
        let received =
            t.db.receive(&receiver, "news", &stamp(number, "DBOS.recv"), None)
                .await;
        assert_eq!(
            given(received),
            Received::Message(json(&format!("\"{id}\"")))
        );
    }
    let third =
        t.db.receive(&receiver, "news", &stamp(5, "DBOS.recv"), None)
            .await;
    assert_eq!(given(third), Received::Empty);
}

async fn topics_are_kept_apart(t: Context) {
    let receiver = t.running("w").await;
    t.mail("a", "w", "a").await;
    t.mail("b", "w", "b").await;
    let received =
        t.db.receive(&receiver, "b", &stamp(1, "DBOS.recv"), None)
            .await;
    assert_eq!(given(received), Received::Message(json("\"b\"")));
    let received =
        t.db.receive(&receiver, "b", &stamp(2, "DBOS.recv"), None)
            .await;
    assert_eq!(given(received), Received::Empty);
    assert!(t.has_mail("w", "a").await);
}

async fn the_empty_topic_is_not_the_null_topic(t: Context) {
    let receiver = t.running("w").await;
    t.mail("m", "w", "").await;
    assert!(!t.has_mail("w", NULL_TOPIC).await);
    let received =
        t.db.receive(&receiver, NULL_TOPIC, &stamp(1, "DBOS.recv"), None)
            .await;
    assert_eq!(given(received), Received::Empty);
    let received =
        t.db.receive(&receiver, "", &stamp(1, "DBOS.recv"), None)
            .await;
    assert_eq!(given(received), Received::Message(json("\"m\"")));
}

async fn mailboxes_are_kept_apart(t: Context) {
    t.running("a").await;
    let b = t.running("b").await;
    t.mail("m", "a", "news").await;
    let received = t.db.receive(&b, "news", &stamp(1, "DBOS.recv"), None).await;
    assert_eq!(given(received), Received::Empty);
    assert!(t.has_mail("a", "news").await);
}

async fn a_receive_of_nothing_writes_nothing(t: Context) {
    let receiver = t.running("w").await;
    let before = t.seen("w").await;
    let stamp = stamp(1, "DBOS.recv");
    let received = given(t.db.receive(&receiver, "news", &stamp, None).await);
    assert_eq!(received, Received::Empty);
    assert_eq!(t.seen("w").await, before);
    t.mail("m", "w", "news").await;
    let received = given(t.db.receive(&receiver, "news", &stamp, None).await);
    assert_eq!(
        received,
        Received::Message(json("\"m\"")),
        "under the same number"
    );
}

async fn a_receive_of_nothing_records_what_is_given_instead(t: Context) {
    let receiver = t.running("w").await;
    let null = json("null");
    let stamp = stamp(1, "DBOS.recv");
    let received = given(t.db.receive(&receiver, "news", &stamp, Some(&null)).await);
    assert_eq!(received, Received::Otherwise);
    let record = stamp.record(StepResult::Output(null), None);
    assert_eq!(t.steps("w").await, [record]);
}

async fn a_message_goes_before_what_is_given_instead(t: Context) {
    let receiver = t.running("w").await;
    t.mail("m", "w", "news").await;
    let otherwise = json("null");
    let received =
        t.db.receive(&receiver, "news", &stamp(1, "DBOS.recv"), Some(&otherwise))
            .await;
    assert_eq!(given(received), Received::Message(json("\"m\"")));
}

async fn a_receive_that_recorded_the_other_value_takes_no_message_later(t: Context) {
    let receiver = t.running("w").await;
    let null = json("null");
    let stamp = stamp(1, "DBOS.recv");
    given(t.db.receive(&receiver, "news", &stamp, Some(&null)).await);
    t.mail("late", "w", "news").await;
    let again = given(t.db.receive(&receiver, "news", &stamp, Some(&null)).await);
    // The record does not say which of the two it is.
    let recorded = [Received::Otherwise, Received::Message(null)];
    assert!(recorded.contains(&again), "{again:?}");
    assert!(t.has_mail("w", "news").await);
    assert_eq!(t.steps("w").await.len(), 1);
}

async fn a_message_that_was_consumed_stays_so_for_the_next_owner(t: Context) {
    let old = t.running("w").await;
    t.mail("first", "w", "news").await;
    t.mail("second", "w", "news").await;
    given(
        t.db.receive(&old, "news", &stamp(1, "DBOS.recv"), None)
            .await,
    );
    t.worker("survivor")
        .await
        .adopt("w", Some(old.token.as_str()), "new")
        .await;
    let new = owner("w", "new");
    let received =
        t.db.receive(&new, "news", &stamp(2, "DBOS.recv"), None)
            .await;
    assert_eq!(given(received), Received::Message(json("\"second\"")));
}

async fn a_receive_after_a_takeover_is_answered_by_the_old_record(t: Context) {
    let old = t.running("w").await;
    t.mail("first", "w", "news").await;
    t.mail("second", "w", "news").await;
    let stamp = stamp(1, "DBOS.recv");
    given(t.db.receive(&old, "news", &stamp, None).await);
    t.worker("survivor")
        .await
        .adopt("w", Some(old.token.as_str()), "new")
        .await;
    let again = given(t.db.receive(&owner("w", "new"), "news", &stamp, None).await);
    assert_eq!(again, Received::Message(json("\"first\"")));
    assert!(t.has_mail("w", "news").await);
}

async fn a_receive_under_a_number_that_is_taken_consumes_nothing(t: Context) {
    let receiver = t.running("w").await;
    t.mail("m", "w", "news").await;
    t.record(&receiver, &step(1, "1")).await;
    t.record(
        &receiver,
        &make::stamp(2, "DBOS.send").record(StepResult::Nothing, None),
    )
    .await;
    let before = t.seen("w").await;
    let null: Encoded = json("null");
    for (number, otherwise) in [(1, None), (1, Some(&null)), (2, None), (2, Some(&null))] {
        let received =
            t.db.receive(&receiver, "news", &stamp(number, "DBOS.recv"), otherwise)
                .await;
        let recorded = Received::Message(json("1"));
        let answered = matches!(&received, Ok(answer) if *answer == recorded && number == 1);
        assert!(answered || received.is_err(), "{received:?}");
    }
    assert_eq!(t.seen("w").await, before);
}
