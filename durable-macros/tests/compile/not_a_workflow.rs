use durable::prelude::*;

async fn checkout(_ctx: Ctx, order: String) -> Result<String, AnyError> {
    Ok(order)
}

fn main() {
    let _ = App::builder("shop").workflow(checkout);
}
