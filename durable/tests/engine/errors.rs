//! What cannot be stored or read, and what other programs wrote.

use std::collections::BTreeMap;

use durable::{Codec, Error, prelude::*, state::Status};

use crate::support::{Tally, crash, on_every_backend, until_recorded};

#[durable::workflow]
async fn not_a_number(ctx: Ctx) -> Result<String, Error> {
    let error = ctx
        .step("divide", async || Ok::<_, Error>(vec![1.0, f64::NAN]))
        .await
        .unwrap_err();
    ctx.sleep(Duration::from_millis(1)).await?;
    Ok(error.to_string())
}

#[durable::workflow]
async fn odd_keys(_ctx: Ctx) -> Result<BTreeMap<String, BTreeMap<(u8, u8), u8>>, Error> {
    let inner = BTreeMap::from([((1, 2), 3)]);
    Ok(BTreeMap::from([("a".to_owned(), inner)]))
}

#[durable::workflow]
async fn bare(ctx: Ctx) -> Result<(), Error> {
    ctx.state::<Tally>().map(|_| ())
}

#[durable::workflow]
async fn bare_any(ctx: Ctx) -> Result<(), AnyError> {
    ctx.state::<Tally>()?;
    Ok(())
}

#[durable::workflow]
async fn fails_any(ctx: Ctx) -> Result<(), AnyError> {
    ctx.step("wait", async || {
        Err::<(), AnyError>(Error::ShuttingDown.into())
    })
    .await
}

/// A function of a program that has errors of its own kind.
async fn size(ctx: &Ctx, text: &str) -> anyhow::Result<u32> {
    let read = || async {
        let size: u32 = anyhow::Context::context(text.parse(), "reading the size")?;
        if size == 0 {
            eyre::Result::Err(eyre::eyre!("nothing"))?;
        }
        Ok::<_, AnyError>(size)
    };
    let size = ctx.step("size", read).await;
    let size = size.map_err(|error| anyhow::Error::from_boxed(error.into_boxed()))?;
    if size == 7 {
        ctx.send("nobody", "topic", &size).await?;
    }
    Ok(size)
}

#[durable::workflow]
async fn reads_size(ctx: Ctx, text: String) -> Result<u32, AnyError> {
    let size = size(&ctx, &text).await?;
    if size > 12 {
        return Err(format!("size {size} is too much").into());
    }
    Ok(size)
}

#[durable::workflow]
async fn growing(ctx: Ctx, text: String) -> Result<(String, String), Error> {
    let me = ctx.workflow_id().clone();
    let grown = ctx.step("grow", || async { Ok::<_, Error>(text.repeat(10)) });
    let step = grown.await.unwrap_err();
    let message = ctx.send(&me, "topic", &text.repeat(10)).await.unwrap_err();
    Ok((step.to_string(), message.code().to_owned()))
}

#[durable::workflow]
async fn parent(ctx: Ctx) -> Result<String, Error> {
    ctx.start(not_a_number, ()).await?.result().await
}

macro_rules! failing_with {
    ($module:ident, $variant:ident, $words:literal) => {
        mod $module {
            use super::{Ctx, Duration, Error};

            #[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
            pub enum PayError {
                #[error($words)]
                $variant(u8),
                #[error(transparent)]
                Durable(#[from] Error),
            }

            #[durable::workflow(name = "failing", version = "1")]
            pub async fn failing(ctx: Ctx) -> Result<(), PayError> {
                let paid = ctx.step("pay", async || Err::<(), _>(PayError::$variant(7)));
                let _ = paid.await;
                ctx.sleep(Duration::from_secs(3600)).await?;
                Ok(())
            }
        }
    };
}
failing_with!(old_error, Old, "too old");
failing_with!(new_error, New, "too new");

#[durable::workflow]
async fn listener(ctx: Ctx) -> Result<String, Error> {
    match ctx.recv::<u32>("number", Duration::from_secs(30)).await {
        Ok(value) => Ok(format!("{value:?}")),
        Err(error) => Ok(error.code().to_owned()),
    }
}

mod numbers {
    use super::{Ctx, Duration, Error};

    #[durable::workflow(name = "changing")]
    pub async fn changing(ctx: Ctx, n: u64) -> Result<u64, Error> {
        let n = ctx.step("count", || async { Ok::<_, Error>(n) }).await?;
        ctx.sleep(Duration::from_secs(3600)).await?;
        Ok(n)
    }
}

mod texts {
    use super::{Ctx, Error};

    #[durable::workflow(name = "changing")]
    pub async fn changing(ctx: Ctx, n: u64) -> Result<String, Error> {
        ctx.step("count", || async { Ok::<_, Error>(n.to_string()) })
            .await
    }
}

mod wanting_text {
    use super::{Ctx, Error};

    #[durable::workflow(name = "changing")]
    pub async fn changing(_ctx: Ctx, text: String) -> Result<String, Error> {
        Ok(text)
    }
}

struct Upside;

impl Codec for Upside {
    fn name(&self) -> &'static str {
        "upside"
    }

    fn encode(&self, json: &str) -> Result<String, String> {
        Ok(json.chars().rev().collect())
    }

    fn decode(&self, text: &str) -> Result<String, String> {
        Ok(text.chars().rev().collect())
    }
}

#[durable::workflow]
async fn secret(ctx: Ctx, word: String) -> Result<String, Error> {
    ctx.step("keep", || async { Ok::<_, Error>(word.clone()) })
        .await
}

on_every_backend! {
    async fn a_value_that_json_cannot_hold_is_the_steps_error(world) {
        let app = world.builder().await.workflow(not_a_number).launch().await.unwrap();
        let text = app.start(not_a_number, ()).id("n").await.unwrap().result().await.unwrap();
        assert!(text.contains(r#"the result of step "divide" (number 1 of workflow "n") cannot be stored: 1: NaN"#), "{text}");
    }

    async fn a_payload_over_the_limit_is_refused_where_it_is_made_and_nothing_is_lost(world) {
        let app = world.builder().await.payload_limit(600).workflow(growing).launch().await.unwrap();
        let error = app.start(growing, "x".repeat(700)).id("g").await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_ENCODE");
        assert!(error.to_string().contains("the limit is 600") && error.to_string().contains(".payload_limit("), "{error}");
        assert_eq!(app.workflow("g").await.unwrap_err().code(), "DURABLE_NOT_FOUND");
        let handle = app.start(growing, "x".repeat(70)).id("g").await.unwrap();
        let (step, message) = handle.result().await.unwrap();
        assert!(step.contains(r#"the result of step "grow""#) && step.contains("it has 702 bytes"), "{step}");
        assert_eq!(message, "DURABLE_ENCODE");
        let error = app.send("g", "topic", &"x".repeat(700)).await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_ENCODE");
        // A process with a lower limit reads what is there.
        app.shutdown(Duration::ZERO).await;
        let app = world.builder().await.payload_limit(10).workflow(growing).launch().await.unwrap();
        assert_eq!(app.handle(growing, "g").result().await.unwrap().0, step);
    }

    async fn a_result_that_json_cannot_hold_is_the_workflows_error(world) {
        let app = world.builder().await.workflow(odd_keys).launch().await.unwrap();
        let error = app.start(odd_keys, ()).id("o").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_ENCODE");
        assert!(error.to_string().contains("key must be a string"), "{error}");
    }

    async fn a_gap_in_the_set_up_is_named_and_no_outcome(world) {
        let app = world.builder().await.workflow(bare).workflow(parent).launch().await.unwrap();
        let error = app.start(bare, ()).id("b").await.unwrap().result().await.unwrap_err();
        assert!(error.to_string().contains("Tally") && error.to_string().contains(".state("), "{error}");
        assert!(!error.is_outcome());
        assert!(error.to_string().starts_with(r#"workflow "b" is unfinished and goes on when"#), "{error}");
        let error = app.start(parent, ()).id("p").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_NOT_REGISTERED");
        for id in ["b", "p"] {
            assert_eq!(app.workflow(id).await.unwrap().status, Status::Pending);
        }
        crash(app).await;
        let app = world.builder().await.state(Tally::default())
            .workflow(bare).workflow(parent).workflow(not_a_number).launch().await.unwrap();
        app.handle(bare, "b").result().await.unwrap();
        app.handle(parent, "p").result().await.unwrap();
    }

    async fn every_error_type_tells_an_end_from_a_workflow_that_goes_on(world) {
        let app = world.builder().await.workflow(bare_any).workflow(fails_any).launch().await.unwrap();
        let error = app.start(bare_any, ()).id("b").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), Some("DURABLE_MISSING_STATE"));
        assert!(!error.is_outcome());
        assert!(error.to_string().starts_with(r#"workflow "b" is unfinished and goes on when"#), "{error}");
        // What is recorded is an outcome, whatever it says.
        let error = app.start(fails_any, ()).id("f").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), Some("DURABLE_SHUTTING_DOWN"));
        assert!(error.is_outcome());
        app.cancel("b").await.unwrap();
        let error = app.handle(bare_any, "b").result().await.unwrap_err();
        assert_eq!((error.code(), error.is_outcome()), (Some("DURABLE_CANCELLED"), true));
        let error = app.handle(bare_any, "none").result().await.unwrap_err();
        assert_eq!(error.code(), Some("DURABLE_NOT_FOUND"));
    }

    async fn errors_of_other_crates_are_taken_and_keep_what_they_say(world) {
        let app = world.builder().await.workflow(reads_size).launch().await.unwrap();
        let of = |text: &str| {
            let start = app.start(reads_size, text.to_owned()).id(text);
            async move { start.await.unwrap().result().await.unwrap_err() }
        };
        let error = of("x").await;
        assert_eq!(error.to_string(), "reading the size");
        assert_eq!(error.sources(), ["invalid digit found in string"]);
        assert_eq!((of("13").await.to_string(), of("0").await.to_string()), ("size 13 is too much".into(), "nothing".into()));
        let error = of("7").await;
        assert_eq!((error.code(), error.name()), (Some("DURABLE_NOT_FOUND"), "NotFound"));
        // What another process reads.
        let other = world.builder().await.workflow(reads_size).launch().await.unwrap();
        assert_eq!(other.handle(reads_size, "7").result().await.unwrap_err(), error);
    }

    async fn a_recorded_error_that_no_longer_fits_its_type_leaves_the_workflow_recoverable(world) {
        let app = world.builder().await.workflow(old_error::failing).launch().await.unwrap();
        app.start(old_error::failing, ()).id("f").await.unwrap();
        until_recorded(&app, "f", 2).await;
        crash(app).await;
        let app = world.builder().await.workflow(new_error::failing).launch().await.unwrap();
        let error = app.handle(new_error::failing, "f").result().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(r#"the recorded result of "pay" (operation 1 of workflow "f")"#) && text.contains("too old"), "{text}");
        assert_eq!(app.workflow("f").await.unwrap().status, Status::Pending);
    }

    async fn an_executor_id_is_not_blank(world) {
        let error = world.builder().await.executor_id(" ").launch().await.unwrap_err();
        assert!(error.to_string().contains("must not be blank"), "{error}");
    }

    async fn a_message_of_another_type_is_a_value_and_does_not_block_the_workflow(world) {
        let app = world.builder().await.workflow(listener).launch().await.unwrap();
        let handle = app.start(listener, ()).id("l").await.unwrap();
        app.send("l", "number", "no number").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "DURABLE_DECODE");
    }

    async fn a_record_that_no_longer_fits_its_type_leaves_the_workflow_recoverable(world) {
        let app = world.builder().await.workflow(numbers::changing).launch().await.unwrap();
        app.start(numbers::changing, 5).id("c").await.unwrap();
        until_recorded(&app, "c", 2).await;
        crash(app).await;
        let app = world.builder().await.workflow(texts::changing).launch().await.unwrap();
        let error = app.handle(texts::changing, "c").result().await.unwrap_err();
        assert!(error.to_string().contains(r#"the recorded result of "count" (operation 1 of workflow "c")"#), "{error}");
        assert_eq!(app.workflow("c").await.unwrap().status, Status::Pending);
        crash(app).await;
        // The same for arguments, once something is recorded.
        let app = world.builder().await.workflow(wanting_text::changing).launch().await.unwrap();
        let error = app.handle(wanting_text::changing, "c").result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_DECODE");
        assert_eq!(app.workflow("c").await.unwrap().status, Status::Pending);
    }

    async fn arguments_that_cannot_be_read_are_the_callers_error(world) {
        let app = world.builder().await.workflow(numbers::changing).launch().await.unwrap();
        app.start(numbers::changing, 5).id("c").queue("q").await.unwrap();
        crash(app).await;
        let app = world.builder().await.workflow(wanting_text::changing).queue("q").launch().await.unwrap();
        let error = app.handle(wanting_text::changing, "c").result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_DECODE");
        assert!(error.to_string().contains(r#"the input of workflow "changing""#), "{error}");
    }

    async fn what_this_process_cannot_run_is_left_alone_and_told_at_the_launch(world) {
        let app = world.builder().await.codec(Upside).workflow(secret).workflow(numbers::changing).launch().await.unwrap();
        assert_eq!((app.report().unregistered.len(), app.report().unreadable.len()), (0, 0));
        for id in ["a", "b"] {
            app.start(numbers::changing, 5).id(id).queue("q").await.unwrap();
        }
        app.start(secret, "abc".into()).id("s").queue("q").await.unwrap();
        app.shutdown(Duration::ZERO).await;
        let app = world.builder().await.workflow(secret).queue("q").launch().await.unwrap();
        let text = app.report().to_string();
        assert!(text.contains("2 unfinished workflows of changing will not run here, where it is not registered"), "{text}");
        assert!(text.contains(".workflow(…)"), "{text}");
        assert!(text.contains(r#"1 unfinished workflow of secret will not run here: the input is stored as "upside""#), "{text}");
        assert!(text.contains("register its codec"), "{text}");
        let other = app.start(secret, "xyz".into()).queue("q").await.unwrap();
        assert_eq!(other.result().await.unwrap(), "xyz");
        for id in ["a", "b", "s"] {
            let row = app.workflow(id).await.unwrap();
            assert_eq!((row.status, row.attempts), (Status::Enqueued, 0), "{id}");
        }
    }

    async fn a_codec_is_applied_to_what_is_stored_and_named_in_each_row(world) {
        let app = world.builder().await.codec(Upside).workflow(secret).launch().await.unwrap();
        let handle = app.start(secret, "abc".into()).id("s").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "abc");
        let steps = app.steps("s").await.unwrap();
        let durable::db::StepResult::Output(value) = &steps[0].result else { panic!("{steps:?}") };
        assert_eq!((value.text.as_str(), value.format.as_ref().unwrap().as_str()), (r#""cba""#, "upside"));
        // A program without the codec says which one is missing; it claims no such row in the first place.
        let plain = world.builder().await.workflow(secret).launch().await.unwrap();
        let error = plain.handle(secret, "s").result().await.unwrap_err();
        assert!(matches!(&error, Error::UnknownFormat { format, .. } if format == "upside"), "{error}");
        let reader = world.builder().await.read_codec(Upside).workflow(secret).launch().await.unwrap();
        assert_eq!(reader.handle(secret, "s").result().await.unwrap(), "abc");
    }
}
