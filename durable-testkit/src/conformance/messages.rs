//! Sends: into which mailbox, once, and together with the sender's step.

use durable_core::{
    db::{Message, NULL_TOPIC, Received, Sent, StepResult},
    ids::Owner,
    payload::Encoded,
};

use super::{
    Context,
    context::given,
    make::{self, json, message, owner, stamp, step},
};

cases! { "messages":
    a_message_from_outside_is_delivered,
    a_message_keeps_its_text_and_its_format,
    a_send_and_the_senders_step_are_one,
    a_send_asked_again_is_delivered_once,
    a_message_whose_id_is_there_is_left_alone,
    a_message_that_was_consumed_is_not_delivered_again,
    a_message_to_nowhere_is_not_written,
    a_message_to_a_deleted_workflow_is_not_written,
    a_message_may_be_sent_to_a_workflow_in_any_status,
    a_workflow_may_send_to_itself,
    nothing_is_sent_under_a_number_that_is_taken,
}

/// Receives at this number; `None` if there is no message.
async fn receive(t: &Context, owner: &Owner, topic: &str, number: i32) -> Option<Encoded> {
    let received =
        t.db.receive(owner, topic, &stamp(number, "DBOS.recv"), None)
            .await;
    match given(received) {
        Received::Message(value) => Some(value),
        Received::Empty => None,
        other => panic!("a message or none: {other:?}"),
    }
}

async fn a_message_from_outside_is_delivered(t: Context) {
    let owner = t.running("w").await;
    t.mail("m", "w", "news").await;
    assert!(t.has_mail("w", "news").await);
    assert_eq!(t.steps("w").await, []);
    assert_eq!(receive(&t, &owner, "news", 1).await, Some(json("\"m\"")));
}

async fn a_message_keeps_its_text_and_its_format(t: Context) {
    let owner = t.running("w").await;
    let payloads = [
        json(""),
        json("null"),
        json(&"größe 🦀 '\"".repeat(5_000)),
        Encoded::new("gAROLg==", "py_pickle"),
        Encoded {
            text: "x".into(),
            format: None,
        },
    ];
    for (n, payload) in (1..).zip(payloads) {
        let topic = format!("to'pic {n} 🦀");
        let payload_sent = payload.clone();
        let sent = Message {
            payload: payload_sent,
            ..message(&topic, "w", &topic)
        };
        assert_eq!(given(t.db.send(&sent, None).await), Sent::Delivered);
        assert_eq!(receive(&t, &owner, &topic, n).await, Some(payload.clone()));
        let recorded = t.steps("w").await.pop().map(|step| step.result);
        assert_eq!(recorded, Some(StepResult::Output(payload)));
    }
}

async fn a_send_and_the_senders_step_are_one(t: Context) {
    let sender = t.running("sender").await;
    let receiver = t.running("receiver").await;
    let stamp = stamp(4, "DBOS.send");
    let sent =
        t.db.send(&message("m", "receiver", "news"), Some((&sender, &stamp)))
            .await;
    assert_eq!(given(sent), Sent::Delivered);
    let record = stamp.record(StepResult::Nothing, None);
    assert_eq!(t.steps("sender").await, [record]);
    assert_eq!(t.steps("receiver").await, []);
    assert_eq!(receive(&t, &receiver, "news", 1).await, Some(json("\"m\"")));
}

async fn a_send_asked_again_is_delivered_once(t: Context) {
    let sender = t.running("sender").await;
    let receiver = t.running("receiver").await;
    let stamp = stamp(1, "DBOS.send");
    let message = message("m", "receiver", "news");
    for _ in 0..3 {
        let sent = given(t.db.send(&message, Some((&sender, &stamp))).await);
        assert_eq!(sent, Sent::Delivered);
    }
    assert_eq!(
        t.steps("sender").await,
        [stamp.record(StepResult::Nothing, None)]
    );
    assert_eq!(receive(&t, &receiver, "news", 1).await, Some(json("\"m\"")));
    assert_eq!(receive(&t, &receiver, "news", 2).await, None);
    let sent = given(t.db.send(&message, Some((&sender, &stamp))).await);
    assert_eq!(sent, Sent::Delivered);
    assert_eq!(receive(&t, &receiver, "news", 2).await, None);
}

async fn a_message_whose_id_is_there_is_left_alone(t: Context) {
    let owner = t.running("w").await;
    t.mail("m", "w", "news").await;
    let second = Message {
        payload: json("\"second\""),
        ..message("m", "w", "other")
    };
    assert_eq!(given(t.db.send(&second, None).await), Sent::Delivered);
    assert!(!t.has_mail("w", "other").await);
    assert_eq!(receive(&t, &owner, "news", 1).await, Some(json("\"m\"")));
    assert_eq!(receive(&t, &owner, "news", 2).await, None);
}

async fn a_message_that_was_consumed_is_not_delivered_again(t: Context) {
    let owner = t.running("w").await;
    t.mail("m", "w", "news").await;
    assert!(receive(&t, &owner, "news", 1).await.is_some());
    t.mail("m", "w", "news").await;
    assert!(!t.has_mail("w", "news").await);
    assert_eq!(receive(&t, &owner, "news", 2).await, None);
}

async fn a_message_to_nowhere_is_not_written(t: Context) {
    let sender = t.running("sender").await;
    let before = t.seen("sender").await;
    let message = message("m", "nowhere", "news");
    assert_eq!(given(t.db.send(&message, None).await), Sent::NoDestination);
    let stamp = stamp(1, "DBOS.send");
    let sent = t.db.send(&message, Some((&sender, &stamp))).await;
    assert_eq!(given(sent), Sent::NoDestination);
    assert_eq!(t.seen("sender").await, before, "no step either");
    assert!(!t.has_mail("nowhere", "news").await);

    // It may come to be, and the message be sent again.
    t.running("nowhere").await;
    assert!(!t.has_mail("nowhere", "news").await);
    assert_eq!(given(t.db.send(&message, None).await), Sent::Delivered);
    assert!(t.has_mail("nowhere", "news").await);
}

async fn a_message_to_a_deleted_workflow_is_not_written(t: Context) {
    t.finished("w").await;
    t.mail("first", "w", "news").await;
    t.database.delete_row(&"w".into()).await;
    assert!(
        !t.has_mail("w", "news").await,
        "its mailbox is gone with it"
    );
    let sent = given(t.db.send(&message("second", "w", "news"), None).await);
    assert_eq!(sent, Sent::NoDestination);
}

async fn a_message_may_be_sent_to_a_workflow_in_any_status(t: Context) {
    for id in t.one_of_each_status().await {
        let row = t.row(&id).await;
        t.mail(&id, &id, NULL_TOPIC).await;
        assert!(t.has_mail(&id, NULL_TOPIC).await, "{id}");
        assert_eq!(t.row(&id).await, row, "a message does not touch the row");
    }
    t.worker("worker").await.claim_one("t").await;
    let claimed = owner("enqueued", "t");
    let received = receive(&t, &claimed, NULL_TOPIC, 1).await;
    assert_eq!(
        received,
        Some(json("\"enqueued\"")),
        "what came before the claim waits"
    );
}

async fn a_workflow_may_send_to_itself(t: Context) {
    let owner = t.running("w").await;
    let sent =
        t.db.send(
            &message("m", "w", "news"),
            Some((&owner, &stamp(1, "DBOS.send"))),
        )
        .await;
    assert_eq!(given(sent), Sent::Delivered);
    assert_eq!(receive(&t, &owner, "news", 2).await, Some(json("\"m\"")));
}

async fn nothing_is_sent_under_a_number_that_is_taken(t: Context) {
    let sender = t.running("sender").await;
    t.running("receiver").await;
    t.record(&sender, &step(1, "1")).await;
    let before = t.seen("sender").await;
    let message = make::message("m", "receiver", "news");
    let sent =
        t.db.send(&message, Some((&sender, &stamp(1, "DBOS.send"))))
            .await;
    assert!(sent.is_err(), "one commit holds both or neither: {sent:?}");
    assert!(!t.has_mail("receiver", "news").await);
    assert_eq!(t.seen("sender").await, before);
}
