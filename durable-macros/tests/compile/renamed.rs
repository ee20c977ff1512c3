//! The library under another name.

mod engine {
    pub use durable::*;
}

use std::sync::Arc;

use engine::prelude::*;

#[engine::step(crate = "crate::engine", max_attempts = 3)]
async fn charge(step: StepCtx, order: &str) -> Result<usize, AnyError> {
    Ok(order.len() + step.attempt() as usize)
}

#[engine::workflow(crate = "crate::engine")]
async fn checkout(ctx: Ctx, order: String) -> Result<usize, AnyError> {
    charge(&ctx, &order).await
}

struct Shop;

#[engine::workflows(crate = "crate::engine")]
impl Shop {
    #[workflow]
    async fn refund(&self, ctx: Ctx, order: String) -> Result<usize, AnyError> {
        charge(&ctx, &order).await
    }
}

fn main() {
    let _ = engine::App::builder("shop").workflow(checkout).instance("eu", Arc::new(Shop));
}
