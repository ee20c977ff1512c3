//! Runs a test: under each seed, or once in real time, and tells what went wrong.

use std::{
    any::Any,
    fmt::{Debug, Write as _},
    future::Future,
    io::Write as _,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use durable_core::{__private::panic_message, runtime::TokioRuntime};
use futures_util::FutureExt as _;

use super::{TestApp, World};
use crate::{
    Memory,
    sim::{Chooser, Outcome, Plan, Scenario, Strays, invariant::Violation, plan::Order},
};

/// What stands in the attribute's parentheses.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many orders are tried, from seed 0.
    pub seeds: u32,
    /// Whether time is the machine's.
    pub real_time: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: 1,
            real_time: false,
        }
    }
}

/// What a test may return.
#[diagnostic::on_unimplemented(
    message = "a test cannot return `{Self}`",
    note = "a test returns nothing, or `Result<(), E>` with an `E` that is `Debug`: `Result<(), durable::AnyError>` takes any error by `?`"
)]
pub trait TestEnd {
    /// Whether it ended well; otherwise what is wrong.
    fn end(self) -> Result<(), String>;
}

impl TestEnd for () {
    fn end(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Debug> TestEnd for Result<(), E> {
    fn end(self) -> Result<(), String> {
        self.map_err(|error| format!("it returned an error: {error:?}"))
    }
}

/// Why a test has failed.
enum Failure {
    /// It panicked with this.
    Panic(Box<dyn Any + Send>),
    /// In words.
    Told(String),
}

impl Failure {
    fn told(&self) -> String {
        match self {
            Self::Panic(panic) => format!("it panicked: {}", panic_message(panic.as_ref())),
            Self::Told(what) => what.clone(),
        }
    }
}

/// Runs the test of this path under its seeds. Panics, as a test does, when it fails.
#[track_caller]
pub fn run<Fut>(path: &str, options: Options, body: impl Fn(TestApp) -> Fut + Send + Sync + 'static)
where
    Fut: Future + Send + 'static,
    Fut::Output: TestEnd,
{
    // The test harness knows it without the crate's name.
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    if options.real_time {
        if let Err(failure) = run_in_real_time(body) {
            eprintln!("test {name} failed: {}", failure.told());
            fail(failure);
        }
        return;
    }
    let body = Arc::new(body);
    let mut strays = Strays::default();
    let seeds = match chosen_seed() {
        Some(seed) => seed..=seed,
        None => 0..=u64::from(options.seeds).saturating_sub(1),
    };
    for seed in seeds {
        let (outcome, ended) = run_seed(seed, Arc::clone(&body));
        strays.tasks = strays.tasks.max(outcome.strays.tasks);
        strays.threads = strays.threads.max(outcome.strays.threads);
        if let Err(failure) = ended {
            eprintln!("{}", report(name, seed, &failure, &outcome));
            warn(name, strays);
            fail(failure);
        }
    }
    warn(name, strays);
}

#[track_caller]
fn fail(failure: Failure) -> ! {
    match failure {
        Failure::Panic(panic) => resume_unwind(panic),
        Failure::Told(what) => panic!("{what}"),
    }
}

#[track_caller]
fn chosen_seed() -> Option<u64> {
    let seed = std::env::var("DURABLE_SEED").ok()?;
    let Ok(number) = seed.trim().parse() else {
        panic!("DURABLE_SEED is {seed:?}, and a seed is a whole number from 0")
    };
    Some(number)
}

/// Seed 0 is the boring run; the others decide the order, and nothing else goes wrong.
fn plan(seed: u64) -> (Plan, Chooser) {
    let mut plan = Plan::calm();
    plan.executors = 0;
    if seed == 0 {
        return (plan, Chooser::listed(Vec::new()));
    }
    let mut chooser = Chooser::seeded(seed);
    plan.order = chooser.one_of(&[Order::Uniform, Order::Sometimes(100), Order::Sometimes(500)]);
    (plan, chooser)
}

fn run_seed<Fut>(
    seed: u64,
    body: Arc<impl Fn(TestApp) -> Fut + Send + Sync + 'static>,
) -> (Outcome, Result<(), Failure>)
where
    Fut: Future + Send + 'static,
    Fut::Output: TestEnd,
{
    let ended = Arc::new(Mutex::new(None));
    let end = Arc::clone(&ended);
    let scenario = Scenario::test(move |seat| {
        let t = TestApp::new(World::Simulated(seat));
        let (end, body) = (Arc::clone(&end), Arc::clone(&body));
        async move {
            let ran = run_body(&*body, t).await;
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(ran);
        }
    });
    let (plan, chooser) = plan(seed);
    let outcome = scenario.run(plan, chooser, Vec::new(), true);
    let ended = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
    let ended = match (ended, &outcome.violation) {
        (Some(Err(failure)), _) => Err(failure),
        (_, Some(violation)) => Err(Failure::Told(told(violation))),
        (Some(Ok(())), None) => Ok(()),
        (None, None) => Err(Failure::Told("it did not end".to_owned())),
    };
    (outcome, ended)
}

async fn run_body<Fut>(body: &impl Fn(TestApp) -> Fut, t: TestApp) -> Result<(), Failure>
where
    Fut: Future + Send + 'static,
    Fut::Output: TestEnd,
{
    let ran = AssertUnwindSafe(async { body(t.clone()).await })
        .catch_unwind()
        .await;
    ran.map_err(Failure::Panic)?.end().map_err(Failure::Told)?;
    let mistakes = t.mistakes().await;
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Failure::Told(mistakes.join("\n")))
}

fn run_in_real_time<Fut>(body: impl Fn(TestApp) -> Fut) -> Result<(), Failure>
where
    Fut: Future + Send + 'static,
    Fut::Output: TestEnd,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Told(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let t = TestApp::new(World::Real(Memory::new(), TokioRuntime::new()));
        run_body(&body, t).await
    })
}

/// What the world found wrong, as a user of it says it.
fn told(violation: &Violation) -> String {
    match violation.invariant {
        "no_deadlock" => format!("deadlock: {}", violation.what),
        _ => violation.what.clone(),
    }
}

fn report(name: &str, seed: u64, failure: &Failure, outcome: &Outcome) -> String {
    let mut text = format!("what happened in {name}, seed {seed} (seconds, process, what):\n");
    for line in &outcome.timeline {
        let _ = writeln!(text, "{line}");
    }
    let at = outcome.lasted.as_secs_f64();
    let _ = writeln!(text, "{at:>13.3}  FAILED: {}", failure.told());
    if !outcome.state.is_empty() {
        text.push_str("what had not ended:\n");
    }
    for line in &outcome.state {
        let _ = writeln!(text, "  {line}");
    }
    let _ = write!(text, "run it again: DURABLE_SEED={seed} cargo test {name}");
    text
}

/// Says what was out of the order's reach. Past the test harness, which shows nothing of a test that passes.
fn warn(name: &str, strays: Strays) {
    let mut text = String::new();
    if strays.tasks > 0 {
        let _ = writeln!(
            text,
            "warning: test {name} uses tokio::spawn, and the seed does not decide when such tasks run: use `t.spawn(…)` in the test, \
             `join!` in a step, and a child workflow in a workflow"
        );
    }
    if strays.threads > 0 {
        let _ = writeln!(
            text,
            "warning: test {name} uses spawn_blocking, which runs in a real thread while virtual time stands still: call the function \
             in place, or use `#[durable::test(real_time)]`"
        );
    }
    if !text.is_empty() {
        // If it cannot be said, nobody reads it.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
