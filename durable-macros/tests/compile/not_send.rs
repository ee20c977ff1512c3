use durable::prelude::*;

#[durable::workflow]
async fn checkout(ctx: Ctx) -> Result<(), AnyError> {
    let shared = std::rc::Rc::new(1);
    ctx.sleep(Duration::from_secs(1)).await?;
    println!("{shared}");
    Ok(())
}

fn main() {}
