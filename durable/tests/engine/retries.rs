//! Retries, timeouts, and what a step's body can look at.

use std::sync::{Arc, Mutex};

use durable::{Error, Event, RecordedError, db::StepResult, prelude::*};
use serde::{Deserialize, Serialize};

use crate::support::{Tally, on_every_backend};

#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
enum CardError {
    #[error("try {0} timed out at the bank")]
    Busy(u32),
    #[error("declined")]
    Declined,
    #[error(transparent)]
    Durable(#[from] Error),
}

#[durable::workflow]
async fn pay(ctx: Ctx, good_after: u32) -> Result<u32, CardError> {
    let policy = RetryPolicy::attempts(4).initial(Duration::from_millis(1));
    ctx.step("pay", |step: StepCtx| async move {
        if step.attempt() <= good_after {
            return Err(CardError::Busy(step.attempt()));
        }
        Ok(step.attempt())
    })
    .retry(policy)
    .await
}

#[durable::workflow]
async fn picky(ctx: Ctx) -> Result<(), CardError> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("pay", || async {
        tally.hit("pay");
        Err(CardError::Declined)
    })
    .retry(RetryPolicy::attempts(9).initial(Duration::from_millis(1)))
    .retry_if(|error| matches!(error, CardError::Busy(_)))
    .await
}

#[durable::workflow]
async fn slow(ctx: Ctx) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("slow", |step: StepCtx| {
        let tally = Tally::clone(&tally);
        async move {
            tally.hit("attempt");
            let seen = tally.clone();
            let token = step.cancellation_token();
            tokio::spawn(async move {
                token.cancelled().await;
                seen.hit("told");
            });
            std::future::pending::<()>().await;
            Ok::<_, Error>(())
        }
    })
    .timeout(Duration::from_millis(20))
    .retry(RetryPolicy::attempts(2).initial(Duration::from_millis(1)))
    .await
}

#[durable::workflow]
async fn panics(ctx: Ctx) -> Result<u32, Error> {
    ctx.step("panics once", |step: StepCtx| async move {
        assert!(
            step.attempt() > 1,
            "attempt {} of step {}",
            step.attempt(),
            step.step_id()
        );
        Ok::<_, Error>(step.attempt())
    })
    .max_attempts(2)
    .await
}

#[durable::workflow]
async fn in_vain(ctx: Ctx) -> Result<(), AnyError> {
    ctx.step("in vain", async || Err::<(), AnyError>("no answer".into()))
        .retry(RetryPolicy::attempts(3).initial(Duration::from_millis(1)))
        .await
}

#[durable::workflow]
async fn told(ctx: Ctx) -> Result<(String, i32, u32, bool), Error> {
    ctx.sleep(Duration::from_millis(1)).await?;
    ctx.step("look", |step: StepCtx| async move {
        let id = step.workflow_id().to_string();
        Ok::<_, Error>((id, step.step_id(), step.attempt(), step.is_last_attempt()))
    })
    .await
}

#[durable::workflow]
async fn cancels_its_token(ctx: Ctx) -> Result<bool, Error> {
    let is_cancelled = ctx.step("cancels", |step: StepCtx| async move {
        step.cancellation_token().cancel();
        Ok::<_, Error>(step.is_cancelled())
    });
    let is_cancelled = is_cancelled.await?;
    ctx.step("goes on", async || Ok::<_, Error>(is_cancelled))
        .await
}

on_every_backend! {
    async fn a_failed_attempt_is_retried_and_one_result_is_recorded(world) {
        let waits = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&waits);
        let app = world.builder().await.workflow(pay).observe(move |event| {
            if let Event::StepRetried { attempt, error, wait, .. } = event {
                seen.lock().unwrap().push((*attempt, (*error).to_owned(), wait.as_millis()));
            }
        }).launch().await.unwrap();
        let handle = app.start(pay, 2).id("p").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 3);
        assert_eq!(app.steps("p").await.unwrap().len(), 1);
        assert_eq!(*waits.lock().unwrap(), [
            (1, "try 1 timed out at the bank".to_owned(), 1),
            (2, "try 2 timed out at the bank".to_owned(), 2),
        ]);
    }

    async fn exhausted_retries_give_the_last_error_and_record_all_attempts(world) {
        let app = world.builder().await.workflow(pay).launch().await.unwrap();
        let handle = app.start(pay, 99).id("p").await.unwrap();
        assert_eq!(handle.result().await.unwrap_err(), CardError::Busy(4));
        let steps = app.steps("p").await.unwrap();
        let StepResult::Error(error) = &steps[0].result else { panic!("{steps:?}") };
        let recorded: RecordedError = serde_json::from_str(&error.text).unwrap();
        assert_eq!((recorded.name.as_str(), recorded.message.as_str()), ("Busy", "try 4 timed out at the bank"));
        let earlier = ["try 1", "try 2", "try 3"].map(|text| format!("{text} timed out at the bank"));
        assert_eq!(recorded.earlier_attempts, earlier);
        // Another process reads the same typed value.
        let other = world.builder().await.workflow(pay).launch().await.unwrap();
        assert_eq!(other.handle(pay, "p").result().await.unwrap_err(), CardError::Busy(4));
    }

    async fn exhausted_retries_name_the_step_and_its_attempts(world) {
        let app = world.builder().await.workflow(in_vain).launch().await.unwrap();
        let error = app.start(in_vain, ()).id("v").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.exhausted(), Some(("in vain", 3)));
        assert_eq!(error.to_string(), r#"no answer (step "in vain" failed in each of 3 attempts)"#);
        let steps = app.steps("v").await.unwrap();
        let StepResult::Error(stored) = &steps[0].result else { panic!("{steps:?}") };
        let recorded: RecordedError = serde_json::from_str(&stored.text).unwrap();
        assert_eq!(recorded.message, error.to_string());
        let other = world.builder().await.workflow(in_vain).launch().await.unwrap();
        assert_eq!(other.handle(in_vain, "v").result().await.unwrap_err(), error);
    }

    async fn an_error_that_the_predicate_does_not_want_is_final(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(picky).launch().await.unwrap();
        let error = app.start(picky, ()).await.unwrap().result().await.unwrap_err();
        assert_eq!((error, tally.count("pay")), (CardError::Declined, 1));
    }

    async fn an_attempt_that_takes_too_long_ends_and_its_body_is_told(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(slow).launch().await.unwrap();
        let error = app.start(slow, ()).id("s").await.unwrap().result().await.unwrap_err();
        assert!(matches!(&error, Error::StepTimeout { step, number: 1, attempt: 2, .. } if step == "slow"), "{error}");
        assert!(error.to_string().contains("20ms"), "{error}");
        assert_eq!(tally.count("attempt"), 2);
        crate::support::until("both attempts to be told", || async {
            (tally.count("told") == 2).then_some(())
        }).await;
    }

    async fn a_body_that_cancels_its_token_stops_nothing_else(world) {
        let app = world.builder().await.workflow(cancels_its_token).launch().await.unwrap();
        let handle = app.start(cancels_its_token, ()).id("c").await.unwrap();
        assert!(!handle.result().await.unwrap());
        assert_eq!(app.steps("c").await.unwrap().len(), 2);
    }

    async fn a_panic_in_a_step_is_its_error_and_can_be_retried(world) {
        let app = world.builder().await.workflow(panics).launch().await.unwrap();
        assert_eq!(app.start(panics, ()).id("p").await.unwrap().result().await.unwrap(), 2);
    }

    async fn a_body_knows_its_workflow_its_step_and_its_attempt(world) {
        let app = world.builder().await.workflow(told).launch().await.unwrap();
        let seen = app.start(told, ()).id("t").await.unwrap().result().await.unwrap();
        assert_eq!(seen, ("t".to_owned(), 2, 1, true));
    }
}
