//! The code of `docs/testing.md`, compiled and run: each of its blocks stands here word for word, which the last test sees to.

use durable::prelude::*;
use durable_testkit::{TestApp, sim};

/// Stands for whoever takes the money: the service itself in production, a fake of it in tests.
type Bank = sim::Service;

#[durable::workflow]
async fn checkout(ctx: Ctx, order: String) -> Result<String, AnyError> {
    let bank = ctx.state::<Bank>()?;
    ctx.step("charge", |step: StepCtx| {
        let (bank, order) = (bank.clone(), order.clone());
        async move {
            let key = format!("{}/{}", step.workflow_id(), step.step_id());
            bank.call(format!("charge {order}")).key(key).await;
            Ok::<_, AnyError>(())
        }
    })
    .await?;
    let address: Option<String> = ctx.recv("address", Duration::from_secs(7 * 86_400)).await?;
    match address {
        Some(address) => Ok(format!("{order} goes to {address}")),
        None => Ok(format!("{order} was never claimed")),
    }
}

#[durable::test]
async fn an_order_goes_to_its_address(t: TestApp) -> Result<(), AnyError> {
    let app = t
        .launch(|app| app.workflow(checkout).state(Bank::new("bank")))
        .await;
    let handle = app.start(checkout, "book".to_owned()).id("order-1").await?;
    t.send("order-1", "address", "Ada").await?;
    assert_eq!(handle.result().await?, "book goes to Ada");
    assert_eq!(t.steps("order-1"), ["charge", "DBOS.recv"]);
    Ok(())
}

#[durable::test]
async fn an_order_is_not_kept_for_ever(t: TestApp) -> Result<(), AnyError> {
    let app = t
        .launch(|app| app.workflow(checkout).state(Bank::new("bank")))
        .await;
    let handle = app.start(checkout, "book".to_owned()).await?;
    assert_eq!(handle.result().await?, "book was never claimed"); // a week, at once
    Ok(())
}

#[test]
fn nobody_is_charged_twice_whatever_crashes() {
    sim::check(checkout, "book".to_owned())
        .service("bank")
        .crash_everywhere()
        .invariant(|end| match end.service("bank").effects().len() {
            1 => Ok(()),
            charges => Err(format!("the bank was charged {charges} times")),
        })
        .run();
}

/// Every block of Rust in the page is a part of this file.
#[test]
fn the_page_shows_what_is_run_here() {
    let page = include_str!("../../docs/testing.md");
    let code = include_str!("testing_page.rs");
    let mut blocks = page
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next());
    let mut count = 0;
    while let Some(Some(block)) = blocks.next() {
        assert!(
            code.contains(block),
            "this block of docs/testing.md is not run:\n{block}"
        );
        count += 1;
    }
    assert!(count >= 3, "{count} blocks");
}
