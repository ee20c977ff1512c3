//! `sim::check`: a right workflow passes, and three mistakes that users make are found, each with its line.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use durable::prelude::*;
use durable_testkit::sim::{self, Service};
use futures_util::future::join;

/// Charges once, whatever happens, because the call has a key.
#[durable::workflow]
async fn right(ctx: Ctx, amount: u64) -> Result<String, AnyError> {
    let bank = ctx.state::<Service>()?;
    let charge = |step: StepCtx| {
        let (bank, ctx) = (bank.clone(), ctx.clone());
        async move {
            let key = format!("{}/{}", ctx.workflow_id(), step.step_id());
            bank.call(format!("charge {amount}")).key(key).await;
            Ok::<_, AnyError>(amount)
        }
    };
    let paid = ctx.step("charge", charge).await?;
    ctx.sleep(Duration::from_secs(24 * 3600)).await?;
    let label = ctx
        .step("label", || async { Ok::<_, AnyError>("L-1") }.map_ok())
        .await?;
    Ok(format!("{label} for {paid}"))
}

/// Gives text that a step can store.
trait MapOk {
    fn map_ok(self) -> impl Future<Output = Result<String, AnyError>> + Send;
}

impl<F: Future<Output = Result<&'static str, AnyError>> + Send> MapOk for F {
    async fn map_ok(self) -> Result<String, AnyError> {
        self.await.map(str::to_owned)
    }
}

#[test]
fn a_right_workflow_passes_with_a_crash_at_every_boundary() {
    let checked = sim::check(right, 42)
        .service("bank")
        .crash_everywhere()
        .seeds(100)
        .budget(Duration::from_secs(20))
        .invariant(|end| match end.service("bank").effects().as_slice() {
            [one] if one == "charge 42" => Ok(()),
            other => Err(format!("the bank was charged {other:?}")),
        })
        .invariant(|end| match end.value() {
            Some("\"L-1 for 42\"") => Ok(()),
            other => Err(format!("it gave {other:?}")),
        })
        .run();
    assert!(checked.boundaries > 30, "{checked:?}");
    assert!(checked.runs > checked.boundaries + 50, "{checked:?}");
}

/// The time, where the macro's lint does not see it.
fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos())
}

/// Mistake: what it calls depends on a clock.
#[durable::workflow]
async fn by_the_clock(ctx: Ctx) -> Result<u32, AnyError> {
    let name = format!("report of {}", now());
    ctx.step("begin", || async { Ok::<_, AnyError>(1) }).await?;
    ctx.step(name, || async { Ok::<_, AnyError>(2) }).await?; // the line that is named
    ctx.step("end", || async { Ok::<_, AnyError>(3) }).await
}

/// Mistake: the body may run again, and its call has no key.
#[durable::workflow]
async fn without_a_key(ctx: Ctx, amount: u64) -> Result<u64, AnyError> {
    let bank = ctx.state::<Service>()?;
    ctx.step("charge", || async {
        bank.call(format!("charge {amount}")).await; // the line that is named
        Ok::<_, AnyError>(amount)
    })
    .await
}

/// Mistake: the second step of a branch is built while the other branch runs.
#[durable::workflow]
async fn built_in_a_join(ctx: Ctx) -> Result<u32, AnyError> {
    let slow = ctx.step("slow", || async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok::<_, AnyError>(1)
    });
    let branch = async {
        ctx.step("first", || async { Ok::<_, AnyError>(2) }).await?;
        ctx.step("second", || async { Ok::<_, AnyError>(3) }).await // the line that is named
    };
    let (one, other) = join(slow, branch).await;
    Ok(one? + other?)
}

/// The number of the line of this file that ends with the comment, after that with the word in it.
fn line_named(after: &str) -> String {
    let source = include_str!("main.rs");
    let lines: Vec<_> = source.lines().collect();
    let begin = lines
        .iter()
        .position(|line| line.contains(&format!("async fn {after}(")));
    let begin = begin.expect("the workflow is in this file");
    let named = lines[begin..]
        .iter()
        .position(|line| line.ends_with("// the line that is named"));
    format!("main.rs:{}:", begin + named.expect("a line is marked") + 1)
}

fn assert_names(failure: &sim::Failure, invariant: &str, workflow: &str, words: &[&str]) {
    let text = failure.to_string();
    assert_eq!(failure.violation.invariant, invariant, "{text}");
    let place = line_named(workflow);
    for word in words.iter().chain([&place.as_str()]) {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[test]
fn a_clock_in_the_body_is_found() {
    let failure = sim::check(by_the_clock, ()).crash_everywhere().try_run();
    let failure = failure.expect_err("no two executions make the same calls");
    let words = ["recorded", "report of", "CRASH", ".only_crash_at("];
    assert_names(&failure, "code_fits_its_history", "by_the_clock", &words);
}

#[test]
fn a_repeat_without_a_key_is_found() {
    let failure = sim::check(without_a_key, 42)
        .service("bank")
        .crash_everywhere()
        .try_run();
    let failure = failure.expect_err("a crash between the effect and its checkpoint repeats it");
    let words = ["bank", "charge 42", "idempotency key", "CRASH"];
    assert_names(&failure, "no_repeat_without_key", "without_a_key", &words);
}

#[test]
fn a_step_that_is_built_after_an_await_in_a_join_is_found() {
    let failure = sim::check(built_in_a_join, ()).crash_everywhere().try_run();
    let failure = failure.expect_err("the number of the step depends on timing");
    let words = ["second", "without any fault"];
    assert_names(&failure, "code_fits_its_history", "built_in_a_join", &words);
}

/// Mistake: the same, behind a day's sleep: only a crash after it repeats the call.
#[durable::workflow]
async fn late_without_a_key(ctx: Ctx) -> Result<(), AnyError> {
    let bank = ctx.state::<Service>()?;
    ctx.sleep(Duration::from_secs(86_400)).await?;
    ctx.step("charge", || async {
        bank.call("charge").await;
        Ok::<_, AnyError>(())
    })
    .await
}

#[test]
fn crashes_come_after_a_long_sleep_too() {
    let failure = sim::check(late_without_a_key, ())
        .service("bank")
        .crash_everywhere()
        .try_run();
    let text = failure.expect_err("the call is repeated").to_string();
    let crash = text
        .lines()
        .find(|line| line.contains("CRASH"))
        .expect(&text);
    let at = crash.trim_start_matches('!').trim_start();
    assert!(
        at.starts_with("23:5") || at.starts_with("1d 00:"),
        "{crash}"
    );
}

#[test]
fn an_invariant_of_the_test_that_does_not_hold_fails_it_with_a_timeline() {
    let failure = sim::check(right, 1)
        .service("bank")
        .invariant(|end| Err(format!("{} steps", end.steps("checked").len())))
        .seeds(0)
        .try_run();
    let text = failure.expect_err("it never holds").to_string();
    for word in [
        "invariant_of_the_test: 3 steps",
        "without any fault",
        "bank gets charge 1, key ",
    ] {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[test]
fn state_that_is_missing_is_named_with_what_gives_it() {
    let failure = sim::check(right, 1).try_run().expect_err("no bank");
    assert_eq!(failure.violation.invariant, "state_is_given");
    let text = failure.to_string();
    for words in ["Service", "`.shared(…)`", "`.service(…)`"] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
}

#[durable::workflow]
async fn fails(ctx: Ctx) -> Result<(), AnyError> {
    ctx.step("fail", || async { Err(AnyError::msg("no luck")) })
        .await
}

#[test]
fn an_error_without_faults_fails_it_unless_it_may() {
    let failure = sim::check(fails, ()).seeds(0).try_run();
    let text = failure.expect_err("it never succeeds").to_string();
    for words in ["ended with an error", "no luck", "`.may_fail()`"] {
        assert!(text.contains(words), "{text}");
    }
    sim::check(fails, ())
        .may_fail()
        .seeds(10)
        .invariant(|end| match end.error() {
            Some("no luck") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .run();
}

trait Payments: Send + Sync {
    fn service(&self) -> &Service;
}

struct Fake(Service);

impl Payments for Fake {
    fn service(&self) -> &Service {
        &self.0
    }
}

/// Mistake: no key, behind a trait of the application's.
#[durable::workflow]
async fn behind_a_trait(ctx: Ctx) -> Result<(), AnyError> {
    let payments = ctx.state::<Arc<dyn Payments>>()?;
    ctx.step("pay", || async {
        payments.service().call("pay").await;
        Ok::<_, AnyError>(())
    })
    .await
}

#[test]
fn services_are_known_wherever_they_stand() {
    let failure = sim::check(behind_a_trait, ())
        .shared(|| Arc::new(Fake(Service::new("payments"))) as Arc<dyn Payments>)
        .crash_everywhere()
        .invariant(|end| match end.service("payments").calls().len() {
            0 => Err("nobody paid".to_owned()),
            _ => Ok(()),
        })
        .try_run();
    let failure = failure.expect_err("the call is repeated");
    assert_eq!(failure.violation.invariant, "no_repeat_without_key");
}

#[durable::workflow]
async fn greeted(ctx: Ctx) -> Result<String, AnyError> {
    let first: Option<String> = ctx.recv("greeting", Duration::from_secs(60)).await?;
    let second: Option<String> = ctx.recv("greeting", Duration::from_secs(60)).await?;
    Ok(format!("{first:?} {second:?}"))
}

#[test]
fn messages_are_sent_once_whatever_crashes() {
    sim::check(greeted, ())
        .send("greeting", "hello")
        .crash_everywhere()
        .invariant(|end| match end.value() {
            Some(r#""Some(\"hello\") None""#) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .run();
}

/// Mistake: it waits for what no engine knows of.
#[durable::workflow]
async fn stuck(ctx: Ctx) -> Result<(), AnyError> {
    ctx.step("begin", || async { Ok::<_, AnyError>(()) })
        .await?;
    std::future::pending().await
}

#[test]
fn a_body_that_waits_for_nothing_durable_is_told() {
    let failure = sim::check(stuck, ()).seeds(0).try_run();
    let text = failure.expect_err("it never ends").to_string();
    let words =
        "the body of checked (workflow stuck) waits for something that is no durable operation";
    assert!(text.contains(words), "{text}");
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_task_that_no_seed_controls_fails_it() {
    #[durable::workflow]
    async fn spawns(ctx: Ctx) -> Result<(), AnyError> {
        ctx.step("spawn", || async {
            tokio::spawn(std::future::pending::<()>());
            Ok::<_, AnyError>(())
        })
        .await
    }
    let failure = sim::check(spawns, ()).seeds(0).try_run();
    let text = failure.expect_err("the task outlives the run").to_string();
    assert!(text.contains("no_unseen_tasks"), "{text}");
    assert!(text.contains("a child workflow"), "{text}");
}

/// Waits for what nobody sends.
#[durable::workflow]
async fn forsaken(ctx: Ctx) -> Result<Option<String>, AnyError> {
    Ok(ctx.recv("letters", Duration::from_secs(3600)).await?)
}

#[test]
fn a_run_with_too_many_polls_says_who_waits_for_what() {
    let scenario = sim::Scenario::new(|seat: sim::Seat| async move {
        let app = seat
            .launch("busy", |builder| builder.workflow(forsaken))
            .await;
        let handle = app.start(forsaken, ()).id("w").await;
        // It never rests, so time does not pass.
        loop {
            sim::here::pause().await;
            drop(handle.clone());
        }
    });
    let chooser = sim::Chooser::listed(Vec::new());
    let plan = sim::Plan::calm();
    let outcome = scenario
        .most_polls(5_000)
        .run(plan, chooser, Vec::new(), false);
    let violation = outcome.violation.expect("it has no end");
    assert_eq!(violation.invariant, "every_workflow_ends");
    let what = violation.what;
    assert!(what.starts_with("no end after 5000 polls"), "{what}");
    let waits = r#"w waits for a message, topic "letters"; nobody sent one"#;
    assert!(what.contains(waits), "{what}");
}
