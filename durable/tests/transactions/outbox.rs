//! Workflows and messages that go in with a transaction.

use durable::{App, Error, prelude::*};
use durable_testkit::faults::Faulty;

use crate::{
    bank::{Bank, BankError, Tx, sqlx},
    place::{Layout, Place, on_every_bank},
    support::{Tally, until},
};

#[durable::workflow]
async fn ship(_ctx: Ctx, parcel: String) -> Result<String, Error> {
    Ok(format!("{parcel} on its way"))
}

#[durable::workflow]
async fn other(_ctx: Ctx) -> Result<(), Error> {
    Ok(())
}

/// Waits for a message.
#[durable::workflow]
async fn wait(ctx: Ctx) -> Result<Option<String>, Error> {
    ctx.recv::<String>("news", Duration::from_secs(3600)).await
}

/// Writes, enqueues and sends in one transaction, and then fails or not.
#[durable::workflow]
async fn order(ctx: Ctx, fails: bool) -> Result<String, BankError> {
    let bank = ctx.state::<Bank>()?;
    macro_rules! run {
        ($source:expr, $wrap:path) => {
            $source
                .transaction(&ctx, "order", async |conn| {
                    $wrap(conn)
                        .run("INSERT INTO ledger VALUES ('order', 1)")
                        .await?;
                    let shipped = $source
                        .enqueue(&ctx, conn, ship, "parcel".to_owned())
                        .queue("work")
                        .id("shipped")
                        .await?;
                    $source.send(&ctx, conn, "waiting", "news", &"sent").await?;
                    if fails {
                        return Err(BankError::Poor);
                    }
                    Ok::<_, BankError>(shipped.id().to_string())
                })
                .await
        };
    }
    match &*bank {
        Bank::Sqlite(source) => run!(source, Tx::Sqlite),
        Bank::Sqlx(source) => run!(source, Tx::Sqlx),
        Bank::Diesel(source) => run!(source, Tx::Diesel),
    }
}

/// An application that is told of nothing by polling.
async fn app(place: &Place) -> (App, Bank) {
    let node = place.node().await;
    let app = place
        .builder(
            node.bank.clone(),
            Faulty::over(node.db),
            &Tally::default(),
            &crate::bank::Acts::default(),
        )
        .poll_interval(Duration::from_secs(3600))
        .workflow(ship)
        .workflow(other)
        .workflow(wait)
        .workflow(order)
        .queue("work")
        .launch()
        .await
        .unwrap();
    (app, node.bank)
}

on_every_bank! {
    async fn what_is_enqueued_and_sent_is_there_with_the_writes_and_is_told_at_once(place) {
        let (app, _) = app(&place).await;
        let waiting = app.start(wait, ()).id("waiting").await.unwrap();
        // A listener that is not there yet would hear nothing.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let ordered = app.start(order, false).id("order").await.unwrap().result().await;
        if place.layout == Layout::Other {
            let error = ordered.unwrap_err();
            assert!(matches!(&error, BankError::Durable(Error::Invalid(why)) if why.contains("another database")), "{error}");
            assert_eq!(place.entries().await, 0);
            return;
        }
        assert_eq!(ordered, Ok("shipped".to_owned()));
        assert_eq!(app.handle(ship, "shipped").result().await.unwrap(), "parcel on its way");
        assert_eq!(waiting.result().await.unwrap().as_deref(), Some("sent"));
        let row = app.workflow("shipped").await.unwrap();
        assert_eq!(row.parent.as_ref().map(AsRef::as_ref), Some("order"));
        assert_eq!(place.entries().await, 1);
    }

    async fn what_is_enqueued_and_sent_vanishes_with_the_writes(place) {
        let (app, _) = app(&place).await;
        app.start(wait, ()).id("waiting").await.unwrap();
        assert!(app.start(order, true).id("order").await.unwrap().result().await.is_err());
        assert!(matches!(app.workflow("shipped").await, Err(Error::NotFound { .. })));
        let table = if place.is_postgres() { "dbos.notifications" } else { "notifications" };
        let messages = format!("SELECT COUNT(*) AS number FROM {table}");
        assert_eq!(place.system().await.tx().number(&messages).await, Ok(0));
        assert_eq!(place.entries().await, 0);
    }
}

/// A handler of the application, with a transaction of its own.
macro_rules! handler {
    ($place:expr, $kind:ident, $conn:ty) => {{
        let place = $place;
        let (app, bank) = app(&place).await;
        let Bank::$kind(source) = &bank else { panic!() };
        app.start(wait, ()).id("waiting").await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (id, keep) in [("dropped", false), ("kept", true)] {
            let mut conn = <$conn as sqlx::Connection>::connect(&place.bank_at())
                .await
                .unwrap();
            let mut tx = sqlx::Connection::begin(&mut conn).await.unwrap();
            sqlx::query("INSERT INTO ledger VALUES ('by hand', 1)")
                .execute(&mut *tx)
                .await
                .unwrap();
            let handle = source
                .enqueue(&app, &mut *tx, ship, id.to_owned())
                .queue("work")
                .id(id)
                .await
                .unwrap();
            source
                .send(&app, &mut *tx, "waiting", "news", id)
                .await
                .unwrap();
            // What is there already is joined, if it is the same workflow.
            source
                .enqueue(&app, &mut *tx, ship, id.to_owned())
                .queue("work")
                .id(id)
                .await
                .unwrap();
            let error = source
                .enqueue(&app, &mut *tx, other, ())
                .queue("work")
                .id(id)
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Conflict { .. }), "{error}");
            let error = source
                .enqueue(&app, &mut *tx, ship, id.to_owned())
                .await
                .unwrap_err();
            assert!(error.to_string().contains(".queue("), "{error}");
            let error = source
                .send(&app, &mut *tx, "nobody", "news", id)
                .await
                .unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
            if keep {
                tx.commit().await.unwrap();
                assert_eq!(handle.result().await.unwrap(), "kept on its way");
            } else {
                tx.rollback().await.unwrap();
            }
        }
        assert!(matches!(
            app.workflow("dropped").await,
            Err(Error::NotFound { .. })
        ));
        assert_eq!(
            app.handle(wait, "waiting")
                .result()
                .await
                .unwrap()
                .as_deref(),
            Some("kept")
        );
        assert_eq!(place.entries().await, 1);
    }};
}

#[tokio::test]
async fn an_applications_own_transaction_enqueues_and_sends_on_sqlite() {
    crate::support::bounded(async {
        handler!(
            Place::sqlite(Layout::System).await,
            Sqlite,
            sqlx::SqliteConnection
        );
    })
    .await;
}

#[tokio::test]
async fn an_applications_own_transaction_enqueues_and_sends_on_postgres() {
    crate::support::bounded(async {
        handler!(
            Place::pg_sqlx(Layout::System).await,
            Sqlx,
            sqlx::PgConnection
        );
    })
    .await;
}

/// A source of another system database than the application's.
#[tokio::test]
async fn a_source_of_another_system_database_is_refused_in_words() {
    let (place, elsewhere) = (
        Place::sqlite(Layout::System).await,
        Place::sqlite(Layout::System).await,
    );
    let (node, wrong) = (place.node().await, elsewhere.node().await.bank);
    let acts = crate::bank::Acts::default().with("act", |mut tx| {
        Box::pin(async move {
            tx.run("INSERT INTO ledger VALUES ('no', 1)").await?;
            Ok(0)
        })
    });
    let reasons = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&reasons);
    let app = place
        .builder(wrong, Faulty::over(node.db), &Tally::default(), &acts)
        .observe(move |event| {
            if let durable::Event::WorkflowStopped { reason, .. } = event {
                seen.lock().unwrap().push((*reason).to_owned());
            }
        })
        .launch()
        .await
        .unwrap();
    app.start(crate::bank::perform, "act".to_owned())
        .id("w")
        .await
        .unwrap();
    let reason = until("the refusal", || async {
        reasons.lock().unwrap().first().cloned()
    })
    .await;
    assert!(
        reason.contains("does not hold this workflow") && reason.contains("DataSource::connect"),
        "{reason}"
    );
    assert_eq!(elsewhere.entries().await, 0);
}
