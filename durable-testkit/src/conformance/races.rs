//! Several tasks and processes at once: every call is still all or nothing, and one of two rivals wins.

use std::{collections::BTreeSet, sync::Arc};

use durable_core::{
    db::{Inserted, NewWorkflow, Received, Recorded, Sent, SystemDb, WantedExecutor, Write},
    payload::{Ended, Outcome},
    state::Status,
};
use futures_util::future::join_all;

use super::{
    Context,
    context::{Worker, given, wanted},
    make::{self, here, json, message, stamp, step, success},
};

cases! { "races":
    two_claimants_never_get_one_workflow,
    one_of_many_starts_makes_the_row,
    one_of_many_adopters_gets_the_workflow,
    one_of_a_finish_and_a_cancel_wins,
    many_steps_of_many_workflows_are_all_recorded,
    a_step_recorded_twice_at_once_is_there_once,
    one_of_two_different_records_wins,
    a_message_sent_by_many_is_there_once,
    a_message_is_received_once,
    default_ids_taken_at_once_are_different,
    a_given_id_is_taken_once,
    a_takeover_while_steps_are_recorded_loses_none_that_was_acknowledged,
}

/// Runs all at once, on all threads that there are, and answers in order.
async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let spawned: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let ended = join_all(spawned).await;
    let answer = |ended| match ended {
        Ok(answer) => answer,
        Err(failed) => panic!("a task of the case failed: {failed}"),
    };
    ended.into_iter().map(answer).collect()
}

/// So many connections: of this process and of another one in turn.
async fn connections(t: &Context, count: usize) -> Vec<Arc<dyn SystemDb>> {
    let other = t.another_process().await;
    let both = [Arc::clone(&t.db), other];
    both.into_iter().cycle().take(count).collect()
}

async fn two_claimants_never_get_one_workflow(t: Context) {
    for n in 0..50 {
        t.enqueued(&format!("w{n}")).await;
    }
    let mut claimants = Vec::new();
    for (n, db) in connections(&t, 4).await.into_iter().enumerate() {
        let worker = Worker::join(db, &format!("e{n}")).await;
        claimants.push(claim_all(worker, format!("e{n}")));
    }
    let claimed: Vec<(String, String)> = together(claimants).await.concat();
    let different: BTreeSet<_> = claimed.iter().map(|(id, _)| id).collect();
    assert_eq!((claimed.len(), different.len()), (50, 50));
    for (id, token) in &claimed {
        let row = t.row(id).await;
        assert_eq!((row.attempts, row.owner), (1, Some(token.as_str().into())));
    }
}

/// Claims three at a time until nothing is left; answers ids and tokens.
async fn claim_all(worker: Worker, name: String) -> Vec<(String, String)> {
    let mut all = Vec::new();
    loop {
        let tokens: Vec<String> = (0..3)
            .map(|n| format!("{name}:{}", all.len() + n))
            .collect();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let claimed = worker.claim(&tokens).await;
        if claimed.is_empty() {
            return all;
        }
        for (one, token) in claimed.iter().zip(tokens) {
            all.push((one.row.id.to_string(), token.to_owned()));
        }
        tokio::task::yield_now().await;
    }
}

async fn one_of_many_starts_makes_the_row(t: Context) {
    let starts = connections(&t, 20).await.into_iter().enumerate();
    let starts = starts.map(|(n, db)| async move {
        let new = NewWorkflow {
            creator: format!("call {n}").into(),
            ..here("w")
        };
        given(db.insert_workflow(&new).await)
    });
    let inserted = together(starts).await;
    let made: Vec<_> = (0..)
        .zip(&inserted)
        .filter(|(_, inserted)| matches!(inserted, Inserted::Created { .. }))
        .map(|(n, _)| n)
        .collect::<Vec<usize>>();
    assert_eq!(made.len(), 1, "{inserted:?}");
    let creator = format!("call {}", made[0]);
    assert_eq!(t.row("w").await.creator, Some(creator.into()));
}

async fn one_of_many_adopters_gets_the_workflow(t: Context) {
    t.running("w").await;
    let mut adopters = Vec::new();
    for (n, db) in connections(&t, 8).await.into_iter().enumerate() {
        let worker = Worker::join(db, &format!("e{n}")).await;
        adopters.push(async move {
            let adopted = worker.adopt("w", Some("w:creator"), &format!("t{n}")).await;
            (!adopted.is_empty()).then(|| format!("t{n}"))
        });
    }
    let winners: Vec<_> = together(adopters).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let row = t.row("w").await;
    assert_eq!(
        (row.attempts, row.owner),
        (2, Some(winners[0].as_str().into()))
    );
}

async fn one_of_a_finish_and_a_cancel_wins(t: Context) {
    for round in 0..10 {
        let id = format!("w{round}");
        let owner = t.running(&id).await;
        let other = t.another_process().await;
        let cancelled_id = [owner.workflow.clone()];
        let db = Arc::clone(&t.db);
        let finish =
            tokio::spawn(async move { given(db.finish_workflow(&owner, &success("1")).await) });
        let cancel = tokio::spawn(async move { given(other.cancel(&cancelled_id).await) });
        let finished = finish.await.expect("the task ends") == Write::Written;
        let cancelled = !cancel.await.expect("the task ends").is_empty();
        assert_ne!(finished, cancelled, "one of them");
        let expected = if finished {
            Ended::Outcome(success("1"))
        } else {
            Ended::Cancelled
        };
        assert_eq!(t.ended(&id).await, Some(expected));
    }
}

async fn many_steps_of_many_workflows_are_all_recorded(t: Context) {
    let mut records = Vec::new();
    for n in 0..20 {
        let owner = t.running(&format!("w{n}")).await;
        for number in 1..=10 {
            let (db, owner) = (Arc::clone(&t.db), owner.clone());
            records.push(async move {
                given(db.record_step(&owner, &step(number, &format!("{n}"))).await)
            });
        }
    }
    let recorded = together(records).await;
    assert_eq!(recorded, vec![Recorded::Written; 200]);
    for n in 0..20 {
        let expected: Vec<_> = (1..=10)
            .map(|number| step(number, &format!("{n}")))
            .collect();
        assert_eq!(t.steps(&format!("w{n}")).await, expected);
    }
}

async fn a_step_recorded_twice_at_once_is_there_once(t: Context) {
    let owner = t.running("w").await;
    let twice = connections(&t, 16).await.into_iter().map(|db| {
        let owner = owner.clone();
        async move { given(db.record_step(&owner, &step(1, "1")).await) }
    });
    let recorded = together(twice).await;
    assert!(
        recorded.iter().all(|one| *one == Recorded::Written),
        "{recorded:?}"
    );
    assert_eq!(t.steps("w").await, [step(1, "1")]);
}

async fn one_of_two_different_records_wins(t: Context) {
    let owner = t.running("w").await;
    let rivals = connections(&t, 8)
        .await
        .into_iter()
        .enumerate()
        .map(|(n, db)| {
            let owner = owner.clone();
            async move { given(db.record_step(&owner, &step(1, &format!("{n}"))).await) }
        });
    let recorded = together(rivals).await;
    let winner = recorded.iter().position(|one| *one == Recorded::Written);
    let winner = step(1, &winner.expect("one is written").to_string());
    let conflicts = recorded
        .iter()
        .filter(|one| **one == Recorded::Conflict(Box::new(winner.clone())));
    assert_eq!(conflicts.count(), 7, "{recorded:?}");
    assert_eq!(t.steps("w").await, [winner]);
}

async fn a_message_sent_by_many_is_there_once(t: Context) {
    let receiver = t.running("w").await;
    let sends = connections(&t, 10).await.into_iter();
    let sends =
        sends.map(|db| async move { given(db.send(&message("m", "w", "news"), None).await) });
    let sent = together(sends).await;
    assert_eq!(sent, vec![Sent::Delivered; 10]);
    for (number, expected) in [(1, Received::Message(json("\"m\""))), (2, Received::Empty)] {
        let received =
            t.db.receive(&receiver, "news", &stamp(number, "DBOS.recv"), None)
                .await;
        assert_eq!(given(received), expected);
    }
}

async fn a_message_is_received_once(t: Context) {
    let receiver = t.running("w").await;
    for n in 0..6 {
        t.mail(&format!("m{n}"), "w", "news").await;
    }
    let receives = connections(&t, 10)
        .await
        .into_iter()
        .zip(1..)
        .map(|(db, number)| {
            let receiver = receiver.clone();
            async move {
                given(
                    db.receive(&receiver, "news", &stamp(number, "DBOS.recv"), None)
                        .await,
                )
            }
        });
    let received = together(receives).await;
    let empty = received
        .iter()
        .filter(|one| **one == Received::Empty)
        .count();
    let different: BTreeSet<_> = received
        .iter()
        .filter_map(|one| match one {
            Received::Message(payload) => Some(payload.text.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((empty, different.len()), (4, 6), "{received:?}");
    assert_eq!(t.steps("w").await.len(), 6);
    assert!(!t.has_mail("w", "news").await);
}

async fn default_ids_taken_at_once_are_different(t: Context) {
    let mut processes = Vec::new();
    for _ in 0..5 {
        processes.push(t.another_process().await);
    }
    let joins = processes.iter().map(Arc::clone).map(|process| async move {
        let default = WantedExecutor {
            given: false,
            ..wanted("local")
        };
        given(process.join(&default).await).id.to_string()
    });
    let mut ids = together(joins).await;
    ids.sort();
    assert_eq!(ids, ["local", "local-2", "local-3", "local-4", "local-5"]);
}

async fn a_given_id_is_taken_once(t: Context) {
    let mut processes = Vec::new();
    for _ in 0..5 {
        processes.push(t.another_process().await);
    }
    let joins = processes.iter().map(Arc::clone);
    let joins = joins.map(|process| async move { process.join(&wanted("worker")).await.is_ok() });
    let joined = together(joins).await;
    assert_eq!(joined.iter().filter(|joined| **joined).count(), 1);
}

async fn a_takeover_while_steps_are_recorded_loses_none_that_was_acknowledged(t: Context) {
    let owner = t.running("w").await;
    let worker = Worker::join(t.another_process().await, "survivor").await;
    let records = (1..=40).map(|number| {
        let (db, owner) = (Arc::clone(&t.db), owner.clone());
        async move {
            let recorded = given(db.record_step(&owner, &step(number, "1")).await);
            (recorded == Recorded::Written).then_some(number)
        }
    });
    let recording = tokio::spawn(together(records.collect::<Vec<_>>()));
    tokio::task::yield_now().await;
    let adopted = worker.adopt("w", Some(owner.token.as_str()), "new").await;
    assert_eq!(adopted.len(), 1);
    // What the new owner reads now is all that there ever is of the old one.
    let history: Vec<i32> = t.steps("w").await.iter().map(|step| step.number).collect();
    let mut written: Vec<i32> = recording
        .await
        .expect("the tasks end")
        .into_iter()
        .flatten()
        .collect();
    written.sort_unstable();
    assert_eq!(history, written);
    assert_eq!(t.steps("w").await.len(), history.len());
    assert_eq!(t.status("w").await, Status::Pending);
    let outcome: Outcome = success("1");
    t.finish(&make::owner("w", "new"), &outcome).await;
}
