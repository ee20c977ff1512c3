//! Durable sleep.

use std::time::Instant;

use durable::{AppBuilder, Error, prelude::*, sqlite::Sqlite};
use durable_testkit::{ManualClock, Memory};

use crate::support::{bounded, crash, until_recorded};

const NAP: Duration = Duration::from_hours(1);
/// How long the process is away.
const AWAY: Duration = Duration::from_millis(3_599_900);
const LEFT: Duration = Duration::from_millis(100);

#[durable::workflow]
async fn nap(ctx: Ctx) -> Result<(), Error> {
    ctx.sleep(NAP).await
}

/// `backend` gives an application on a database with this clock, one process after the other.
async fn a_sleep_waits_after_a_restart_for_what_is_left_of_it(
    clock: ManualClock,
    backend: impl AsyncFn(AppBuilder) -> AppBuilder,
) {
    let builder = async || backend(App::builder("test").workflow(nap)).await;
    let app = builder().await.launch().await.unwrap();
    app.start(nap, ()).id("n").await.unwrap();
    until_recorded(&app, "n", 1).await;
    let before = app.steps("n").await.unwrap();
    crash(app).await;

    clock.advance(AWAY);
    let begin = Instant::now();
    let app = builder().await.launch().await.unwrap();
    app.handle(nap, "n").result().await.unwrap();
    assert!(
        begin.elapsed() >= LEFT,
        "it woke {:?} after the restart",
        begin.elapsed()
    );
    assert_eq!(app.steps("n").await.unwrap(), before);
}

#[tokio::test]
async fn a_sleep_waits_after_a_restart_for_what_is_left_of_it_memory() {
    let clock = ManualClock::default();
    let memory = Memory::with_clock(clock.clone());
    let backend = async |builder: AppBuilder| builder.backend(memory.process());
    bounded(a_sleep_waits_after_a_restart_for_what_is_left_of_it(
        clock, backend,
    ))
    .await;
}

#[tokio::test]
async fn a_sleep_waits_after_a_restart_for_what_is_left_of_it_sqlite() {
    let clock = ManualClock::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.db");
    let source = clock.source();
    let backend = async |builder: AppBuilder| {
        let options = Sqlite::options(&path).clock(source.clone());
        builder.backend(options.open().await.unwrap())
    };
    bounded(a_sleep_waits_after_a_restart_for_what_is_left_of_it(
        clock, backend,
    ))
    .await;
}
