//! Tests that must fail or warn, and what they then print: each is run as a process of its own.

use std::process::Command;

use durable::prelude::*;
use durable_testkit::TestApp;

use crate::shop::{DAY, ShopError, checkout, parent, patient};

/// Set for the tests that fail on purpose; without it they do nothing.
const ON_PURPOSE: &str = "DURABLE_TESTS_FAIL_ON_PURPOSE";

fn on_purpose() -> bool {
    std::env::var_os(ON_PURPOSE).is_some()
}

/// Runs one of the tests below as a process; whether it passed, and all that it printed.
fn run(name: &str, env: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().expect("this program's path"));
    command
        .args(["--ignored", "--exact", &format!("failing::{name}")])
        .env(ON_PURPOSE, "1")
        .env_remove("DURABLE_SEED")
        .env_remove("RUST_BACKTRACE")
        .envs(env.iter().copied());
    let output = command.output().expect("a program that runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("running 1 test"), "{text}");
    (output.status.success(), text)
}

/// Whether all of these are in a text, in this order.
#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else {
            panic!("{part:?} is not there, or not in its place:\n{text}")
        };
        rest = &rest[at + part.len()..];
    }
}

#[durable::test]
#[ignore = "fails on purpose"]
async fn nobody_pays(t: TestApp) -> Result<(), ShopError> {
    if !on_purpose() {
        return Ok(());
    }
    let app = t.launch(|app| app.workflow(patient).workflow(parent)).await;
    let parent = app.start(parent, None).id("order-1").await?;
    let other = app.start(patient, ()).id("order-2").await?;
    t.send("order-2", "payed", &1).await?;
    parent.result().await?;
    other.result().await?;
    Ok(())
}

#[test]
fn a_deadlock_says_what_each_workflow_waits_for() {
    let (passed, text) = run("nobody_pays", &[]);
    assert!(!passed);
    assert_says(
        &text,
        &[
            "what happened in failing::nobody_pays, seed 0",
            "order-1 inserted",
            "FAILED: deadlock: nothing is ready and no timer is set",
            "order-1 waits for the result of order-1-1\n",
            "order-1-1 waits for a message, topic \"paid\"; nobody sent one\n",
            "order-2 waits for a message, topic \"paid\"; what was sent has topic \"payed\"\n",
            "run it again: DURABLE_SEED=0 cargo test failing::nobody_pays",
        ],
    );
}

#[durable::test]
#[ignore = "fails on purpose"]
async fn nobody_serves(t: TestApp) -> Result<(), ShopError> {
    if !on_purpose() {
        return Ok(());
    }
    let app = t
        .launch(|app| app.workflow(patient).workflow(parent).workflow(listens))
        .await;
    app.start(parent, Some("mail".to_owned()))
        .id("order-1")
        .await?;
    app.start(listens, "nothing".to_owned()).id("l-1").await?;
    app.start(listens, "order-1".to_owned()).id("l-2").await?;
    app.start(hangs, ())
        .id("h")
        .await
        .expect_err("it is not registered");
    t.wait_for_event::<u8>("order-1", "shipped").await?;
    Ok(())
}

#[durable::workflow]
async fn listens(ctx: Ctx, to: String) -> Result<Option<u8>, ShopError> {
    Ok(ctx.get_event(to, "shipped", Duration::MAX).await?)
}

#[durable::workflow]
async fn hangs(ctx: Ctx) -> Result<(), AnyError> {
    let hang = || async {
        std::future::pending::<()>().await;
        Ok::<_, AnyError>(())
    };
    ctx.step("hang", hang).await
}

#[test]
fn a_deadlock_names_queues_that_nobody_serves_and_events_that_nobody_publishes() {
    let (passed, text) = run("nobody_serves", &[]);
    assert!(!passed);
    assert_says(
        &text,
        &[
            "FAILED: deadlock",
            "l-1 waits for event \"shipped\" of nothing; there is no such workflow\n",
            "l-2 waits for event \"shipped\" of order-1; it has not published one\n",
            "order-1 waits for the result of order-1-1\n",
            "order-1-1 is on queue \"mail\", which nobody serves; give the app `.queue(\"mail\")`\n",
            "the test waits for event \"shipped\" of order-1\n",
        ],
    );
}

#[durable::test]
#[ignore = "fails on purpose"]
async fn a_body_hangs(t: TestApp) -> Result<(), AnyError> {
    if !on_purpose() {
        return Ok(());
    }
    let app = t.launch(|app| app.workflow(hangs)).await;
    app.start(hangs, ()).id("h").await?.result().await
}

#[test]
fn a_deadlock_names_a_body_that_hangs() {
    let (passed, text) = run("a_body_hangs", &[]);
    assert!(!passed);
    assert_says(
        &text,
        &["h runs step 1 \"hang\", whose body waits for something that does not come"],
    );
}

#[durable::test(seeds = 3)]
#[ignore = "fails on purpose"]
async fn an_assertion_fails(t: TestApp) -> Result<(), ShopError> {
    if !on_purpose() {
        return Ok(());
    }
    let app = t.launch(|app| app.workflow(checkout)).await;
    let handle = app.start(checkout, "book".to_owned()).id("order-1").await?;
    assert_eq!(handle.result().await?, "book is paid by Ada");
    Ok(())
}

#[test]
fn a_failure_prints_the_timeline_and_the_seed() {
    let (passed, text) = run("an_assertion_fails", &[]);
    assert!(!passed);
    assert_says(
        &text,
        &[
            "failing.rs:",
            "assertion `left == right` failed",
            "seed 0",
            "order-1: body of step 1 \"charge\"",
            "order-1: operation 1 \"charge\" recorded",
            "604800.0",
            "FAILED: it panicked: assertion `left == right` failed",
            "run it again: DURABLE_SEED=0 cargo test failing::an_assertion_fails",
        ],
    );
    let (passed, text) = run("an_assertion_fails", &[("DURABLE_SEED", "2")]);
    assert!(!passed);
    assert_says(
        &text,
        &["seed 2", "run it again: DURABLE_SEED=2 cargo test"],
    );
    let (passed, text) = run("an_assertion_fails", &[("DURABLE_SEED", "two")]);
    assert!(!passed);
    assert_says(
        &text,
        &["DURABLE_SEED is \"two\", and a seed is a whole number from 0"],
    );
}

#[durable::test]
#[ignore = "fails on purpose"]
async fn an_error_is_returned(t: TestApp) -> Result<(), AnyError> {
    if !on_purpose() {
        return Ok(());
    }
    t.launch(|app| app).await;
    Err(AnyError::msg("the reason"))
}

#[test]
fn a_returned_error_fails_the_test() {
    let (passed, text) = run("an_error_is_returned", &[]);
    assert!(!passed);
    assert_says(&text, &["FAILED: it returned an error: the reason"]);
}

#[durable::test]
#[ignore = "fails on purpose"]
async fn steps_that_never_fail(t: TestApp) -> Result<(), ShopError> {
    if !on_purpose() {
        return Ok(());
    }
    t.fail_step("chrage", 1, ShopError::Declined);
    t.fail_step("charge", 1, AnyError::msg("declined"));
    let app = t.launch(|app| app.workflow(checkout)).await;
    // The attempt fails, and the next one does not.
    app.start(checkout, "book".to_owned())
        .await?
        .result()
        .await?;
    Ok(())
}

#[test]
fn a_failure_that_never_happens_or_is_of_another_type_fails_the_test() {
    let (passed, text) = run("steps_that_never_fail", &[]);
    assert!(!passed);
    assert_says(
        &text,
        &[
            "fail_step(\"charge\", 1, …): the error is a `durable_core::any_error::AnyError`, and step \"charge\" fails with `",
            "ShopError`\n",
            "fail_step(\"chrage\", 1, …): it never happened; the workflows of this test came to \"charge\"",
        ],
    );
}

#[durable::test]
#[ignore = "fails on purpose"]
async fn calls_differ(t: TestApp) -> Result<(), AnyError> {
    if !on_purpose() {
        return Ok(());
    }
    let app = t.launch(|app| app.workflow(fickle)).await;
    app.start(fickle, ()).id("order-1").await?.result().await
}

/// Asks a clock of the process, which a workflow must not.
#[durable::workflow]
async fn fickle(ctx: Ctx) -> Result<(), AnyError> {
    static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let nothing = || async { Ok::<_, AnyError>(()) };
    ctx.step("reserve", nothing).await?;
    let name = match RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => "charge",
        _ => "ship",
    };
    ctx.step(name, nothing).await
}

#[test]
fn code_that_calls_something_else_the_second_time_fails_the_test() {
    let (passed, text) = run("calls_differ", &[]);
    assert!(!passed);
    assert_says(
        &text,
        &[
            "order-1 (fickle), run again on its history, differs at operation 2\n",
            "1 \"reserve\" (at ",
            "failing.rs:",
            "- recorded: \"charge\"\n",
            "+ the code: calls \"ship\" (at ",
            "failing.rs:",
            "must make the same calls",
        ],
    );
}

#[durable::test]
#[ignore = "fails on purpose"]
async fn state_is_missing(t: TestApp) -> Result<(), AnyError> {
    if !on_purpose() {
        return Ok(());
    }
    let app = t.launch(|app| app.workflow(needs_state)).await;
    app.start(needs_state, ()).id("order-1").await?;
    t.advance(DAY).await;
    Ok(())
}

#[durable::workflow]
async fn needs_state(ctx: Ctx) -> Result<u64, AnyError> {
    Ok(*ctx.state::<u64>()?)
}

#[test]
fn an_execution_that_the_engine_stops_fails_the_test_at_once() {
    let (passed, text) = run("state_is_missing", &[]);
    assert!(!passed);
    assert_says(&text, &["    0.000  FAILED: ", "u64"]);
}

#[durable::test]
#[ignore = "warns on purpose"]
async fn tasks_and_threads(t: TestApp) -> Result<(), AnyError> {
    let app = t.launch(|app| app.workflow(hangs)).await;
    assert_eq!(app.report().recovered, 0);
    let task = tokio::spawn(async { 1 });
    let thread = tokio::task::spawn_blocking(|| 2);
    assert_eq!(task.await? + thread.await?, 3);
    Ok(())
}

#[test]
fn a_test_that_spawns_passes_with_a_warning() {
    let (passed, text) = run("tasks_and_threads", &[]);
    assert!(passed, "{text}");
    assert_says(
        &text,
        &[
            "warning: test failing::tasks_and_threads uses tokio::spawn",
            "`t.spawn(…)`",
            "warning: test failing::tasks_and_threads uses spawn_blocking",
            "`#[durable::test(real_time)]`",
        ],
    );
}

#[durable::test]
#[should_panic(expected = "nobody sent one")]
async fn a_deadlock_can_be_expected(t: TestApp) {
    let app = t.launch(|app| app.workflow(patient)).await;
    let handle = app.start(patient, ()).id("order-1").await.unwrap();
    let _ = handle.result().await;
}

#[durable::test]
#[should_panic(expected = "not a number")]
async fn a_panic_is_handed_on(t: TestApp) {
    t.advance(Duration::from_secs(1)).await;
    let _: u32 = "x".parse().expect("not a number");
}
