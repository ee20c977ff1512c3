use durable::prelude::*;

#[durable::workflow]
async fn checkout(ctx: Ctx, name: String) -> Result<usize, AnyError> {
    ctx.step("async move", async move || Ok::<_, AnyError>(name.len())).await
}

fn main() {}
