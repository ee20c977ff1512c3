use durable::prelude::*;

#[durable::workflow]
async fn checkout(ctx: Ctx) -> Result<(), AnyError> {
    let id = uuid::Uuid::new_v4();
    let key = std::env::var("KEY");
    let text = std::fs::read_to_string("key");
    tokio::spawn(async {});
    tokio::select! {
        done = ctx.sleep(Duration::from_secs(1)) => done?,
    }
    ctx.state::<App>()?.cancel("other").await?;
    Ok(())
}

#[durable::workflow(allow(random, env, io, spawn, race, app))]
async fn allowed(ctx: Ctx) -> Result<(), AnyError> {
    let _ = (ctx.state::<App>()?, std::env::var("KEY"), std::fs::read_to_string("key"));
    Ok(())
}

fn main() {}
