//! Transactions that meet each other.

use durable::{Error, Isolation, db::Cause, prelude::*, state::Status};

use crate::{
    bank::{Acts, BankError, How, perform, sqlx},
    place::{Kind, Layout, Outside, Place},
    support::{Tally, bounded, until_status},
};

/// Runs each test on the servers, where transactions run beside each other.
macro_rules! on_every_server {
    ($($(#[$meta:meta])* async fn $name:ident($place:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                async fn test($place: Place) $body

                on_every_server! { @one pg_sqlx System pg_sqlx_system }
                on_every_server! { @one pg_sqlx Other pg_sqlx_other }
                on_every_server! { @one pg_diesel System pg_diesel_system }
                on_every_server! { @one pg_diesel Other pg_diesel_other }
            }
        )*
    };
    (@one $backend:ident $layout:ident $name:ident) => {
        #[tokio::test]
        async fn $name() {
            bounded(async { test(Place::$backend(Layout::$layout).await).await }).await;
        }
    };
}

/// Both transactions meet here the first time.
async fn meet(tally: &Tally, me: &str) {
    if tally.count(me) > 1 {
        return;
    }
    tally.hit("met");
    if tally.count("met") == 2 {
        tally.open("both");
    }
    tally.pass("both").await;
}

/// Runs the acts `a` and `b` at the same time.
async fn both(place: &Place, tally: &Tally, acts: &Acts) -> Vec<Result<i64, BankError>> {
    let app = place.app(tally, acts).await;
    let mut handles = Vec::new();
    for act in ["a", "b"] {
        handles.push(app.start(perform, act.to_owned()).id(act).await.unwrap());
    }
    let mut results = Vec::new();
    for handle in handles {
        results.push(handle.result().await);
    }
    results
}

/// Takes 150 from its own account if both together have as much: with both at once there would be too little.
fn withdraw(tally: &Tally, me: &'static str, acts: Acts) -> Acts {
    let tally = tally.clone();
    acts.with(me, move |mut tx| {
        let tally = tally.clone();
        Box::pin(async move {
            tally.hit(me);
            let sum = "SELECT CAST(SUM(cents) AS BIGINT) AS number FROM accounts";
            let sum = tx.number(sum).await?;
            meet(&tally, me).await;
            if sum < 150 {
                return Err(BankError::Poor);
            }
            let debit = format!("UPDATE accounts SET cents = cents - 150 WHERE id = '{me}'");
            tx.run(&debit).await?;
            Ok(sum)
        })
    })
}

/// Changes both accounts, its own first.
fn lock(tally: &Tally, me: &'static str, other: &'static str, acts: Acts) -> Acts {
    let how = How {
        isolation: Isolation::ReadCommitted,
        ..How::default()
    };
    let tally = tally.clone();
    acts.with_how(me, how, move |mut tx| {
        let tally = tally.clone();
        Box::pin(async move {
            tally.hit(me);
            tx.run(&format!(
                "UPDATE accounts SET cents = cents + 1 WHERE id = '{me}'"
            ))
            .await?;
            meet(&tally, me).await;
            tx.run(&format!(
                "UPDATE accounts SET cents = cents + 1 WHERE id = '{other}'"
            ))
            .await?;
            Ok(0)
        })
    })
}

on_every_server! {
    async fn a_serialization_failure_rolls_back_and_the_closure_runs_again(place) {
        let tally = Tally::default();
        let acts = withdraw(&tally, "b", withdraw(&tally, "a", Acts::default()));
        let mut results = both(&place, &tally, &acts).await;
        results.sort_by_key(Result::is_err);
        assert_eq!(results, [Ok(200), Err(BankError::Poor)]);
        // Once more at least: the one that runs again may meet the end of the other, too.
        assert!(tally.count("a") + tally.count("b") >= 3, "{:?}", tally.order());
        let left = place.number("SELECT CAST(SUM(cents) AS BIGINT) AS number FROM accounts").await;
        assert_eq!(left, 50);
    }

    async fn of_a_deadlock_both_come_through(place) {
        let tally = Tally::default();
        let acts = lock(&tally, "b", "a", lock(&tally, "a", "b", Acts::default()));
        assert_eq!(both(&place, &tally, &acts).await, [Ok(0), Ok(0)]);
        assert_eq!(tally.count("a") + tally.count("b"), 3, "{:?}", tally.order());
        let sum = place.number("SELECT CAST(SUM(cents) AS BIGINT) AS number FROM accounts").await;
        assert_eq!(sum, 204);
    }

    async fn who_always_meets_others_gives_up_after_the_attempts_it_has(place) {
        let tally = Tally::default();
        let (counted, at) = (tally.clone(), place.bank_at());
        let how = How { max_attempts: Some(3), ..How::default() };
        let acts = Acts::default().with_how("act", how, move |mut tx| {
            let (tally, at) = (counted.clone(), at.clone());
            Box::pin(async move {
                tally.hit("act");
                tx.number("SELECT cents AS number FROM accounts WHERE id = 'a'").await?;
                Outside::at(&at).await.tx().run("UPDATE accounts SET cents = cents + 1").await?;
                tx.run("UPDATE accounts SET cents = cents - 50 WHERE id = 'a'").await?;
                Ok(0)
            })
        });
        let app = place.app(&tally, &acts).await;
        let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
        let error = handle.result().await.unwrap_err();
        assert!(error.to_string().contains("could not serialize access"), "{error}");
        assert_eq!((tally.count("act"), app.steps("w").await.unwrap().len()), (3, 1));
        assert_eq!(place.number("SELECT cents AS number FROM accounts WHERE id = 'a'").await, 103);
    }

    async fn a_connection_that_breaks_is_no_result_and_the_closure_runs_again(place) {
        let tally = Tally::default();
        let counted = tally.clone();
        // More than the attempts at meeting others: this is none.
        let how = How { max_attempts: Some(1), ..How::default() };
        let acts = Acts::default().with_how("act", how, move |mut tx| {
            let tally = counted.clone();
            Box::pin(async move {
                tally.hit("act");
                tx.run("INSERT INTO ledger VALUES ('once', 1)").await?;
                if tally.count("act") < 3 {
                    tx.run("SELECT pg_terminate_backend(pg_backend_pid())").await?;
                }
                Ok(7)
            })
        });
        let app = place.app(&tally, &acts).await;
        let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
        assert_eq!(handle.result().await, Ok(7));
        assert_eq!((tally.count("act"), place.entries().await), (3, 1));
    }

    async fn a_business_error_with_the_servers_words_in_it_is_no_trouble(place) {
        let tally = Tally::default();
        let counted = tally.clone();
        let acts = Acts::default().with("act", move |mut tx| {
            let tally = counted.clone();
            Box::pin(async move {
                tally.hit("act");
                tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
                Err(BankError::Database("deadlock detected".to_owned()))
            })
        });
        let app = place.app(&tally, &acts).await;
        app.start(perform, "act".to_owned()).id("w").await.unwrap();
        until_status(&app, "w", Status::Error).await;
        assert_eq!((tally.count("act"), place.entries().await), (1, 0));
    }
}

/// An error that says nothing and has its source.
#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("it did not work")]
struct Wordless {
    #[serde(skip)]
    source: Option<Cause>,
}

impl From<Error> for Wordless {
    fn from(error: Error) -> Self {
        let source = Some(Cause::new(error));
        Self { source }
    }
}

impl From<sqlx::Error> for Wordless {
    fn from(error: sqlx::Error) -> Self {
        let source = Some(Cause::new(error));
        Self { source }
    }
}

/// An error that keeps nothing.
#[derive(Debug, PartialEq, thiserror::Error, serde::Serialize, serde::Deserialize)]
enum Mute {
    #[error("it did not work")]
    Somehow,
    #[error(transparent)]
    Durable(#[from] Error),
}

/// Where a closure meets another one once.
struct Rival {
    at: String,
    tally: Tally,
}

impl Rival {
    async fn steal<E: From<sqlx::Error>>(&self, tx: &mut sqlx::PgConnection) -> Result<i64, E> {
        self.tally.hit("act");
        let read = "SELECT cents FROM accounts WHERE id = 'a'";
        let cents: i64 = sqlx::query_scalar(read).fetch_one(&mut *tx).await?;
        if self.tally.count("act") == 1 {
            let mut other = Outside::at(&self.at).await;
            other
                .tx()
                .run("UPDATE accounts SET cents = 90 WHERE id = 'a'")
                .await
                .unwrap();
        }
        let write = "UPDATE accounts SET cents = 0 WHERE id = 'a'";
        sqlx::query(write).execute(&mut *tx).await?;
        Ok(cents)
    }
}

#[durable::workflow]
async fn any_error(ctx: Ctx) -> Result<i64, AnyError> {
    let (bank, rival) = (
        ctx.state::<durable::pg_sqlx::DataSource>()?,
        ctx.state::<Rival>()?,
    );
    bank.transaction(&ctx, "act", async |tx| rival.steal::<AnyError>(tx).await)
        .await
}

#[durable::workflow]
async fn wordless(ctx: Ctx) -> Result<i64, Wordless> {
    let (bank, rival) = (
        ctx.state::<durable::pg_sqlx::DataSource>()?,
        ctx.state::<Rival>()?,
    );
    bank.transaction(&ctx, "act", async |tx| rival.steal::<Wordless>(tx).await)
        .await
}

#[durable::workflow]
async fn mute(ctx: Ctx) -> Result<i64, Mute> {
    let (bank, rival) = (
        ctx.state::<durable::pg_sqlx::DataSource>()?,
        ctx.state::<Rival>()?,
    );
    bank.transaction(&ctx, "act", async |tx| {
        rival
            .steal::<sqlx::Error>(tx)
            .await
            .map_err(|_| Mute::Somehow)
    })
    .retry_if(|error| *error == Mute::Somehow)
    .await
}

#[tokio::test]
async fn a_serialization_failure_is_known_in_whatever_error_it_hides() {
    for name in ["any", "wordless", "mute"] {
        let place = Place::pg_sqlx(Layout::System).await;
        let Kind::Sqlx(pair) = &place.kind else {
            panic!()
        };
        let postgres: durable::pg_sqlx::Postgres = pair.system.options().connect().await.unwrap();
        let tally = Tally::default();
        let app = App::builder("test")
            .state(postgres.data_source())
            .state(Rival {
                at: place.bank_at(),
                tally: tally.clone(),
            })
            .workflow(any_error)
            .workflow(wordless)
            .workflow(mute)
            .backend(postgres)
            .launch()
            .await
            .unwrap();
        let cents = match name {
            "any" => app
                .start(any_error, ())
                .await
                .unwrap()
                .result()
                .await
                .unwrap(),
            "wordless" => app
                .start(wordless, ())
                .await
                .unwrap()
                .result()
                .await
                .unwrap(),
            _ => app.start(mute, ()).await.unwrap().result().await.unwrap(),
        };
        assert_eq!((cents, tally.count("act")), (90, 2), "{name}");
    }
}
