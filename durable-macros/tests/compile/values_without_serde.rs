use durable::prelude::*;

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("declined")]
    Declined,
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

struct Receipt;

#[durable::workflow]
async fn fails(_ctx: Ctx) -> Result<(), ShopError> {
    Err(ShopError::Declined)
}

#[durable::workflow]
async fn gives(_ctx: Ctx) -> Result<Receipt, AnyError> {
    Ok(Receipt)
}

#[durable::step]
async fn gives_in_a_step() -> Result<Receipt, AnyError> {
    Ok(Receipt)
}

#[durable::workflow]
async fn steps(ctx: Ctx) -> Result<(), AnyError> {
    let _gives = ctx.step("gives", async || Ok::<_, AnyError>(Receipt));
    let _fails = ctx.step("fails", async || Err::<(), _>(ShopError::Declined));
    Ok(())
}

fn main() {}
