//! Durable sleep.

use std::time::Instant;

use durable::{AppBuilder, Error, prelude::*};
use durable_testkit::ManualClock;
use futures_util::{FutureExt as _, future::select_all};

use crate::support::{crash, until_recorded};

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

#[durable::workflow]
async fn waiting(ctx: Ctx) -> Result<Option<u8>, Error> {
    ctx.recv("letters", NAP).await
}

#[durable::workflow]
async fn watching(ctx: Ctx) -> Result<Option<u8>, Error> {
    ctx.get_event("nobody", "letters", NAP).await
}

/// One that began anew would take an hour.
async fn a_wait_waits_after_a_restart_for_what_is_left_of_it(
    clock: ManualClock,
    backend: impl AsyncFn(AppBuilder) -> AppBuilder,
) {
    let builder = async || {
        let builder = App::builder("test").workflow(waiting).workflow(watching);
        backend(builder).await
    };
    let app = builder().await.launch().await.unwrap();
    app.start(waiting, ()).id("m").await.unwrap();
    app.start(watching, ()).id("e").await.unwrap();
    until_recorded(&app, "m", 1).await;
    until_recorded(&app, "e", 1).await;
    crash(app).await;

    clock.advance(AWAY);
    let begin = Instant::now();
    let app = builder().await.launch().await.unwrap();
    assert_eq!(app.handle(waiting, "m").result().await.unwrap(), None);
    assert_eq!(app.handle(watching, "e").result().await.unwrap(), None);
    assert!(
        begin.elapsed() >= LEFT,
        "they ended {:?} after the restart",
        begin.elapsed()
    );
}

/// Both races are won long before the process goes away; when it is back, everything that lost is over as well.
#[durable::workflow]
async fn races(ctx: Ctx) -> Result<String, Error> {
    let limit = ctx.sleep(NAP).boxed();
    let work = ctx.step("work", async || Ok::<_, Error>(())).boxed();
    let (_, first, _) = select_all([limit, work]).await;
    let long = ctx.sleep(NAP / 2).boxed();
    let short = ctx.sleep(LEFT).boxed();
    let (_, second, _) = select_all([long, short]).await;
    let winners = format!("{first} and {second}");
    ctx.step(winners.clone(), async || Ok::<_, Error>(()))
        .await?;
    ctx.sleep(NAP).await?;
    Ok(winners)
}

async fn a_race_has_the_same_winner_when_all_is_over(
    clock: ManualClock,
    backend: impl AsyncFn(AppBuilder) -> AppBuilder,
) {
    let builder = async || backend(App::builder("test").workflow(races)).await;
    let app = builder().await.launch().await.unwrap();
    app.start(races, ()).id("r").await.unwrap();
    until_recorded(&app, "r", 4).await;
    clock.advance(LEFT);
    until_recorded(&app, "r", 6).await;
    let before = app.steps("r").await.unwrap();
    crash(app).await;

    clock.advance(2 * NAP);
    let app = builder().await.launch().await.unwrap();
    let winners = app.handle(races, "r").result().await.unwrap();
    assert_eq!(winners, "1 and 1");
    assert_eq!(app.steps("r").await.unwrap(), before);
}

/// What is recorded before `go` comes is of a clock that was ahead.
#[durable::workflow]
async fn later(ctx: Ctx) -> Result<(usize, Option<u8>), Error> {
    ctx.step("early", async || Ok::<_, Error>(())).await?;
    ctx.recv::<u8>("go", 9 * NAP).await?;
    let limit = ctx.sleep(LEFT).boxed();
    let work = ctx.step("work", async || Ok::<_, Error>(())).boxed();
    let (_, first, rest) = select_all([limit, work]).await;
    for left in rest {
        left.await?;
    }
    let message = ctx.recv("never", LEFT).await?;
    ctx.sleep(LEFT).await?;
    Ok((first, message))
}

async fn a_record_of_a_clock_that_was_ahead_moves_no_later_wait(
    clock: ManualClock,
    backend: impl AsyncFn(AppBuilder) -> AppBuilder,
) {
    let builder = async || backend(App::builder("test").workflow(later)).await;
    let right = clock.now();
    clock.advance(NAP);
    let app = builder().await.launch().await.unwrap();
    app.start(later, ()).id("l").await.unwrap();
    until_recorded(&app, "l", 2).await;
    crash(app).await;

    clock.set(right);
    let begin = Instant::now();
    let app = builder().await.launch().await.unwrap();
    app.send("l", "go", &1).await.unwrap();
    let ended = app.handle(later, "l").result().await.unwrap();
    // The step is done before the sleep, and nobody sends a second message.
    assert_eq!(ended, (1, None));
    assert!(
        begin.elapsed() >= 3 * LEFT,
        "three waits of {LEFT:?} took {:?}",
        begin.elapsed()
    );
    let steps = app.steps("l").await.unwrap();
    let began = steps[4..].iter().filter_map(|step| step.started_at);
    assert!(began.max() < Some(right.saturating_add(NAP)));
    // What is recorded now has its place after what was, and a replay finds it there.
    let places = steps.iter().filter(|step| step.name == "work");
    assert!(places.filter_map(|step| step.completed_at).max() >= Some(right.saturating_add(NAP)));
}

/// Runs each test on the backends whose clocks a test can move.
macro_rules! with_a_clock {
    ($($test:ident,)*) => {$(
        mod $test {
            use durable::{AppBuilder, sqlite::Sqlite};
            use durable_testkit::{ManualClock, Memory};

            use crate::support::bounded;

            #[tokio::test]
            async fn memory() {
                let clock = ManualClock::default();
                let memory = Memory::with_clock(clock.clone());
                let backend = async |builder: AppBuilder| builder.backend(memory.process());
                bounded(super::$test(clock, backend)).await;
            }

            #[tokio::test]
            async fn sqlite() {
                let clock = ManualClock::default();
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("test.db");
                let source = clock.source();
                let backend = async |builder: AppBuilder| {
                    let options = Sqlite::options(&path).clock(source.clone());
                    builder.backend(options.open().await.unwrap())
                };
                bounded(super::$test(clock, backend)).await;
            }
        }
    )*};
}
pub(crate) use with_a_clock;

with_a_clock!(
    a_sleep_waits_after_a_restart_for_what_is_left_of_it,
    a_wait_waits_after_a_restart_for_what_is_left_of_it,
    a_race_has_the_same_winner_when_all_is_over,
    a_record_of_a_clock_that_was_ahead_moves_no_later_wait,
);
