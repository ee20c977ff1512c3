//! Workflows that have not ended: what their histories show fits, and what is behind them is not known.

use durable::{AnyError, AppBuilder, Error, prelude::*};

use crate::{Bodies, Then, has, verify};

const LONG: Duration = Duration::from_secs(3600);

#[durable::workflow]
async fn approval(ctx: Ctx) -> Result<String, Error> {
    let bodies = ctx.state::<Bodies>()?;
    ctx.step("ask", || async {
        bodies.ran();
        Ok::<_, Error>(())
    })
    .await?;
    let answer = ctx.recv::<String>("answers", LONG).await?;
    Ok(answer.unwrap_or_default())
}

#[durable::workflow]
async fn sleeper(ctx: Ctx) -> Result<(), Error> {
    ctx.sleep(LONG).await?;
    let bodies = ctx.state::<Bodies>()?;
    ctx.step("late", || async {
        bodies.ran();
        Ok::<_, Error>(())
    })
    .await
}

#[durable::workflow]
async fn reader(ctx: Ctx) -> Result<(), AnyError> {
    ctx.recv::<String>("letters", LONG).await?;
    ctx.recv::<String>("letters", LONG).await?;
    Ok(())
}

fn register(builder: AppBuilder) -> AppBuilder {
    builder
        .workflow(approval)
        .workflow(sleeper)
        .workflow(reader)
}

#[tokio::test]
async fn a_history_that_fits_as_far_as_it_goes_is_safe_so_far() {
    let then = Then::in_memory(register).await;
    then.app.start(approval, ()).id("a").await.unwrap();
    then.app.start(sleeper, ()).id("b").await.unwrap();
    // The wait's timeout is recorded with it.
    then.recorded("a", 2).await;
    then.recorded("b", 1).await;
    let report = verify(&then.histories().await, register).await;
    report.assert_safe();
    assert_eq!(report.total().safe_so_far, 2);
}

#[tokio::test]
async fn a_cancelled_workflow_is_unfinished() {
    let then = Then::in_memory(register).await;
    let handle = then.app.start(sleeper, ()).await.unwrap();
    then.recorded(handle.id().as_str(), 1).await;
    handle.cancel().await.unwrap();
    let report = verify(&then.histories().await, register).await;
    assert_eq!(report.total().safe_so_far, 1);
}

mod now {
    use super::*;

    #[durable::workflow]
    pub async fn approval(ctx: Ctx) -> Result<String, Error> {
        ctx.step("beg", async || Ok::<_, Error>(())).await?;
        Ok(String::new())
    }

    #[durable::workflow]
    pub async fn reader(ctx: Ctx) -> Result<(), AnyError> {
        ctx.recv::<u64>("letters", LONG).await.ok();
        ctx.recv::<u64>("letters", LONG).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_changed_step_of_an_unfinished_workflow_differs() {
    let then = Then::in_memory(register).await;
    then.app.start(approval, ()).id("a").await.unwrap();
    then.recorded("a", 2).await;
    let report = verify(&then.histories().await, |b| b.workflow(now::approval)).await;
    has(
        &report,
        &[
            "operation 1",
            r#"recorded: "ask""#,
            r#"calls "beg" (at durable/tests/replay/unfinished.rs:"#,
        ],
    );
}

#[tokio::test]
async fn a_message_that_the_code_cannot_read_any_more_is_told() {
    let then = Then::in_memory(register).await;
    then.app.start(reader, ()).id("a").await.unwrap();
    then.app.send("a", "letters", "hello").await.unwrap();
    // The message, and the timeout of the second wait.
    then.recorded("a", 2).await;
    let histories = then.histories().await;
    verify(&histories, register).await.assert_safe();
    let report = verify(&histories, |b| b.workflow(now::reader)).await;
    has(
        &report,
        &[
            "cannot be decoded",
            "operation 1 (DBOS.recv) of workflow \"a\" received cannot be read as u64",
        ],
    );
}

#[durable::workflow(name = "sleeper", allow(sleep))]
async fn wakeful(_ctx: Ctx) -> Result<(), Error> {
    tokio::time::sleep(LONG).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_something_else_is_no_verdict_on_the_code() {
    let then = Then::in_memory(register).await;
    let handle = then.app.start(sleeper, ()).await.unwrap();
    then.recorded(handle.id().as_str(), 1).await;
    let report = verify(&then.histories().await, |b| b.workflow(wakeful)).await;
    has(&report, &["cannot be replayed", "no durable operation"]);
}
