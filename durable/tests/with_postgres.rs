//! How an application tests its workflows on Postgres, as an example to be copied: `PgServer` finds a server or starts one, and each test has
//! a database of its own there. Through either driver.
//!
//!     cargo test --features pg-sqlx,pg-diesel --test with_postgres
//!
//! An application has in its `Cargo.toml`, with the feature of its driver only:
//!
//!     [dev-dependencies]
//!     durable-testkit = { version = "…", features = ["pg"] }

use std::time::Duration;

use durable::{pg_diesel::DieselDriver, pg_sqlx::SqlxDriver, prelude::*};
use durable_testkit::pg::{PgServer, Proxy, proxy::Lost};

type Outcome = Result<(), AnyError>;

#[durable::step]
async fn charge(order: &str) -> Result<u64, AnyError> {
    Ok(100 * order.len() as u64)
}

#[durable::workflow]
async fn checkout(ctx: Ctx, order: String) -> Result<u64, AnyError> {
    let cents = charge(&ctx, &order).await?;
    ctx.sleep(Duration::from_millis(10)).await?;
    ctx.step("ship", || async move { Ok(cents) }).await
}

#[tokio::test]
async fn an_order_is_charged_through_sqlx() -> Outcome {
    let database = PgServer::shared().await?.database::<SqlxDriver>().await?;
    let backend = database.options().connect().await?;
    let app = App::builder("shop").backend(backend).workflow(checkout);
    let app = app.launch().await?;
    let handle = app.start(checkout, "order-1".to_owned()).await?;
    assert_eq!(handle.result().await?, 700);
    app.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

#[tokio::test]
async fn an_order_is_charged_through_diesel() -> Outcome {
    let database = PgServer::shared().await?.database::<DieselDriver>().await?;
    let backend = database.options().connect().await?;
    let app = App::builder("shop").backend(backend).workflow(checkout);
    let app = app.launch().await?;
    let handle = app.start(checkout, "order-1".to_owned()).await?;
    assert_eq!(handle.result().await?, 700);
    app.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

/// The answers of the database get lost on their way: the order is charged nevertheless.
#[tokio::test]
async fn an_order_outlives_the_connection_to_its_database() -> Outcome {
    let database = PgServer::shared().await?.database::<SqlxDriver>().await?;
    let proxy = Proxy::to(database.url());
    let backend = durable::pg_sqlx::Postgres::connect(proxy.url()).await?;
    let app = App::builder("shop").backend(backend).workflow(checkout);
    let app = app.launch().await?;
    let handle = app.start(checkout, "order-1".to_owned()).await?;
    proxy.cut(Lost::Answers);
    assert_eq!(handle.result().await?, 700);
    app.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
