use durable::prelude::*;

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("declined")]
struct Declined;

#[durable::workflow]
async fn checkout(ctx: Ctx) -> Result<(), Declined> {
    let _ = ctx;
    Ok(())
}

fn main() {}
