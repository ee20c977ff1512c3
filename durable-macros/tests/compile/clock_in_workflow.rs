use durable::prelude::*;

#[durable::workflow]
async fn checkout(ctx: Ctx) -> Result<(), AnyError> {
    let begin = std::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    ctx.step("fine", || async { Ok::<_, AnyError>(std::time::Instant::now().elapsed()) }).await?;
    println!("{begin:?}");
    Ok(())
}

fn main() {}
