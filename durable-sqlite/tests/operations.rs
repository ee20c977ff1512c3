//! Each operation once, in memory and in a file, with what it answers when it is asked again. What backends have in common is
//! tested at length by the conformance suite.

mod common;

use common::{
    Directory, claim, claimant, here, in_memory, json, open, owner, queued, raw, stamp, start, step,
};
use durable_core::{
    db::{
        ChildInserted, DbError, Events, Existing, Inserted, Lost, Message, Messages, NewWorkflow,
        Queues, Received, Recorded, Resumed, Sent, StepResult, Steps, SystemDb, Timing,
        VersionCount, Versions, Waits, Workflows, Write,
    },
    ids::{Owner, OwnerToken, WorkflowId, WorkflowKey},
    payload::{Ended, Outcome},
    state::{
        INTERNAL_QUEUE, Status, WorkflowRow,
        transition::{Event, apply},
    },
    time::Timestamp,
};
use durable_sqlite::Sqlite;

/// Runs a test on both kinds of database.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($database:ident: &Sqlite) $body:block)*) => {
        $($(#[$doc])* #[tokio::test] async fn $name() {
            async fn test($database: &Sqlite) $body
            test(&in_memory().await).await;
            let directory = Directory::new();
            test(&open(&directory.file("shop.db")).await).await;
        })*
    };
}

async fn row(database: &Sqlite, id: &str) -> WorkflowRow {
    database.workflow(&id.into()).await.unwrap().unwrap()
}

fn lost(status: Option<Status>) -> Lost {
    Lost { status }
}

fn ids(names: &[&str]) -> Vec<WorkflowId> {
    names.iter().map(|name| WorkflowId::from(*name)).collect()
}

on_both! {
    async fn a_row_is_read_back_as_it_was_inserted(database: &Sqlite) {
        let full = NewWorkflow {
            key: WorkflowKey { name: "run".into(), class: Some("Shop".into()), config: Some("eu".into()) },
            timing: Timing::Timeout(5_000),
            parent: Some("p".into()),
            ..here("full", "local")
        };
        let on_queue = NewWorkflow { timing: Timing::Inherited(Timestamp::from_millis(77)), version: None, ..queued("q", "queue") };
        for new in [full, on_queue] {
            let inserted = database.insert_workflow(&new).await.unwrap();
            let stored = row(database, new.id.as_str()).await;
            assert_eq!(stored, new.clone().into_row(stored.created_at));
            assert_eq!(inserted, Inserted::Created { deadline: stored.deadline });
            assert_eq!(database.insert_workflow(&new).await.unwrap(), inserted, "asked again");
            let other = NewWorkflow { creator: "other".into(), ..new.clone() };
            let existing = Existing { key: new.key, status: stored.status, queue: stored.queue, parent: stored.parent };
            assert_eq!(database.insert_workflow(&other).await.unwrap(), Inserted::Exists(existing));
        }
        assert_eq!(database.workflow(&"none".into()).await.unwrap(), None);
    }

    async fn a_finish_is_what_the_machine_says(database: &Sqlite) {
        for (id, outcome) in [("s", Outcome::Success(json("7"))), ("f", Outcome::Failure(json("{}")))] {
            let owner = start(database, id, "local").await;
            let before = row(database, id).await;
            assert_eq!(database.finish_workflow(&owner, &outcome).await.unwrap(), Write::Written);
            let after = row(database, id).await;
            let event = Event::Finish { token: &owner.token, success: id == "s" };
            assert_eq!(Ok(&after), apply(&before, &event, after.updated_at).as_ref());
            let again = database.finish_workflow(&owner, &outcome).await.unwrap();
            assert_eq!(again, Write::Lost(lost(Some(after.status))));
            let waits = Waits { results: ids(&[id]), ..Waits::default() };
            let wakes = database.poll(&waits).await.unwrap();
            assert_eq!(wakes.results, [(id.into(), Ended::Outcome(outcome))]);
        }
        let nobody = database.finish_workflow(&owner("none"), &Outcome::Success(json("7"))).await.unwrap();
        assert_eq!(nobody, Write::Lost(lost(None)));
    }

    async fn a_workflow_is_cancelled_resumed_claimed_and_dead_lettered(database: &Sqlite) {
        let first = start(database, "w", "local").await;
        assert_eq!(database.cancel(&ids(&["none", "w", "w"])).await.unwrap(), ids(&["w"]));
        assert_eq!(database.cancel(&ids(&["w"])).await.unwrap(), ids(&[]));
        assert_eq!(database.dead_letter(&first).await.unwrap(), Write::Lost(lost(Some(Status::Cancelled))));
        assert_eq!(database.resume(&"w".into(), None).await.unwrap(), Resumed::Enqueued);
        assert_eq!(database.resume(&"w".into(), None).await.unwrap(), Resumed::Unchanged(Status::Enqueued));
        assert_eq!(database.resume(&"none".into(), None).await.unwrap(), Resumed::Missing);

        let before = row(database, "w").await;
        let claimed = database.claim(&claim(INTERNAL_QUEUE, &["t", "unused"])).await.unwrap();
        assert_eq!(claimed.len(), 1);
        let worker = claimant("worker", 1);
        let event = Event::Claim { claimant: &worker, token: &"t".into() };
        assert_eq!(Ok(&claimed[0].row), apply(&before, &event, claimed[0].row.updated_at).as_ref());
        assert_eq!(claimed[0].row, row(database, "w").await);
        assert_eq!(claimed[0].input, Some(here("w", "local").input));
        let tokens = [OwnerToken::from("none"), "t".into()];
        assert_eq!(database.claimed_by(&tokens).await.unwrap(), claimed);

        let second = Owner { workflow: "w".into(), token: "t".into() };
        assert_eq!(database.dead_letter(&second).await.unwrap(), Write::Written);
        let waits = Waits { results: ids(&["w", "none"]), owners: vec![second.clone()], ..Waits::default() };
        let wakes = database.poll(&waits).await.unwrap();
        assert_eq!(wakes.results, [("w".into(), Ended::DeadLettered), ("none".into(), Ended::Missing)]);
        let dead = lost(Some(Status::MaxRecoveryAttemptsExceeded));
        assert_eq!(wakes.owners, [(second, dead)]);
        assert_eq!(database.resume(&"w".into(), Some("q")).await.unwrap(), Resumed::Enqueued);
        assert_eq!(row(database, "w").await.queue.as_deref(), Some("q"));
    }

    async fn deadlines_expire_in_their_order(database: &Sqlite) {
        for (id, deadline) in [("late", 3), ("early", 1), ("middle", 2)] {
            let timing = Timing::Inherited(Timestamp::from_millis(deadline));
            database.insert_workflow(&NewWorkflow { timing, ..queued(id, "q") }).await.unwrap();
        }
        let far = Timing::Timeout(3_600_000);
        database.insert_workflow(&NewWorkflow { timing: far, ..here("far", "local") }).await.unwrap();
        assert_eq!(database.expire_deadlines("else", 9).await.unwrap(), ids(&[]));
        assert_eq!(database.expire_deadlines("shop", 2).await.unwrap(), ids(&["early", "middle"]));
        assert_eq!(database.expire_deadlines("shop", 2).await.unwrap(), ids(&["late"]));
        assert_eq!(row(database, "late").await.status, Status::Cancelled);
    }

    async fn steps_are_recorded_once(database: &Sqlite) {
        let owner = start(database, "w", "local").await;
        let failed = stamp(2, "fails").record(StepResult::Error(json("{}")), None);
        let nothing = stamp(3, "child").record(StepResult::Nothing, Some("c".into()));
        for record in [&step(1, "1"), &failed, &nothing, &step(1, "1")] {
            assert_eq!(database.record_step(&owner, record).await.unwrap(), Recorded::Written);
        }
        let conflict = Recorded::Conflict(Box::new(step(1, "1")));
        assert_eq!(database.record_step(&owner, &step(1, "2")).await.unwrap(), conflict);
        let zombie = Owner { token: "zombie".into(), ..owner };
        let refused = database.record_step(&zombie, &step(4, "1")).await.unwrap();
        assert_eq!(refused, Recorded::Lost(lost(Some(Status::Pending))));
        let histories = database.histories(&ids(&["none", "w"])).await.unwrap();
        assert_eq!(histories.len(), 1);
        assert_eq!(histories[0].steps, [step(1, "1"), failed, nothing]);
    }

    async fn a_child_and_its_parents_step_come_together(database: &Sqlite) {
        let parent = start(database, "p", "local").await;
        start(database, "taken", "local").await;
        let child = queued("c", "q");
        for _ in 0..2 {
            let inserted = database.insert_child(&child, &parent, &stamp(1, "demo")).await.unwrap();
            assert_eq!(inserted, ChildInserted::Done(Inserted::Created { deadline: None }));
        }
        let anothers = NewWorkflow { key: WorkflowKey::function("else"), creator: "other".into(), ..here("taken", "local") };
        let answer = database.insert_child(&anothers, &parent, &stamp(2, "else")).await.unwrap();
        assert!(matches!(answer, ChildInserted::Done(Inserted::Exists(_))), "{answer:?}");
        let error = database.insert_child(&here("d", "local"), &parent, &stamp(1, "demo")).await.unwrap_err();
        assert!(matches!(error, DbError::Broken { .. }), "{error}");
        let zombie = Owner { token: "zombie".into(), ..parent };
        let answer = database.insert_child(&here("d", "local"), &zombie, &stamp(2, "demo")).await.unwrap();
        assert_eq!(answer, ChildInserted::Lost(lost(Some(Status::Pending))));
        assert_eq!(database.workflow(&"d".into()).await.unwrap(), None);
        let steps = &database.histories(&ids(&["p"])).await.unwrap()[0].steps;
        assert_eq!(*steps, [stamp(1, "demo").record(StepResult::Nothing, Some("c".into()))]);
    }

    async fn messages_are_sent_once_and_received_once(database: &Sqlite) {
        let (sender, receiver) = (start(database, "s", "local").await, start(database, "r", "local").await);
        let message = |id: &str, to: &str| Message { id: id.into(), destination: to.into(), topic: "t".into(), payload: json("null") };
        let (one, send) = (message("1", "r"), stamp(1, "DBOS.send"));
        for _ in 0..2 {
            assert_eq!(database.send(&one, Some((&sender, &send))).await.unwrap(), Sent::Delivered);
        }
        assert_eq!(database.send(&one, None).await.unwrap(), Sent::Delivered);
        let nowhere = message("2", "none");
        let second = stamp(2, "DBOS.send");
        assert_eq!(database.send(&nowhere, None).await.unwrap(), Sent::NoDestination);
        assert_eq!(database.send(&nowhere, Some((&sender, &second))).await.unwrap(), Sent::NoDestination);
        let zombie = Owner { token: "zombie".into(), ..sender };
        let refused = database.send(&message("3", "r"), Some((&zombie, &second))).await.unwrap();
        assert_eq!(refused, Sent::Lost(lost(Some(Status::Pending))));
        assert_eq!(database.histories(&ids(&["s"])).await.unwrap()[0].steps.len(), 1);

        let waits = Waits { messages: vec![("r".into(), "t".into()), ("r".into(), "u".into())], ..Waits::default() };
        assert_eq!(database.poll(&waits).await.unwrap().messages, [("r".into(), "t".into())]);
        let null = json("null");
        let (first, second) = (stamp(1, "DBOS.recv"), stamp(3, "DBOS.recv"));
        for _ in 0..2 {
            // Told from "none", though the message says the same.
            let received = database.receive(&receiver, "t", &first, Some(&null)).await.unwrap();
            assert_eq!(received, Received::Message(null.clone()));
        }
        assert_eq!(database.poll(&waits).await.unwrap().messages, []);
        assert_eq!(database.receive(&receiver, "t", &second, None).await.unwrap(), Received::Empty);
        for _ in 0..2 {
            let received = database.receive(&receiver, "t", &second, Some(&null)).await.unwrap();
            assert_eq!(received, Received::Otherwise);
        }
        let zombie = Owner { token: "zombie".into(), ..receiver };
        let refused = database.receive(&zombie, "t", &stamp(5, "DBOS.recv"), Some(&null)).await.unwrap();
        assert_eq!(refused, Received::Lost(lost(Some(Status::Pending))));
    }

    async fn an_event_has_the_value_that_was_published_last(database: &Sqlite) {
        let owner = start(database, "w", "local").await;
        for (number, text) in [(1, "1"), (2, "2"), (1, "1")] {
            let set = database.set_event(&owner, "k", &json(text), &stamp(number, "DBOS.setEvent")).await;
            assert_eq!(set.unwrap(), Recorded::Written);
        }
        assert_eq!(database.event(&"w".into(), "k").await.unwrap(), Some(json("2")), "asking again publishes nothing");
        assert_eq!(database.event(&"w".into(), "none").await.unwrap(), None);
        assert_eq!(database.event(&"none".into(), "k").await.unwrap(), None);
        let waits = Waits { events: vec![("w".into(), "none".into()), ("w".into(), "k".into())], ..Waits::default() };
        assert_eq!(database.poll(&waits).await.unwrap().events, [("w".into(), "k".into())]);
        let zombie = Owner { token: "zombie".into(), ..owner };
        let refused = database.set_event(&zombie, "k", &json("3"), &stamp(3, "DBOS.setEvent")).await.unwrap();
        assert_eq!(refused, Recorded::Lost(lost(Some(Status::Pending))));
        assert_eq!(database.event(&"w".into(), "k").await.unwrap(), Some(json("2")));
    }

    async fn versions_belong_to_one_application_and_the_newest_takes_rows_without_one(database: &Sqlite) {
        database.register_version("shop", "v1").await.unwrap();
        database.register_version("shop", "v2").await.unwrap();
        database.register_version("shop", "v1").await.unwrap();
        let error = database.register_version("else", "v1").await.unwrap_err();
        assert!(matches!(&error, DbError::Refused(why) if why.contains("shop")), "{error}");
        database.insert_workflow(&NewWorkflow { version: None, ..queued("w", "q") }).await.unwrap();
        database.insert_workflow(&queued("v", "q")).await.unwrap();
        assert_eq!(database.stranded("shop", "v1").await.unwrap(), []);
        let count = VersionCount { version: "v1".into(), count: 1 };
        assert_eq!(database.stranded("shop", "v2").await.unwrap(), [count]);
        let mut request = claim("q", &["1", "2"]);
        assert_eq!(database.claim(&request).await.unwrap().len(), 1, "v1 is not the newest");
        request.claimant.version = "v2".into();
        assert_eq!(database.claim(&request).await.unwrap()[0].row.id.as_str(), "w");
    }

    async fn a_claim_takes_what_can_be_run_and_nothing_else(database: &Sqlite) {
        let method = WorkflowKey { name: "demo".into(), class: Some("Shop".into()), config: None };
        let mut rows = vec![queued("a", "q"), NewWorkflow { key: method, ..queued("b", "q") }];
        rows.push(NewWorkflow { key: WorkflowKey::function("else"), ..queued("c", "q") });
        rows.push(NewWorkflow { application: "else".into(), ..queued("d", "q") });
        rows.push(NewWorkflow { version: Some("v2".into()), ..queued("e", "q") });
        rows.push(NewWorkflow { input: durable_core::payload::Encoded::new("x", "py_pickle"), ..queued("f", "q") });
        rows.push(queued("g", "other"));
        rows.push(queued("h", "q"));
        for new in &rows {
            database.insert_workflow(new).await.unwrap();
        }
        let request = claim("q", &["1", "2", "3", "4"]);
        let mut allowed = Vec::new();
        for new in &rows {
            let row = row(database, new.id.as_str()).await;
            allowed.extend(request.claimant.may_claim(&row, "q", true).then_some(row.id));
        }
        assert_eq!(allowed, ids(&["a", "h"]));
        let claimed = database.claim(&request).await.unwrap();
        let claimed: Vec<_> = claimed.into_iter().map(|claimed| claimed.row.id).collect();
        assert_eq!(claimed, allowed);
    }
}

#[tokio::test]
async fn payloads_in_the_columns_of_older_rows_are_read_and_leftovers_are_not() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    raw(
        &path,
        "INSERT INTO workflow_status (workflow_uuid, status, name, queue_name, serialization, inputs, output)
         VALUES ('old', 'ENQUEUED', 'demo', 'q', 'portable_json', 'in', NULL),
                ('done', 'SUCCESS', 'demo', NULL, 'portable_json', NULL, 'out'),
                ('none', 'SUCCESS', 'demo', NULL, 'portable_json', NULL, NULL);
         INSERT INTO workflow_input (workflow_uuid, inputs) VALUES ('w', 'orphan');
         INSERT INTO workflow_output (workflow_uuid, output) VALUES ('w', 'orphan');
         INSERT INTO operation_outputs (workflow_uuid, function_id, output) VALUES ('w', 1, 'orphan')",
    )
    .await;
    let waits = Waits {
        results: ids(&["done", "none"]),
        ..Waits::default()
    };
    let ended = |text| Ended::Outcome(Outcome::Success(json(text)));
    let expected = [
        ("done".into(), ended("out")),
        ("none".into(), ended("null")),
    ];
    assert_eq!(database.poll(&waits).await.unwrap().results, expected);

    start(&database, "w", "local").await;
    database.cancel(&ids(&["w"])).await.unwrap();
    database.resume(&"w".into(), Some("q")).await.unwrap();
    assert!(database.histories(&ids(&["w"])).await.unwrap().is_empty());
    let claimed = database.claim(&claim("q", &["1", "2"])).await.unwrap();
    let inputs: Vec<_> = claimed
        .iter()
        .map(|claimed| claimed.input.clone().unwrap().text)
        .collect();
    assert_eq!(inputs, ["in".into(), here("w", "local").input.text]);
}

#[tokio::test]
async fn an_earlier_life_of_an_executor_claims_nothing() {
    use durable_core::db::Executors;
    let database = in_memory().await;
    for incarnation in 1..=2 {
        let joined = database
            .join(&common::wanted("worker", true))
            .await
            .unwrap();
        assert_eq!(joined.incarnation, incarnation);
        database.leave(&"worker".into()).await.unwrap();
    }
    database.insert_workflow(&queued("w", "q")).await.unwrap();
    let mut request = claim("q", &["1"]);
    assert!(database.claim(&request).await.unwrap().is_empty());
    request.claimant.incarnation = 2;
    assert_eq!(database.claim(&request).await.unwrap().len(), 1);
}
