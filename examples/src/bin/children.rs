//! Fan-out and join: a report of many regions, one child workflow for each, all at once.
//!
//!     cargo run -p examples --bin children
//!
//! The children are started in a fixed order and joined; each is a workflow of its own, with its own checkpoints, and survives its
//! parent's crash.

use durable::{prelude::*, sqlite::Sqlite};
use futures_util::future::try_join_all;

#[durable::workflow]
async fn yearly_report(ctx: Ctx, regions: Vec<String>) -> Result<u64, AnyError> {
    let mut children = Vec::new();
    for region in regions {
        children.push(ctx.start(count_sales, region).await?);
    }
    // All waits are built, and so numbered, before any is awaited: their order does not depend on who is first.
    let results: Vec<_> = children.iter().map(|child| child.result()).collect();
    let totals = try_join_all(results).await?;
    Ok(totals.iter().sum())
}

#[durable::workflow]
async fn count_sales(ctx: Ctx, region: String) -> Result<u64, AnyError> {
    let mut total = 0;
    for quarter in 1..=4_u64 {
        total += count_quarter(&ctx, &region, quarter).await?;
    }
    println!("  {region}: {total}");
    Ok(total)
}

#[durable::step]
async fn count_quarter(region: &str, quarter: u64) -> Result<u64, AnyError> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(region.len() as u64 * quarter)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let app = App::builder("children")
        .backend(Sqlite::in_memory().await?)
        .workflow(yearly_report)
        .workflow(count_sales)
        .launch()
        .await?;
    let regions = ["north", "east", "south", "west"]
        .map(String::from)
        .to_vec();
    let report = app.start(yearly_report, regions).id("report-2026").await?;
    println!("total: {}", report.result().await?);
    for step in app.steps("report-2026").await? {
        let child = step.child.map(|id| format!(" of {id}")).unwrap_or_default();
        println!("  recorded {}: {}{child}", step.number, step.name);
    }
    app.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
