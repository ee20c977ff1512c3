use durable::prelude::*;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

#[durable::workflow]
async fn checkout(_ctx: Ctx) -> Result<(), Boxed> {
    Ok(())
}

#[durable::workflow]
async fn steps(ctx: Ctx) -> Result<(), AnyError> {
    let _boxed = ctx.step("boxed", async || Ok::<_, Boxed>(()));
    Ok(())
}

fn main() {}
