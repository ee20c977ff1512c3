use durable::prelude::*;

async fn keep(name: String) -> Result<usize, AnyError> {
    Ok(name.len())
}

#[durable::workflow]
async fn checkout(ctx: Ctx, name: String) -> Result<usize, AnyError> {
    ctx.step("keep", || keep(name)).await
}

#[durable::workflow]
async fn with_its_context(ctx: Ctx, name: String) -> Result<usize, AnyError> {
    ctx.step("keep", move |step: StepCtx| async move {
        let _ = step.attempt();
        keep(name).await
    })
    .await
}

fn main() {}
