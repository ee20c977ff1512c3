//! What becomes of what a closure gives.

use durable::{Error, prelude::*, state::Status};

use crate::{
    bank::{Acts, BankError, How, perform, perform_and_wait},
    place::{Place, on_every_bank},
    support::{Tally, crash, until_status},
};

/// Runs one act to its end.
async fn outcome(place: &Place, acts: &Acts) -> Result<i64, BankError> {
    let app = place.app(&Tally::default(), acts).await;
    let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
    until_status_ended(&app).await;
    assert_eq!(app.steps("w").await.unwrap().len(), 1);
    handle.result().await
}

async fn until_status_ended(app: &App) {
    crate::support::until("the end", || async {
        let status = app.workflow("w").await.unwrap().status;
        (status == Status::Success || status == Status::Error).then_some(())
    })
    .await;
}

on_every_bank! {
    async fn the_closures_error_rolls_back_and_comes_back_on_a_replay(place) {
        let tally = Tally::default();
        let acts = {
            let tally = tally.clone();
            Acts::default().with("act", move |mut tx| {
                let tally = tally.clone();
                Box::pin(async move {
                    tally.hit("act");
                    tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
                    Err(BankError::Poor)
                })
            })
        };
        let app = place.app(&tally, &acts).await;
        app.start(perform_and_wait, "act".to_owned()).id("w").await.unwrap();
        tally.reached("after").await;
        crash(app).await;
        tally.open("after");
        let app = place.app(&tally, &acts).await;
        assert_eq!(app.handle(perform_and_wait, "w").result().await, Err(BankError::Poor));
        assert_eq!((tally.count("act"), place.entries().await), (1, 0));
    }

    async fn a_panic_rolls_back_and_is_the_steps_error(place) {
        let acts = Acts::default().with("act", |mut tx| Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
            panic!("as it was")
        }));
        let error = outcome(&place, &acts).await.unwrap_err();
        let expected = Error::StepPanicked { workflow: "w".into(), number: 1, step: "act".into(), message: "as it was".into(), attempt: 1 };
        assert_eq!(error, BankError::Durable(expected));
        assert_eq!(place.entries().await, 0);
        // The connection is as good as new.
        place.write("INSERT INTO ledger VALUES ('yes', 1)").await;
    }

    async fn what_takes_too_long_rolls_back_and_times_out(place) {
        let how = How { timeout: Some(Duration::from_millis(50)), ..How::default() };
        let acts = Acts::default().with_how("act", how, |mut tx| Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
            std::future::pending().await
        }));
        let error = outcome(&place, &acts).await.unwrap_err();
        assert!(matches!(error, BankError::Durable(Error::StepTimeout { .. })), "{error}");
        assert_eq!(place.entries().await, 0);
        place.write("INSERT INTO ledger VALUES ('yes', 1)").await;
    }

    async fn a_transaction_within_is_a_savepoint(place) {
        let acts = Acts::default().with("act", |mut tx| Box::pin(async move {
            tx.nested("INSERT INTO ledger VALUES ('kept', 1)", true).await?;
            tx.nested("INSERT INTO ledger VALUES ('dropped', 1)", false).await?;
            tx.number("SELECT COUNT(*) AS number FROM ledger").await
        }));
        assert_eq!(outcome(&place, &acts).await, Ok(1));
        assert_eq!(place.number("SELECT COUNT(*) AS number FROM ledger WHERE entry = 'kept'").await, 1);
    }

    async fn a_kept_savepoint_is_rolled_back_with_the_rest(place) {
        let acts = Acts::default().with("act", |mut tx| Box::pin(async move {
            tx.nested("INSERT INTO ledger VALUES ('kept', 1)", true).await?;
            Err(BankError::Poor)
        }));
        assert_eq!(outcome(&place, &acts).await, Err(BankError::Poor));
        assert_eq!(place.entries().await, 0);
    }

    async fn a_closure_that_ends_its_transaction_itself_is_told_and_has_no_success(place) {
        let ends: [&[&str]; 4] =
            [&["ROLLBACK"], &["COMMIT"], &["ROLLBACK", "BEGIN"], &["COMMIT", "BEGIN"]];
        for (n, end) in ends.into_iter().enumerate() {
            let acts = Acts::default().with("act", move |mut tx| Box::pin(async move {
                tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
                for statement in end {
                    tx.run(statement).await?;
                }
                Ok(1)
            }));
            let app = place.app(&Tally::default(), &acts).await;
            let handle = app.start(perform, "act".to_owned()).id(format!("w{n}")).await.unwrap();
            let error = handle.result().await.unwrap_err();
            let refused = matches!(&error, BankError::Durable(Error::TransactionRefused { .. }));
            assert!(refused && error.to_string().contains("ended"), "{end:?}: {error}");
            crash(app).await;
        }
        // The connections are as good as new.
        let acts = Acts::default().with("act", |mut tx| Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('yes', 1)").await?;
            Ok(1)
        }));
        assert_eq!(outcome(&place, &acts).await, Ok(1));
    }

    async fn a_read_only_transaction_reads_and_its_result_is_recorded(place) {
        let how = How { read_only: true, ..How::default() };
        let acts = Acts::default().with_how("act", how, |mut tx| Box::pin(async move {
            tx.number("SELECT cents AS number FROM accounts WHERE id = 'a'").await
        }));
        assert_eq!(outcome(&place, &acts).await, Ok(100));
    }

    async fn a_write_in_a_read_only_transaction_is_the_closures_error(place) {
        let how = How { read_only: true, ..How::default() };
        let acts = Acts::default().with_how("act", how, |mut tx| Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
            Ok(0)
        }));
        let error = outcome(&place, &acts).await.unwrap_err();
        let BankError::Database(text) = &error else { panic!("{error:?}") };
        assert!(text.contains("read"), "{text}");
        assert_eq!(place.entries().await, 0);
        place.write("INSERT INTO ledger VALUES ('yes', 1)").await;
    }

    async fn what_the_database_refuses_at_the_commit_is_the_steps_error(place) {
        let child = "CREATE TABLE child (id BIGINT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)";
        place.write("CREATE TABLE parent (id BIGINT PRIMARY KEY)").await;
        place.write(child).await;
        let acts = Acts::default().with("act", |mut tx| Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
            tx.run("INSERT INTO child VALUES (7)").await?;
            Ok(0)
        }));
        let error = outcome(&place, &acts).await.unwrap_err();
        assert!(matches!(error, BankError::Durable(Error::TransactionRefused { .. })), "{error}");
        assert!(error.to_string().to_lowercase().contains("foreign key"), "{error}");
        assert_eq!(place.entries().await, 0);
        place.write("INSERT INTO ledger VALUES ('yes', 1)").await;
    }

    async fn an_error_that_broke_the_transaction_off_and_was_ignored_is_told(place) {
        let failing = if place.is_postgres() {
            "INSERT INTO accounts VALUES ('a', 1)"
        } else {
            // Others do not end a transaction of SQLite.
            "INSERT OR ROLLBACK INTO accounts VALUES ('a', 1)"
        };
        let acts = Acts::default().with("act", move |mut tx| Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
            let _ = tx.run(failing).await;
            Ok(0)
        }));
        let error = outcome(&place, &acts).await.unwrap_err();
        assert!(error.to_string().contains("did not return that error"), "{error}");
        assert_eq!(place.entries().await, 0);
        // The connection's state is known again.
        let more = Acts::default().with("act", |mut tx| Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('yes', 1)").await?;
            Ok(1)
        }));
        let app = place.app(&Tally::default(), &more).await;
        let handle = app.start(perform, "act".to_owned()).id("w2").await.unwrap();
        assert_eq!(handle.result().await, Ok(1));
        until_status(&app, "w2", Status::Success).await;
    }
}
