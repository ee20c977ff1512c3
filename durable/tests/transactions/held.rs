//! Closures that have SQLite's only writer.

use std::sync::{Arc, OnceLock};

use durable::{DatabaseHealth, Error, prelude::*};

use crate::{
    bank::{Acts, BankError, perform},
    place::{Layout, Place},
    support::{Tally, bounded, until},
};

type Shared = Arc<OnceLock<App>>;

/// An application whose act calls the application.
async fn calling<Fut>(place: &Place, call: fn(App) -> Fut) -> App
where
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    let shared = Shared::default();
    let seen = Arc::clone(&shared);
    let acts = Acts::default()
        .with("act", move |mut tx| {
            let app = seen.get().expect("it is launched").clone();
            Box::pin(async move {
                tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
                call(app).await?;
                Ok(1)
            })
        })
        .with("plain", |mut tx| {
            Box::pin(async move {
                tx.run("INSERT INTO ledger VALUES ('yes', 1)").await?;
                Ok(2)
            })
        });
    let app = place.app(&Tally::default(), &acts).await;
    shared.set(app.clone()).expect("it is set once");
    app
}

/// What the step says of the call. Panics if the process does not go on after it.
async fn refused<Fut>(call: fn(App) -> Fut) -> String
where
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    let place = Place::sqlite(Layout::System).await;
    let app = calling(&place, call).await;
    let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
    let error = handle.result().await.unwrap_err();
    let handle = app.start(perform, "plain".to_owned()).await.unwrap();
    assert_eq!(handle.result().await, Ok(2));
    assert_eq!(place.entries().await, 1);
    let BankError::Durable(error) = error else {
        panic!("{error}");
    };
    error.to_string()
}

async fn send(app: App) -> Result<(), Error> {
    app.send("w", "topic", &1).await
}

async fn start(app: App) -> Result<(), Error> {
    let started = app.start(perform, "plain".to_owned()).id("other");
    started.await.map(drop)
}

async fn cancel(app: App) -> Result<(), Error> {
    app.cancel("w").await.map(drop)
}

#[tokio::test]
async fn a_call_that_needs_the_writer_is_refused_inside_a_closure_that_has_it() {
    bounded(async {
        for why in [
            refused(send).await,
            refused(start).await,
            refused(cancel).await,
        ] {
            for part in [
                "\"act\"",
                "the one writer",
                "`enqueue` or `send` of the data source",
            ] {
                assert!(why.contains(part), "{part:?} in {why}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_inside_a_closure_is_answered() {
    bounded(async {
        async fn read(app: App) -> Result<(), Error> {
            app.workflow("w").await.map(drop)
        }
        let place = Place::sqlite(Layout::System).await;
        let app = calling(&place, read).await;
        let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
        assert_eq!(handle.result().await, Ok(1));
    })
    .await;
}

#[tokio::test]
async fn a_closure_that_has_the_writer_for_long_is_shown_by_health() {
    bounded(async {
        let place = Place::sqlite(Layout::System).await;
        let tally = Tally::default();
        let gate = tally.clone();
        let acts = Acts::default().with("act", move |_| {
            let gate = gate.clone();
            Box::pin(async move {
                gate.pass("gate").await;
                Ok(1)
            })
        });
        let app = place.app(&tally, &acts).await;
        let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
        let held = until("health to tell", || async {
            match app.health().database {
                DatabaseHealth::Held {
                    lasting,
                    workflow,
                    step,
                    ..
                } => Some((lasting, workflow, step)),
                _ => None,
            }
        })
        .await;
        assert!(held.0 >= Duration::from_secs(5));
        assert_eq!((held.1.as_str(), held.2.as_str()), ("w", "act"));
        assert!(!app.health().is_ready());
        tally.open("gate");
        assert_eq!(handle.result().await, Ok(1));
        assert_eq!(app.health().database, DatabaseHealth::Up);
    })
    .await;
}
