//! Names that the macros use themselves, and names that are keywords.

use std::sync::Arc;

use durable::prelude::*;

fn body(left: u32, right: u32) -> u32 {
    left + right
}

#[durable::workflow]
async fn calls_body(ctx: Ctx, body: u32, names: u32, this: u32) -> Result<u32, AnyError> {
    let _ = ctx;
    Ok(body + names + this)
}

#[durable::workflow]
async fn calls_a_function_called_body(ctx: Ctx, n: u32) -> Result<u32, AnyError> {
    let all = every_name(&ctx, n, 2, 3, "given".to_owned(), &n).await?;
    let keyword = r#yield(&ctx, n).await?;
    Ok(body(all, keyword))
}

#[durable::step]
async fn every_name(step: StepCtx, body: u32, info: u32, owned: u32, given: String, ctx: &u32) -> Result<u32, AnyError> {
    Ok(step.attempt() + body + info + owned + given.len() as u32 + ctx)
}

#[durable::step]
async fn context_by_value(info: StepCtx, ctx: u32) -> Result<u32, AnyError> {
    Ok(body(info.attempt(), ctx))
}

#[durable::step]
async fn lifetime<'step>(name: &'step str, other: &str) -> Result<usize, AnyError> {
    Ok(name.len() + other.len())
}

#[durable::step]
async fn r#yield(r#type: u32) -> Result<u32, AnyError> {
    Ok(r#type)
}

#[durable::workflow]
async fn r#move(ctx: Ctx, r#type: u32, _type: u32) -> Result<u32, AnyError> {
    let _ = context_by_value(&ctx, 1).await?;
    let _ = lifetime(&ctx, "a", "b").await?;
    Ok(r#type)
}

#[durable::workflow]
async fn underscores(ctx: Ctx, _a: u32, a: u32, __b: u32, _b: u32) -> Result<u32, AnyError> {
    let _ = ctx;
    Ok(a)
}

#[durable::workflow]
async fn contexts(_ctx: Ctx, ctx: u32) -> Result<u32, AnyError> {
    Ok(ctx)
}

struct Shop(u32);

#[durable::workflows]
impl Shop {
    #[workflow]
    async fn body(&self, ctx: Ctx, this: u32, body: u32) -> Result<u32, AnyError> {
        let _ = ctx;
        Ok(self.0 + this + body)
    }

    #[workflow]
    async fn r#move(self: Arc<Self>, ctx: Ctx, this: u32, r#type: u32) -> Result<u32, AnyError> {
        let _ = ctx;
        Ok(self.0 + this + r#type)
    }
}

fn main() {
    let _ = App::builder("names")
        .workflow(calls_body)
        .workflow(calls_a_function_called_body)
        .workflow(r#move)
        .workflow(underscores)
        .workflow(contexts)
        .instance("one", Arc::new(Shop(1)));
}
