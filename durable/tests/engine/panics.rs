//! Panics of user code, with whatever they carry.

use std::panic::panic_any;

use durable::{Error, prelude::*, state::Status};

use crate::support::{Tally, on_every_backend};

/// Panics again when it is dropped, with another of its kind.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Bomb);
    }
}

fn boxed() -> Box<dyn std::error::Error + Send + Sync> {
    "the card is gone".into()
}

#[durable::workflow]
async fn in_a_step(ctx: Ctx) -> Result<Vec<String>, Error> {
    let bomb = ctx.step("bomb", async || -> Result<(), Error> { panic_any(Bomb) });
    let error = ctx.step("error", async || -> Result<(), Error> {
        panic_any(boxed())
    });
    let kept = ctx.step("kept", async || {
        // Dropped with the body that the timeout ends.
        let _bomb = Bomb;
        std::future::pending::<Result<(), Error>>().await
    });
    let kept = kept.timeout(Duration::from_millis(1));
    Ok(vec![
        bomb.await.unwrap_err().to_string(),
        error.await.unwrap_err().to_string(),
        kept.await.unwrap_err().code().to_owned(),
    ])
}

#[durable::workflow]
async fn in_its_body(_ctx: Ctx, with_words: bool) -> Result<(), Error> {
    if with_words {
        panic_any(boxed());
    }
    panic_any(Bomb);
}

#[durable::workflow]
async fn dropped(ctx: Ctx) -> Result<(), Error> {
    let _bomb = Bomb;
    ctx.state::<Tally>()?.hit("begun");
    ctx.sleep(Duration::from_secs(3600)).await
}

on_every_backend! {
    async fn a_payload_that_panics_when_it_is_dropped_breaks_nothing_off(world) {
        let app = world.builder().await.workflow(in_a_step).workflow(in_its_body).launch().await.unwrap();
        let told = app.start(in_a_step, ()).id("s").await.unwrap().result().await.unwrap();
        assert_eq!(told, [
            r#"step "bomb" (number 1 of workflow "s") panicked: a panic without a message"#,
            r#"step "error" (number 2 of workflow "s") panicked: the card is gone"#,
            "DURABLE_STEP_TIMEOUT",
        ]);
        for (with_words, words) in [(true, "the card is gone"), (false, "a panic without a message")] {
            let id = format!("b-{with_words}");
            let error = app.start(in_its_body, with_words).id(&id).await.unwrap().result().await.unwrap_err();
            assert_eq!(error, Error::WorkflowPanicked { workflow: id.clone(), message: words.to_owned() });
            assert_eq!(app.workflow(&*id).await.unwrap().status, Status::Error);
        }
    }

    async fn a_workflow_that_panics_when_it_is_dropped_ends_like_any_other(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(dropped).launch().await.unwrap();
        let handle = app.start(dropped, ()).id("d").await.unwrap();
        tally.reached("begun").await;
        assert!(handle.cancel().await.unwrap());
        assert_eq!(handle.result().await.unwrap_err().code(), "DURABLE_CANCELLED");
    }

    async fn an_observer_that_panics_with_anything_is_held_back(world) {
        let app = world.builder().await.workflow(in_its_body).observe(|_| panic_any(Bomb)).launch().await.unwrap();
        let error = app.start(in_its_body, true).id("b").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_WORKFLOW_PANICKED");
    }
}
