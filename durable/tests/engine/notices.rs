//! What an application tells of its workflows in the log: those that fail, that are recovered, that do less than is recorded, and bodies
//! that block their thread.

use durable::{Error, prelude::*, state::Status};

use crate::{
    capture::Captured,
    support::{Tally, World, crash, until_recorded, until_status},
};

#[durable::workflow]
async fn failing(ctx: Ctx, caught: bool) -> Result<(), Error> {
    let charged: Result<(), Error> = ctx
        .step("charge", async || Err(Error::Invalid("declined".into())))
        .retry(RetryPolicy::attempts(3).initial(Duration::from_millis(1)))
        .await;
    if caught {
        return Err(Error::Invalid("no seat is left".into()));
    }
    charged
}

#[durable::workflow]
async fn panicking(_ctx: Ctx) -> Result<(), Error> {
    panic!("out of luck")
}

#[durable::workflow]
async fn held(ctx: Ctx) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("before", async || Ok::<_, Error>(())).await?;
    ctx.step("held", || async {
        tally.pass("gate").await;
        Ok::<_, Error>(())
    })
    .await
}

/// The lines that hold this text.
fn with(captured: &Captured, text: &str) -> Vec<String> {
    let mut lines = captured.lines();
    lines.retain(|line| line.contains(text));
    lines
}

#[tokio::test]
async fn a_workflow_that_fails_is_one_warning_that_names_its_step() {
    let (world, captured) = (World::memory(), Captured::here());
    let builder = world.builder().await.workflow(failing);
    let app = builder.workflow(panicking).launch().await.unwrap();
    let failed = app.start(failing, false).id("f").await.unwrap();
    failed.result().await.unwrap_err();
    let lines = with(&captured, "WARN");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in [
        "WARN workflow failed",
        "workflow=f",
        "name=failing",
        r#"step="charge""#,
        "number=1",
        "attempts=3",
        r#"error="declined""#,
    ] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    // An error that the code has caught is not why it failed.
    captured.clear();
    let failed = app.start(failing, true).await.unwrap();
    failed.result().await.unwrap_err();
    let lines = with(&captured, "no seat is left");
    assert!(
        lines.len() == 1 && !lines[0].contains("charge"),
        "{lines:#?}"
    );
    app.start(panicking, ())
        .await
        .unwrap()
        .result()
        .await
        .unwrap_err();
    assert_eq!(with(&captured, "out of luck").len(), 1);
}

#[tokio::test]
async fn a_failure_that_a_replay_repeats_names_its_step_too() {
    mod first {
        use super::{Ctx, Error, Tally};

        #[durable::workflow(name = "repeated")]
        pub async fn repeated(ctx: Ctx) -> Result<(), Error> {
            let tally = ctx.state::<Tally>()?;
            let failed: Result<(), Error> = ctx
                .step("charge", async || Err(Error::Invalid("declined".into())))
                .await;
            tally.pass("gate").await;
            failed
        }
    }
    let (world, captured, tally) = (World::memory(), Captured::here(), Tally::default());
    let builder = world.builder().await.state(tally.clone());
    let app = builder.workflow(first::repeated).launch().await.unwrap();
    app.start(first::repeated, ()).id("r").await.unwrap();
    until_recorded(&app, "r", 1).await;
    crash(app).await;
    tally.open("gate");
    let builder = world.builder().await.state(tally);
    let app = builder.workflow(first::repeated).launch().await.unwrap();
    until_status(&app, "r", Status::Error).await;
    let lines = with(&captured, "workflow failed");
    assert!(
        lines.len() == 1 && lines[0].contains(r#"step="charge""#),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn many_failures_are_ten_lines_of_each_kind_and_a_count() {
    let (world, captured) = (World::memory(), Captured::here());
    let builder = world.builder().await.workflow(failing);
    let app = builder.launch().await.unwrap();
    for _ in 0..13 {
        let failed = app.start(failing, true).await.unwrap();
        failed.result().await.unwrap_err();
    }
    for kind in ["WARN workflow failed", "INFO each attempt of a step"] {
        assert_eq!(with(&captured, kind).len(), 10, "{kind}");
    }
    app.shutdown(Duration::ZERO).await;
    for rest in ["more workflows failed", "more steps failed in each attempt"] {
        let lines = with(&captured, rest);
        assert!(
            lines.len() == 1 && lines[0].contains("count=3"),
            "{lines:#?}"
        );
    }
}

#[tokio::test]
async fn warnings_of_failures_can_be_turned_off_and_a_cancelled_workflow_is_none() {
    let (world, captured, tally) = (World::memory(), Captured::here(), Tally::default());
    let builder = world.builder().await.state(tally.clone()).workflow(held);
    let app = builder.launch().await.unwrap();
    app.start(held, ()).id("c").await.unwrap();
    tally.reached("gate").await;
    app.cancel("c").await.unwrap();
    tally.open("gate");
    until_status(&app, "c", Status::Cancelled).await;
    app.shutdown(Duration::ZERO).await;
    let builder = world.builder().await.warn_of_failures(false);
    let app = builder.workflow(failing).launch().await.unwrap();
    let failed = app.start(failing, false).await.unwrap();
    failed.result().await.unwrap_err();
    app.shutdown(Duration::ZERO).await;
    for text in ["workflow failed", "each attempt of a step"] {
        assert_eq!(with(&captured, text), Vec::<String>::new());
    }
}

#[tokio::test]
async fn recovered_workflows_are_one_line() {
    let (world, captured, tally) = (World::memory(), Captured::here(), Tally::default());
    let builder = world.builder().await.state(tally.clone()).workflow(held);
    let app = builder.launch().await.unwrap();
    for id in ["a", "b", "c"] {
        app.start(held, ()).id(id).await.unwrap();
        until_recorded(&app, id, 1).await;
    }
    crash(app).await;
    captured.clear();
    let builder = world.builder().await.state(tally.clone()).workflow(held);
    let app = builder.launch().await.unwrap();
    let lines = with(&captured, "recovered");
    assert_eq!(
        lines,
        ["INFO abandoned workflows recovered count=3"],
        "{lines:#?}"
    );
    crash(app).await;
}

mod long {
    use futures_util::future::select;

    use super::{Ctx, Duration, Error, Tally};

    #[durable::workflow(name = "shortened")]
    pub async fn shortened(ctx: Ctx) -> Result<(), Error> {
        ctx.step("charge", async || Ok::<_, Error>(())).await?;
        ctx.step("mail", async || Ok::<_, Error>(())).await?;
        let tally = ctx.state::<Tally>()?;
        ctx.step("ship", || async {
            tally.pass("ship").await;
            Ok::<_, Error>(())
        })
        .await
    }

    /// The sleep is recorded when it begins, and loses.
    #[durable::workflow(name = "raced")]
    pub async fn raced(ctx: Ctx) -> Result<(), Error> {
        let tally = ctx.state::<Tally>()?;
        let winner = ctx.step("winner", || async {
            tally.pass("winner").await;
            Ok::<_, Error>(())
        });
        let loser = ctx.sleep(Duration::from_secs(3600));
        drop(select(winner, loser).await);
        tally.pass("end").await;
        Ok(())
    }
}

mod short {
    use super::{Ctx, Error};

    #[durable::workflow(name = "shortened")]
    pub async fn shortened(ctx: Ctx) -> Result<(), Error> {
        ctx.step("charge", async || Ok::<_, Error>(())).await
    }
}

#[tokio::test]
async fn a_workflow_that_ends_without_what_is_recorded_is_a_warning() {
    let (world, captured, tally) = (World::memory(), Captured::here(), Tally::default());
    let builder = world.builder().await.state(tally.clone());
    let app = builder.workflow(long::shortened).launch().await.unwrap();
    app.start(long::shortened, ()).id("s").await.unwrap();
    until_recorded(&app, "s", 2).await;
    crash(app).await;
    let builder = world.builder().await.workflow(short::shortened);
    let app = builder.launch().await.unwrap();
    until_status(&app, "s", Status::Success).await;
    let lines = with(&captured, "has ended without");
    assert_eq!(lines.len(), 1, "{:#?}", captured.lines());
    for part in [
        r#"workflow "s" (shortened)"#,
        r#": "mail" (operation 2);"#,
        "durable_testkit::replay",
    ] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
}

#[tokio::test]
async fn what_lost_a_race_is_not_missed() {
    let (world, captured, tally) = (World::memory(), Captured::here(), Tally::default());
    let builder = world.builder().await.state(tally.clone());
    let app = builder.workflow(long::raced).launch().await.unwrap();
    app.start(long::raced, ()).id("r").await.unwrap();
    until_recorded(&app, "r", 1).await;
    tally.open("winner");
    tally.reached("end").await;
    crash(app).await;
    tally.open("end");
    let builder = world.builder().await.state(tally.clone());
    let app = builder.workflow(long::raced).launch().await.unwrap();
    until_status(&app, "r", Status::Success).await;
    assert_eq!(with(&captured, "has ended without"), Vec::<String>::new());
}

#[durable::workflow]
async fn blocking(ctx: Ctx, timeout: Duration) -> Result<(), Error> {
    ctx.step("hash", async || {
        std::thread::sleep(Duration::from_millis(250));
        Ok::<_, Error>(())
    })
    .timeout(timeout)
    .await
}

#[tokio::test]
async fn a_body_that_blocks_past_its_timeout_is_a_warning() {
    let (world, captured) = (World::memory(), Captured::here());
    let builder = world.builder().await.workflow(blocking);
    let app = builder.launch().await.unwrap();
    let patient = Duration::from_secs(60);
    let handle = app.start(blocking, patient).await.unwrap();
    handle.result().await.unwrap();
    assert_eq!(with(&captured, "without yielding"), Vec::<String>::new());
    let hasty = Duration::from_millis(20);
    // It has ended by the time at which it could be ended, so what it gave is its result.
    let handle = app.start(blocking, hasty).id("b").await.unwrap();
    handle.result().await.unwrap();
    let lines = with(&captured, "without yielding");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in [
        r#"step "hash" of workflow "b""#,
        "timeout of 20ms",
        "`tokio::task::spawn_blocking`",
    ] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    // The same of the workflow's own deadline.
    captured.clear();
    let handle = app.start(blocking, patient).id("d").timeout(hasty);
    let _ = handle.await.unwrap().result().await;
    let lines = with(&captured, "past its deadline without yielding");
    assert_eq!(lines.len(), 1, "{:#?}", captured.lines());
}
