//! The code of `docs/testing.md`, compiled and run: each of its blocks stands here word for word, which the last test sees to.

use std::{fs::File, path::Path};

use durable::{AppBuilder, prelude::*, sqlite::Sqlite};
use durable_testkit::{TestApp, replay, sim};

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

#[test]
fn an_address_is_taken_whatever_crashes() {
    sim::check(checkout, "book".to_owned())
        .service("bank")
        .send("address", "Ada")
        .crash_everywhere()
        .invariant(|end| match end.value() {
            Some(r#""book goes to Ada""#) => Ok(()),
            other => Err(format!("it ended with {other:?}")),
        })
        .run();
}

/// Writes the workflows of an application to a file; `shop` is what `App::builder` was given. Any backend will do.
async fn export(db: &Sqlite, file: &Path) -> Result<(), AnyError> {
    replay::export(db, "shop", File::create(file)?).await?;
    Ok(())
}

fn register(app: AppBuilder) -> AppBuilder {
    app.workflow(checkout).state(Bank::new("bank"))
}

/// What `cargo test` runs on each change, on a file that was exported once.
async fn the_code_of_today_fits(file: &Path) -> Result<(), AnyError> {
    let histories = replay::read(file)?;
    let report = replay::verify(&histories, register).await?;
    report.assert_safe(); // or it shows where code and history part
    Ok(())
}

#[tokio::test]
async fn the_code_of_today_fits_what_was_exported() -> Result<(), AnyError> {
    let directory = tempfile::tempdir()?;
    let (db, file) = (Sqlite::in_memory().await?, directory.path().join("shop"));
    let app = register(App::builder("shop")).backend(db.clone());
    let app = app.workflow(in_an_hour).launch().await?;
    let handle = app.start(checkout, "book".to_owned()).id("order-1").await?;
    app.send("order-1", "address", &"Ada").await?;
    assert_eq!(handle.result().await?, "book goes to Ada");
    export(&db, &file).await?;
    assert_eq!(replay::read(&file)?.len(), 1);
    the_code_of_today_fits(&file).await?;
    let handle = app.start(in_an_hour, "all well".to_owned()).await?;
    assert_eq!(handle.result().await?, "all well!");
    app.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// An hour for all of it, however often the process crashes. What loses is dropped.
#[durable::workflow]
async fn in_an_hour(ctx: Ctx, report: String) -> Result<String, AnyError> {
    let write = ctx.step("write", || async {
        Ok::<_, AnyError>(format!("{report}!"))
    });
    let limit = ctx.sleep(Duration::from_secs(3600));
    tokio::select! {
        biased;
        written = write => written,
        _ = limit => Err(AnyError::msg("it took too long")),
    }
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
