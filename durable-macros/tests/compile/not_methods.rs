use durable::prelude::*;

struct Shop;

#[durable::workflows]
impl Shop {
    fn helper(&self) {}
}

struct Bank;

#[durable::workflows]
impl Bank {
    #[workflow]
    async fn transfer(&mut self, ctx: Ctx) -> Result<(), AnyError> {
        Ok(())
    }
}

#[durable::workflow]
async fn method(&self, ctx: Ctx) -> Result<(), AnyError> {
    Ok(())
}

#[durable::workflow]
async fn no_context(order: String) -> Result<(), AnyError> {
    Ok(())
}

fn main() {}
