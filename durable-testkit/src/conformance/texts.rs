//! Texts that no database takes: refused for the call that has one, which then does nothing, and for no other call.

use durable_core::{
    db::{ClaimRequest, Inserted, Recorded, Result, Sent, Waits, Write},
    ids::{Owner, WorkflowId, WorkflowKey},
    payload::Ended,
};
use futures_util::future::{join, join_all};

use super::{
    Context,
    context::given,
    make::{self, json, message, owner, stamp, step, success},
};

cases! { "texts":
    a_call_with_a_nul_in_a_text_is_refused_and_changes_nothing,
    a_write_that_cannot_be_made_takes_none_of_its_neighbours_with_it,
    a_start_that_cannot_be_made_takes_none_of_its_neighbours_with_it,
    a_poll_with_a_value_that_cannot_be_is_refused_whole_and_answered_in_parts,
}

/// What has a NUL in it, where there is something like it without.
const BAD: &str = "w\0";

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T>) {
    match answer {
        Err(error) if error.is_about_arguments() => assert!(!error.is_retryable()),
        other => panic!("it is refused as it is: {other:?}"),
    }
}

async fn a_call_with_a_nul_in_a_text_is_refused_and_changes_nothing(t: Context) {
    let running = t.running("w").await;
    let worker = t.worker("one").await;
    let before = t.seen("w").await;
    let (db, bad) = (&t.db, WorkflowId::from(BAD));
    refused(db.workflow(&bad).await);
    refused(db.cancel(&["w".into(), bad.clone()]).await);
    refused(db.resume(&bad, None).await);
    refused(db.histories(&["w".into(), bad.clone()]).await);
    refused(db.event(&bad, "progress").await);
    refused(db.event(&"w".into(), BAD).await);
    refused(db.insert_workflow(&make::here(BAD)).await);
    refused(db.insert_workflow(&make::queued_on("new", BAD, 0)).await);
    let record = stamp(1, BAD).record(durable_core::db::StepResult::Nothing, None);
    refused(db.record_step(&running, &record).await);
    refused(db.record_step(&running, &step(1, "\"\0\"")).await);
    refused(db.send(&message("m", BAD, "news"), None).await);
    refused(db.send(&message("m", "w", BAD), None).await);
    refused(db.send(&message(BAD, "w", "news"), None).await);
    refused(db.receive(&running, BAD, &stamp(1, "recv"), None).await);
    refused(
        db.set_event(&running, BAD, &json("1"), &stamp(1, "set"))
            .await,
    );
    refused(db.finish_workflow(&running, &success("\"\0\"")).await);
    let request = ClaimRequest {
        queue: BAD.to_owned(),
        claimant: worker.claimant.clone(),
        tokens: vec!["t".into()],
    };
    refused(db.claim(&request).await);
    assert_eq!(t.seen("w").await, before);
    assert!(t.find("new").await.is_none());
}

async fn a_write_that_cannot_be_made_takes_none_of_its_neighbours_with_it(t: Context) {
    const MANY: usize = 24;
    let mut owners: Vec<Owner> = Vec::new();
    for n in 0..MANY {
        owners.push(t.running(&format!("w{n}")).await);
    }
    let bad = |n: usize| n % 7 == 3;
    let records = (0..MANY).map(|n| step(1, if bad(n) { "\"\0\"" } else { "1" }));
    let records: Vec<_> = records.collect();
    let recorded = owners.iter().zip(&records);
    let recorded = recorded.map(|(owner, record)| t.db.record_step(owner, record));
    for (n, recorded) in join_all(recorded).await.into_iter().enumerate() {
        if bad(n) {
            refused(recorded);
        } else {
            assert_eq!(given(recorded), Recorded::Written, "{n}");
        }
    }
    let ends = (0..MANY).map(|n| success(if bad(n) { "\"\0\"" } else { "1" }));
    let ends: Vec<_> = ends.collect();
    let ended = owners.iter().zip(&ends);
    let ended = ended.map(|(owner, end)| t.db.finish_workflow(owner, end));
    for (n, ended) in join_all(ended).await.into_iter().enumerate() {
        if bad(n) {
            refused(ended);
            assert!(t.steps(&format!("w{n}")).await.is_empty(), "{n}");
        } else {
            assert_eq!(given(ended), Write::Written, "{n}");
        }
    }
}

async fn a_start_that_cannot_be_made_takes_none_of_its_neighbours_with_it(t: Context) {
    let parent = t.running("parent").await;
    let mut news: Vec<_> = (0..12).map(|n| make::queued(&format!("w{n}"))).collect();
    news[5].input = json("\"\0\"");
    news[7].key = WorkflowKey::function(BAD);
    let child = make::here("child\0");
    let step = stamp(1, "child");
    let started = join_all(news.iter().map(|new| t.db.insert_workflow(new)));
    let mail = message("m", "parent", "news");
    let sent = t.db.send(&mail, None);
    let beside = join(t.db.insert_child(&child, &parent, &step), sent);
    let (started, (inserted, sent)) = join(started, beside).await;
    refused(inserted);
    assert_eq!(given(sent), Sent::Delivered);
    assert!(t.steps("parent").await.is_empty());
    for (n, started) in started.into_iter().enumerate() {
        if [5, 7].contains(&n) {
            refused(started);
            assert!(t.find(&format!("w{n}")).await.is_none());
        } else {
            assert!(matches!(given(started), Inserted::Created { .. }), "{n}");
        }
    }
}

async fn a_poll_with_a_value_that_cannot_be_is_refused_whole_and_answered_in_parts(t: Context) {
    t.finished("w").await;
    let waits = Waits {
        results: vec!["w".into(), BAD.into(), "never was".into()],
        messages: vec![("w".into(), BAD.to_owned())],
        events: vec![(BAD.into(), "progress".to_owned())],
        owners: vec![owner("w", BAD)],
    };
    let mut parts = vec![waits];
    let (mut told, mut bad) = (Vec::new(), 0);
    while let Some(part) = parts.pop() {
        match t.db.poll(&part).await {
            Ok(wakes) => told.extend(wakes.results),
            answer => {
                refused(answer);
                match part.halves() {
                    Ok(halves) => parts.extend(halves),
                    Err(_) => bad += 1,
                }
            }
        }
    }
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    let ends = [
        ("never was".into(), Ended::Missing),
        ("w".into(), Ended::Outcome(success("1"))),
    ];
    assert_eq!((told.as_slice(), bad), (ends.as_slice(), 4));
}
