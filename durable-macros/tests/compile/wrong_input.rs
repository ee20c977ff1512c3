use durable::prelude::*;

#[durable::workflow]
async fn checkout(_ctx: Ctx, order: String) -> Result<String, AnyError> {
    Ok(order)
}

async fn start(app: App) {
    let _ = app.start(checkout, 7).await;
}

fn main() {}
