use durable::prelude::*;

#[durable::step]
fn not_async(order: &str) -> Result<(), AnyError> {
    Ok(())
}

#[durable::step]
async fn no_result(order: &str) {}

#[durable::step]
async fn with_context(ctx: &Ctx) -> Result<(), AnyError> {
    Ok(())
}

#[durable::step(retry = 3)]
async fn unknown_option() -> Result<(), AnyError> {
    Ok(())
}

#[durable::step(backoff = "2s")]
async fn without_retries() -> Result<(), AnyError> {
    Ok(())
}

fn main() {}
