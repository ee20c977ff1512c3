//! Steps with types of their own, and attributes that concern more than the function.

#![deny(unused, unfulfilled_lint_expectations, missing_docs)]

use std::sync::Arc;

use durable::prelude::*;

trait Table {
    const NAME: &'static str;
}

struct Users;

impl Table for Users {
    const NAME: &'static str = "users";
}

#[durable::step]
async fn purge<T: Table>(n: u32) -> Result<String, AnyError> {
    Ok(format!("{} {n}", T::NAME))
}

#[durable::step]
async fn repeat<'a, T: Table, const N: usize>(name: &'a str) -> Result<String, AnyError> {
    Ok(format!("{}{}", T::NAME, name.repeat(N)))
}

#[durable::step]
async fn applied(n: fn(&str) -> u32, of: Arc<dyn Fn(&str) -> &str + Send + Sync>, by: &(dyn Fn(&u32) -> u32 + Sync)) -> Result<u32, AnyError> {
    Ok(by(&n(of("a"))))
}

#[durable::step]
async fn bounded<F: Fn(&str) -> u32 + Clone + Send>(f: F, names: &[&str]) -> Result<u32, AnyError> {
    Ok(names.iter().map(|name| f(name)).sum())
}

#[durable::workflow]
#[expect(unused_variables, unused_mut, reason = "to see them expected")]
async fn steps(ctx: Ctx) -> Result<(), AnyError> {
    let mut unused = 1;
    purge::<Users>(&ctx, 1).await?;
    repeat::<Users, 2>(&ctx, "a").await?;
    applied(&ctx, |_| 1, Arc::new(|text: &str| text), &|n: &u32| *n).await?;
    bounded(&ctx, |name: &str| name.len() as u32, &["a"]).await?;
    careless(&ctx).await?;
    Called(&ctx).await?;
    Ok(())
}

#[durable::step]
#[expect(unused_variables)]
async fn careless() -> Result<(), AnyError> {
    let unused = 1;
    Ok(())
}

#[durable::step]
#[expect(non_snake_case)]
async fn Called() -> Result<(), AnyError> {
    Ok(())
}

#[durable::workflow]
async fn inner_attribute(ctx: Ctx) -> Result<(), AnyError> {
    #![allow(unused_variables)]
    let unused = ctx;
    Ok(())
}

#[durable::workflow]
#[cfg(any())]
async fn configured_away(ctx: Ctx, gone: Gone) -> Result<(), AnyError> {
    Ok(())
}

struct Shop;

#[durable::workflows]
impl Shop {
    #[workflow]
    #[expect(unused_variables)]
    async fn here(&self, ctx: Ctx) -> Result<(), AnyError> {
        Ok(())
    }

    #[cfg(any())]
    #[workflow]
    async fn configured_away(&self, ctx: Ctx, gone: Gone) -> Result<(), AnyError> {
        Ok(())
    }
}

fn main() {
    let _ = App::builder("signatures")
        .workflow(steps)
        .workflow(inner_attribute)
        .instance("one", Arc::new(Shop));
}
