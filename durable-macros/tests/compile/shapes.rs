//! Shapes that users write, which must go on compiling.

use std::{collections::BTreeMap, sync::Arc};

use durable::prelude::*;

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
enum ShopError {
    #[error("declined")]
    Declined,
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Order {
    id: u32,
    names: Vec<String>,
}

type ShopResult<T> = Result<T, ShopError>;

async fn print_label(order: &Order) -> ShopResult<String> {
    Ok(format!("{}", order.id))
}

#[durable::step(max_attempts = 3, backoff = "1ms..2ms", factor = 1.5, jitter = 0.1, timeout = "1s")]
async fn charge(step: StepCtx, order: &Order, note: String, by_name: &BTreeMap<&str, u8>) -> ShopResult<u32> {
    let _ = (step.attempt(), note, by_name);
    if order.id == 0 { Err(ShopError::Declined) } else { Ok(order.id) }
}

#[durable::step]
async fn generic<T: Clone + Send + std::fmt::Debug>(value: T, names: &[String]) -> ShopResult<String> {
    Ok(format!("{value:?} {}", names.len()))
}

/// A workflow with every kind of closure.
#[durable::workflow]
pub async fn checkout(ctx: Ctx, mut order: Order, fast: bool) -> Result<String, ShopError> {
    order.names.push("x".to_owned());
    let by_name = BTreeMap::from([("a", 1)]);
    let charged = charge(&ctx, &order, "note".to_owned(), &by_name).await?;
    let borrowed = ctx.step("borrowed", || print_label(&order)).max_attempts(3).await?;
    let name = borrowed.clone();
    let block = ctx.step("async block", || async { print_label(&order).await.map(|s| s + &name) }).await?;
    let closure = ctx.step("async closure", async || print_label(&order).await).await?;
    let told = ctx.step("told", |step: StepCtx| { let order = &order; async move { Ok::<_, ShopError>(step.attempt() + order.id) } }).await?;
    let owned = block.clone();
    let moved = ctx.step("moved", move || { let owned = owned.clone(); async move { Ok::<_, ShopError>(owned) } }).await?;
    let of_type = generic(&ctx, charged, &order.names).await?;
    let steps: Vec<_> = (0..3).map(|n| ctx.step(format!("dynamic {n}"), move || async move { Ok::<_, ShopError>(n) })).collect();
    let all = futures_util::future::try_join_all(steps).await?;
    if fast {
        ctx.step("limited", || print_label(&order)).timeout(Duration::from_secs(1)).retry_if(|error| matches!(error, ShopError::Declined)).await?;
    }
    Ok(format!("{closure}{told}{moved}{of_type}{all:?}"))
}

struct Shop;

#[durable::workflows]
impl Shop {
    #[workflow]
    async fn refund(&self, ctx: Ctx, order: Order) -> Result<u32, AnyError> {
        "7".parse::<u32>()?;
        let _ = ctx;
        Ok(order.id)
    }
}

async fn user_code(app: App) -> Result<(), AnyError> {
    let order = Order { id: 1, names: vec![] };
    // A local of the workflow's name is no problem.
    let checkout_handle = app.start(checkout, (order.clone(), true)).id("order-1").await?;
    let checkout = checkout_handle.result().await?;
    let refunded: u32 = app.start_on("eu", Shop::refund, order).await?.result().await?;
    println!("{checkout} {refunded}");
    Ok(())
}

fn spawned<F: Future<Output = T> + Send + 'static, T>(_: F) {}

fn main() {
    let _ = App::builder("shop").workflow(checkout).instance("eu", Arc::new(Shop)).state(1_u8);
    let _ = |app: App| spawned(async move { user_code(app).await.map_err(|error| error.to_string()) });
}
