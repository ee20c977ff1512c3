use durable::prelude::*;

#[durable::workflow]
async fn charge(_ctx: Ctx, cents: u32) -> Result<u32, AnyError> {
    Ok(cents)
}

#[durable::workflow]
async fn checkout(ctx: Ctx) -> Result<u32, AnyError> {
    charge(ctx.clone(), 7).await
}

fn main() {}
