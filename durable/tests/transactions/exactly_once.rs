//! Writes and checkpoint: both or neither.

use durable::{prelude::*, state::Status};
use durable_testkit::faults::Faulty;

use crate::{
    bank::{Acts, perform, perform_and_wait},
    place::on_every_bank,
    support::{Tally, crash, outline, until, until_recorded, until_status},
};

const DEBIT: &str = "UPDATE accounts SET cents = cents - 30 WHERE id = 'a'";
const CREDIT: &str = "UPDATE accounts SET cents = cents + 30 WHERE id = 'b'";
const ENTRY: &str = "INSERT INTO ledger VALUES ('move', 30)";
const A: &str = "SELECT cents AS number FROM accounts WHERE id = 'a'";

fn moving(tally: &Tally) -> Acts {
    let tally = tally.clone();
    Acts::default().with("move", move |mut tx| {
        let tally = tally.clone();
        Box::pin(async move {
            tally.hit("move");
            tx.run(DEBIT).await?;
            tx.run(CREDIT).await?;
            tx.run(ENTRY).await?;
            tx.number(A).await
        })
    })
}

on_every_bank! {
    async fn writes_and_checkpoint_are_committed_together_and_a_replay_runs_nothing(place) {
        let tally = Tally::default();
        let acts = moving(&tally);
        let app = place.app(&tally, &acts).await;
        app.start(perform_and_wait, "move".to_owned()).id("w").await.unwrap();
        tally.reached("after").await;
        assert_eq!((place.number(A).await, place.entries().await), (70, 1));
        let steps = app.steps("w").await.unwrap();
        assert_eq!(outline(&steps), [(1, "move")]);
        crash(app).await;
        tally.open("after");
        let app = place.app(&tally, &acts).await;
        assert_eq!(app.handle(perform_and_wait, "w").result().await.unwrap(), 70);
        assert_eq!((tally.count("move"), place.number(A).await, place.entries().await), (1, 70, 1));
    }

    async fn a_process_that_dies_inside_leaves_nothing_and_the_closure_runs_again(place) {
        let tally = Tally::default();
        let dying = {
            let tally = tally.clone();
            Acts::default().with("move", move |mut tx| {
                let tally = tally.clone();
                Box::pin(async move {
                    tx.run(DEBIT).await?;
                    tally.pass("inside").await;
                    Ok(0)
                })
            })
        };
        let app = place.app(&tally, &dying).await;
        app.start(perform, "move".to_owned()).id("w").await.unwrap();
        tally.reached("inside").await;
        crash(app).await;
        assert_eq!((place.number(A).await, place.entries().await), (100, 0));
        let app = place.app(&tally, &moving(&tally)).await;
        assert_eq!(app.handle(perform, "w").result().await.unwrap(), 70);
        assert_eq!((place.number(A).await, place.entries().await), (70, 1));
    }

    async fn an_execution_that_lost_its_workflow_commits_nothing(place) {
        let tally = Tally::default();
        let act = |who: &'static str, taken: Option<&'static str>| {
            let tally = tally.clone();
            Acts::default().with("move", move |mut tx| {
                let tally = tally.clone();
                Box::pin(async move {
                    tally.hit(who);
                    if tally.count("zombie") == 1 {
                        match taken {
                            Some(taken) => drop(tx.run(taken).await?),
                            None => tally.pass("taken over").await,
                        }
                    }
                    tx.run(&format!("INSERT INTO ledger VALUES ('{who} {}', 1)", tally.count(who))).await?;
                    Ok(i64::from(who == "zombie"))
                })
            })
        };
        let count = "SELECT COUNT(*) AS number FROM ledger WHERE entry = 'zombie 1'";
        if place.is_one_writer() {
            // Nobody else can write while the transaction is open, so it takes the row from itself.
            let acts = act("zombie", Some("UPDATE workflow_status SET owner_xid = 'another'"));
            let app = place.app(&tally, &acts).await;
            app.start(perform, "move".to_owned()).id("w").await.unwrap();
            until_status(&app, "w", Status::Success).await;
            assert_eq!((tally.count("zombie"), place.entries().await, place.number(count).await), (2, 1, 0));
            return;
        }
        let (zombies, survivors) = (act("zombie", None), act("survivor", None));
        let node = place.node().await;
        let db = node.db.clone();
        let zombie = place.builder(node.bank, Faulty::over(node.db), &tally, &zombies)
            // It would be told by the next poll; this is about its writes.
            .poll_interval(Duration::from_secs(3600)).recovery_interval(Duration::from_secs(3600)).launch().await.unwrap();
        let handle = zombie.start(perform, "move".to_owned()).id("w").await.unwrap();
        tally.reached("taken over").await;
        db.leave(zombie.executor()).await.unwrap();
        if place.is_postgres() {
            tally.hit("zombie");
            let survivor = place.app(&tally, &survivors).await;
            until_status(&survivor, "w", Status::Success).await;
            tally.open("taken over");
            assert_eq!(handle.result().await.unwrap(), 0);
            assert_eq!(survivor.steps("w").await.unwrap().len(), 1);
        } else {
            // The survivor's transaction waits for the bank's file; the row is taken over before that.
            let survivor = place.app(&tally, &survivors).await;
            until("the workflow to be taken over", || async {
                (survivor.workflow("w").await.unwrap().attempts == 2).then_some(())
            }).await;
            tally.open("taken over");
            until_status(&survivor, "w", Status::Success).await;
            assert_eq!(handle.result().await.unwrap(), 0);
        }
        assert_eq!((place.entries().await, place.number(count).await), (1, 0));
    }

    async fn many_workflows_each_move_once(place) {
        let tally = Tally::default();
        let acts = moving(&tally);
        let app = place.app(&tally, &acts).await;
        let mut handles = Vec::new();
        for n in 0..8 {
            handles.push(app.start(perform, "move".to_owned()).id(format!("w{n}")).await.unwrap());
        }
        for handle in handles {
            handle.result().await.unwrap();
        }
        until_recorded(&app, "w7", 1).await;
        assert_eq!((place.number(A).await, place.entries().await), (100 - 8 * 30, 8));
    }
}
