//! Transactional steps under `#[durable::test]`: in real time, with tables in a file of their own.

use durable::{prelude::*, sqlite};
use durable_testkit::TestApp;

use crate::bank::sqlx;

#[durable::workflow]
async fn count(ctx: Ctx) -> Result<i64, AnyError> {
    let tables = ctx.state::<sqlite::DataSource>()?;
    let counted = tables.transaction(&ctx, "count", async |tx| {
        sqlx::query("INSERT INTO counts DEFAULT VALUES")
            .execute(&mut *tx)
            .await?;
        let count = sqlx::query_scalar("SELECT count(*) FROM counts");
        Ok::<i64, AnyError>(count.fetch_one(tx).await?)
    });
    counted.await
}

#[durable::test(real_time)]
async fn a_transactional_step_in_a_test(t: TestApp) -> Result<(), AnyError> {
    let directory = tempfile::tempdir()?;
    let tables = sqlite::DataSource::open(directory.path().join("tables.db")).await?;
    tables.migrate().await?;
    let pool = sqlx::SqlitePool::connect_lazy(&format!(
        "sqlite:{}",
        directory.path().join("tables.db").display()
    ))?;
    sqlx::query("CREATE TABLE counts (id INTEGER PRIMARY KEY)")
        .execute(&pool)
        .await?;
    let state = tables.clone();
    let app = t
        .launch(move |app| app.workflow(count).state(state.clone()))
        .await;
    let handle = app.start(count, ()).id("c").await?;
    assert_eq!(handle.result().await?, 1);
    assert_eq!(t.steps("c"), ["count"]);
    Ok(())
}
