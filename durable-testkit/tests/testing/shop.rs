//! Workflows to test.

use durable::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum ShopError {
    #[error("the card is declined")]
    Declined,
    #[error("the bank does not answer")]
    Bank,
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

#[durable::step(max_attempts = 4, backoff = "1s..1m")]
pub(crate) async fn charge(order: &str) -> Result<u64, ShopError> {
    Ok(order.len() as u64)
}

/// Charges, waits for the payment, publishes that it is on its way, and ends thirty days later.
#[durable::workflow]
pub(crate) async fn checkout(ctx: Ctx, order: String) -> Result<String, ShopError> {
    let charge = charge(&ctx, &order).await?;
    let Some(payer) = ctx.recv::<String>("paid", 7 * DAY).await? else {
        return Ok(format!("{order} was never paid"));
    };
    ctx.set_event("shipped", &charge).await?;
    ctx.sleep(30 * DAY).await?;
    Ok(format!("{order} is paid by {payer}"))
}

/// Waits for a message as long as it takes.
#[durable::workflow]
pub(crate) async fn patient(ctx: Ctx) -> Result<Option<u64>, ShopError> {
    Ok(ctx.recv::<u64>("paid", Duration::MAX).await?)
}

/// Waits for a child that waits.
#[durable::workflow]
pub(crate) async fn parent(ctx: Ctx, queue: Option<String>) -> Result<Option<u64>, ShopError> {
    let child = ctx.start(patient, ());
    let child = match queue {
        Some(queue) => child.queue(queue).await?,
        None => child.await?,
    };
    child.result().await
}
