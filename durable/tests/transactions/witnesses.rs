//! Tables in another database than the system tables.

use std::sync::{Arc, Mutex};

use durable::{Event, state::Status};
use durable_testkit::faults::{Fault, Faulty};

use crate::{
    bank::{Acts, perform, perform_and_wait},
    place::{Layout, Outside, Place},
    support::{Tally, bounded, crash, until, until_status},
};

/// Runs each test on every backend, in the layout of two databases.
macro_rules! in_two_databases {
    ($($(#[$meta:meta])* async fn $name:ident($place:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                async fn test($place: Place) $body

                #[tokio::test]
                async fn sqlite() {
                    bounded(async { test(Place::sqlite(Layout::Other).await).await }).await;
                }

                #[tokio::test]
                async fn pg_sqlx() {
                    bounded(async { test(Place::pg_sqlx(Layout::Other).await).await }).await;
                }

                #[tokio::test]
                async fn pg_diesel() {
                    bounded(async { test(Place::pg_diesel(Layout::Other).await).await }).await;
                }
            }
        )*
    };
}

/// Writes one entry.
fn entry(tally: &Tally) -> Acts {
    let tally = tally.clone();
    Acts::default().with("act", move |mut tx| {
        let tally = tally.clone();
        Box::pin(async move {
            tally.hit("act");
            tx.run("INSERT INTO ledger VALUES ('once', 1)").await?;
            tx.number("SELECT COUNT(*) AS number FROM ledger").await
        })
    })
}

/// The table of witnesses, as a statement names it.
fn table(place: &Place) -> &'static str {
    if place.is_postgres() {
        "dbos.durable_transactions"
    } else {
        "durable_transactions"
    }
}

/// A table of the system database, as a statement names it.
fn system(place: &Place, table: &str) -> String {
    if place.is_postgres() {
        format!("dbos.{table}")
    } else {
        table.to_owned()
    }
}

in_two_databases! {
    async fn a_process_that_dies_between_the_writes_and_the_checkpoint_finds_its_witness(place) {
        let tally = Tally::default();
        let acts = entry(&tally);
        let node = place.node().await;
        let lost = |call: &'static str| if call == "record_step" { Fault::CallLost } else { Fault::None };
        let db = Faulty::over(node.db).failing(lost);
        let app = place.builder(node.bank, db, &tally, &acts).launch().await.unwrap();
        app.start(perform, "act".to_owned()).id("w").await.unwrap();
        until("the writes", || async { (place.entries().await == 1).then_some(()) }).await;
        crash(app).await;
        let app = place.app(&tally, &acts).await;
        assert_eq!(app.handle(perform, "w").result().await, Ok(1));
        assert_eq!((tally.count("act"), place.entries().await), (1, 1));
        assert_eq!(app.steps("w").await.unwrap().len(), 1);
    }

    async fn a_new_workflow_with_the_id_of_a_deleted_one_does_not_take_its_witness(place) {
        let tally = Tally::default();
        let app = place.app(&tally, &entry(&tally)).await;
        let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
        assert_eq!(handle.result().await, Ok(1));
        for name in ["operation_outputs", "workflow_input", "workflow_output", "workflow_status"] {
            let delete = format!("DELETE FROM {} WHERE workflow_uuid = 'w'", system(&place, name));
            place.system().await.tx().run(&delete).await.unwrap();
        }
        let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
        assert_eq!(handle.result().await, Ok(2));
        assert_eq!((tally.count("act"), place.entries().await), (2, 2));
    }

    async fn a_database_without_the_table_of_witnesses_is_told_with_the_command_that_makes_it(place) {
        place.write(&format!("ALTER TABLE {} RENAME TO away", table(&place))).await;
        let tally = Tally::default();
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&reasons);
        let node = place.node().await;
        let app = place.builder(node.bank.clone(), Faulty::over(node.db), &tally, &entry(&tally))
            .observe(move |event| if let Event::WorkflowStopped { reason, .. } = event {
                seen.lock().unwrap().push((*reason).to_owned());
            })
            .launch().await.unwrap();
        app.start(perform, "act".to_owned()).id("w").await.unwrap();
        let reason = until("the refusal", || async { reasons.lock().unwrap().first().cloned() }).await;
        assert!(reason.contains("durable_transactions") && reason.contains("cargo xtask migrate --data-source"), "{reason}");
        // With the table it goes on where it is recovered.
        node.bank.migrate().await;
        crash(app).await;
        let app = place.app(&tally, &entry(&tally)).await;
        until_status(&app, "w", Status::Success).await;
        assert_eq!((tally.count("act"), place.entries().await), (1, 1));
    }
}

/// Takes the steps of an ended workflow away, and has it run again: as a tool of another SDK
/// rewinds it to its beginning.
async fn rewind(place: &Place, id: &str) {
    let (steps, outcomes, status) = (
        system(place, "operation_outputs"),
        system(place, "workflow_output"),
        system(place, "workflow_status"),
    );
    for statement in [
        format!("DELETE FROM {steps} WHERE workflow_uuid = '{id}'"),
        format!("DELETE FROM {outcomes} WHERE workflow_uuid = '{id}'"),
        format!(
            "UPDATE {status} SET status = 'ENQUEUED', queue_name = '_dbos_internal_queue', \
            owner_xid = NULL, recovery_attempts = 0,
                started_at_epoch_ms = NULL, completed_at = NULL, output = NULL, error = NULL
            WHERE workflow_uuid = '{id}'"
        ),
    ] {
        place.system().await.tx().run(&statement).await.unwrap();
    }
}

/// Leaves a witness by hand.
async fn leave(place: &Place, id: &str, incarnation: &str, number: i32) {
    let leave = format!(
        "INSERT INTO {} (workflow_uuid, incarnation, function_id, function_name, output) VALUES \
        ('{id}', '{incarnation}', {number}, 'x', '1')",
        table(place)
    );
    place.write(&leave).await;
}

/// The incarnation of a workflow, as its witnesses have it.
async fn incarnation(place: &Place, id: &str) -> String {
    let creator = format!(
        "SELECT creator_xid FROM {} WHERE workflow_uuid = '{id}'",
        system(place, "workflow_status")
    );
    place.system().await.text(&creator).await
}

/// How many witnesses there are.
async fn witnesses(place: &Place) -> i64 {
    let count = format!("SELECT COUNT(*) AS number FROM {}", table(place));
    place.number(&count).await
}

in_two_databases! {
    async fn a_step_of_a_workflow_that_was_rewound_runs_again(place) {
        let tally = Tally::default();
        let app = place.app(&tally, &entry(&tally)).await;
        let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
        assert_eq!(handle.result().await, Ok(1));
        for n in 2..4 {
            rewind(&place, "w").await;
            until_status(&app, "w", Status::Success).await;
            assert_eq!(app.handle(perform, "w").result().await, Ok(n));
            assert_eq!((i64::try_from(tally.count("act")).unwrap(), place.entries().await), (n, n));
        }
    }

    async fn a_workflow_that_has_ended_leaves_no_witness(place) {
        let tally = Tally::default();
        let acts = entry(&tally);
        let app = place.app(&tally, &acts).await;
        let handle = app.start(perform_and_wait, "act".to_owned()).id("w").await.unwrap();
        tally.reached("after").await;
        assert_eq!(witnesses(&place).await, 1);
        // The next execution finds the step recorded, and what is left of it.
        crash(app).await;
        drop(handle);
        let app = place.app(&tally, &acts).await;
        tally.open("after");
        assert_eq!(app.handle(perform_and_wait, "w").result().await, Ok(1));
        assert_eq!((tally.count("act"), witnesses(&place).await), (1, 0));
    }

    async fn witnesses_that_were_left_behind_are_found_and_those_that_are_needed_stay(place) {
        let tally = Tally::default();
        let app = place.app(&tally, &entry(&tally)).await;
        let handle = app.start(perform, "act".to_owned()).id("ended").await.unwrap();
        assert_eq!(handle.result().await, Ok(1));
        let runs = app.start(perform_and_wait, "act".to_owned()).id("runs").await.unwrap();
        tally.reached("after").await;
        // Of a workflow that has ended, of one that is gone, and of an earlier one with the same
        // id.
        leave(&place, "ended", &incarnation(&place, "ended").await, 9).await;
        leave(&place, "nowhere", "x", 1).await;
        leave(&place, "runs", "x", 1).await;
        // Its step may have committed, and is not recorded.
        leave(&place, "runs", &incarnation(&place, "runs").await, 9).await;
        let needed = async || (witnesses(&place).await == 1).then_some(());
        until("all others to be removed", needed).await;
        let nine = format!(
            "SELECT COUNT(*) AS number FROM {} WHERE function_id = 9 AND workflow_uuid = 'runs'",
            table(&place)
        );
        assert_eq!(place.number(&nine).await, 1);
        tally.open("after");
        assert_eq!(runs.result().await, Ok(2));
        let none = async || (witnesses(&place).await == 0).then_some(());
        until("the last to be removed", none).await;
    }

    async fn no_witness_is_removed_while_a_transaction_of_its_workflow_is_open(place) {
        if !place.is_postgres() {
            // There nothing is removed while any transaction is open, as there is one writer.
            return;
        }
        let tally = Tally::default();
        let gate = tally.clone();
        let acts = entry(&tally).with("open", move |_| {
            let gate = gate.clone();
            Box::pin(async move {
                gate.pass("gate").await;
                Ok(1)
            })
        });
        let app = place.app(&tally, &acts).await;
        let before = app.start(perform, "act".to_owned()).await.unwrap();
        assert_eq!(before.result().await, Ok(1));
        let handle = app.start(perform, "open".to_owned()).id("open").await.unwrap();
        tally.reached("gate").await;
        leave(&place, "open", "of another", 1).await;
        leave(&place, "nowhere", "x", 1).await;
        let one = async || (witnesses(&place).await == 1).then_some(());
        until("the other to be removed", one).await;
        tally.open("gate");
        assert_eq!(handle.result().await, Ok(1));
        let none = async || (witnesses(&place).await == 0).then_some(());
        until("the last to be removed", none).await;
    }
}

/// In a file there is one writer, and who comes second reads the witness first.
async fn of_two_executions_at_once_one_commits_and_the_other_takes_its_result(place: Place) {
    let tally = Tally::default();
    let (counted, at, system) = (tally.clone(), place.bank_at(), place.system_at());
    let acts = Acts::default().with("act", move |mut tx| {
        let (tally, at, system) = (counted.clone(), at.clone(), system.clone());
        Box::pin(async move {
            tally.hit("act");
            let creator = "SELECT creator_xid FROM dbos.workflow_status";
            let creator = Outside::at(&system).await.text(creator).await;
            // The other one commits while this one is at work.
            let leave = format!(
                "INSERT INTO dbos.durable_transactions (workflow_uuid, incarnation, function_id, function_name, output, serialization)
                 VALUES ('w', '{creator}', 1, 'act', '77', 'portable_json')"
            );
            Outside::at(&at).await.tx().run(&leave).await?;
            tx.run("INSERT INTO ledger VALUES ('loser', 1)").await?;
            Ok(0)
        })
    });
    let app = place.app(&tally, &acts).await;
    let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
    assert_eq!(handle.result().await, Ok(77));
    assert_eq!((tally.count("act"), place.entries().await), (1, 0));
}

#[tokio::test]
async fn of_two_at_once_one_wins_on_sqlx() {
    let place = Place::pg_sqlx(Layout::Other).await;
    bounded(of_two_executions_at_once_one_commits_and_the_other_takes_its_result(place)).await;
}

#[tokio::test]
async fn of_two_at_once_one_wins_on_diesel() {
    let place = Place::pg_diesel(Layout::Other).await;
    bounded(of_two_executions_at_once_one_commits_and_the_other_takes_its_result(place)).await;
}
