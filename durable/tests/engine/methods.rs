//! Workflows that are methods of registered instances.

use std::sync::Arc;

use durable::{Error, prelude::*};

use crate::support::on_every_backend;

struct Shop {
    currency: &'static str,
}

#[durable::workflows]
impl Shop {
    #[workflow]
    async fn refund(&self, ctx: Ctx, cents: u32) -> Result<String, Error> {
        let text = format!("{cents} {}", self.currency);
        ctx.step("pay back", || async { Ok::<_, Error>(text.clone()) })
            .await
    }

    #[workflow(name = "audit")]
    async fn check(self: Arc<Self>, _ctx: Ctx) -> Result<String, Error> {
        Ok("fine".to_owned())
    }
}

#[durable::workflow]
async fn refund(_ctx: Ctx, cents: u32) -> Result<String, Error> {
    Ok(format!("{cents} of no shop"))
}

#[durable::workflow]
async fn parent(ctx: Ctx) -> Result<String, Error> {
    ctx.start_on("eu", Shop::refund, 5).await?.result().await
}

on_every_backend! {
    async fn each_instance_runs_its_own_workflows(world) {
        let app = world.builder().await
            .instance("eu", Arc::new(Shop { currency: "EUR" }))
            .instance("us", Arc::new(Shop { currency: "USD" }))
            .workflow(refund)
            .workflow(parent)
            .launch().await.unwrap();
        let eu = app.start_on("eu", Shop::refund, 1).id("a").await.unwrap();
        let us = app.start_on("us", Shop::refund, 2).await.unwrap();
        assert_eq!(eu.result().await.unwrap(), "1 EUR");
        assert_eq!(us.result().await.unwrap(), "2 USD");
        assert_eq!(app.start(refund, 3).await.unwrap().result().await.unwrap(), "3 of no shop");
        assert_eq!(app.start(parent, ()).await.unwrap().result().await.unwrap(), "5 EUR");
        let row = app.workflow("a").await.unwrap();
        assert_eq!(row.key.to_string(), r#"Shop::refund of instance "eu""#);
        assert_eq!(app.handle_on(Shop::refund, "a").result().await.unwrap(), "1 EUR");
    }

    async fn the_same_id_on_another_instance_is_a_conflict(world) {
        let app = world.builder().await
            .instance("eu", Arc::new(Shop { currency: "EUR" }))
            .instance("us", Arc::new(Shop { currency: "USD" }))
            .workflow(refund)
            .launch().await.unwrap();
        app.start_on("eu", Shop::refund, 1).id("same").await.unwrap();
        let error = app.start_on("us", Shop::refund, 1).id("same").await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_CONFLICT");
        let error = app.start(refund, 1).id("same").await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_CONFLICT");
        let error = app.start_on("moon", Shop::refund, 1).await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_NOT_REGISTERED");
    }
}
