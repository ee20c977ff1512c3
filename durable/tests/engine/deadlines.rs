//! Timeouts of workflows.

use durable::{AppBuilder, Error, prelude::*, state::Status};
use durable_testkit::ManualClock;

use crate::{
    sleeping::with_a_clock,
    support::{Tally, crash, on_every_backend, until, until_recorded, until_status},
};

const LONG: Duration = Duration::from_secs(3600);

#[durable::workflow]
async fn sleeper(ctx: Ctx) -> Result<(), Error> {
    ctx.sleep(LONG).await
}

#[durable::workflow]
async fn family(ctx: Ctx) -> Result<(), Error> {
    let inherits = ctx.start(sleeper, ()).id("inherits").await?;
    ctx.start(sleeper, ()).id("own").timeout(LONG).await?;
    ctx.start(sleeper, ()).id("never").no_timeout().await?;
    inherits.result().await
}

#[durable::workflow]
async fn stubborn(ctx: Ctx) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("stubborn", |step: StepCtx| {
        let tally = Tally::clone(&tally);
        async move {
            tally.hit("begun");
            step.cancelled().await;
            tally.hit("told");
            Ok::<_, Error>(())
        }
    })
    .await
}

/// Steps have begun, and then the database's clock moves.
async fn at_a_deadline_children_are_cancelled_that_inherit_it_and_running_steps_are_told(
    clock: ManualClock,
    backend: impl AsyncFn(AppBuilder) -> AppBuilder,
) {
    let tally = Tally::default();
    let builder = App::builder("test").state(tally.clone());
    let builder = builder
        .poll_interval(Duration::from_millis(20))
        .workflow(sleeper)
        .workflow(family)
        .workflow(stubborn);
    let app = backend(builder).await.launch().await.unwrap();
    app.start(family, ())
        .id("f")
        .timeout(LONG / 2)
        .await
        .unwrap();
    app.start(stubborn, ())
        .id("s")
        .timeout(LONG / 2)
        .await
        .unwrap();
    until_recorded(&app, "f", 3).await;
    until("the step to begin", || async {
        (tally.count("begun") == 1).then_some(())
    })
    .await;
    clock.advance(LONG / 2);
    for id in ["f", "inherits", "s"] {
        until_status(&app, id, Status::Cancelled).await;
    }
    until("the step to be told", || async {
        (tally.count("told") == 1).then_some(())
    })
    .await;
    for id in ["own", "never"] {
        assert_eq!(app.workflow(id).await.unwrap().status, Status::Pending);
    }
    crash(app).await;
}

with_a_clock!(at_a_deadline_children_are_cancelled_that_inherit_it_and_running_steps_are_told,);

on_every_backend! {
    async fn a_workflow_is_cancelled_at_its_deadline(world) {
        let app = world.builder().await.workflow(sleeper).launch().await.unwrap();
        let handle = app.start(sleeper, ()).id("s").timeout(Duration::from_millis(150)).await.unwrap();
        let row = app.workflow("s").await.unwrap();
        assert_eq!(row.timeout_ms, Some(150));
        assert_eq!(row.deadline.unwrap().since(row.created_at), Duration::from_millis(150));
        assert_eq!(handle.result().await.unwrap_err(), Error::Cancelled { workflow: "s".into() });
        let row = app.workflow("s").await.unwrap();
        assert!(row.completed_at.unwrap() >= row.deadline.unwrap());
    }

    async fn a_running_step_is_told_at_the_deadline(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(stubborn).launch().await.unwrap();
        let handle = app.start(stubborn, ()).id("s").timeout(Duration::from_millis(50)).await.unwrap();
        assert!(handle.result().await.is_err());
        // On a slow machine the deadline may come before the step does.
        assert_eq!(tally.count("told"), tally.count("begun"));
        assert_eq!(app.workflow("s").await.unwrap().status, Status::Cancelled);
    }

    async fn a_child_inherits_the_deadline_unless_it_has_its_own_or_wants_none(world) {
        let app = world.builder().await.workflow(sleeper).workflow(family).launch().await.unwrap();
        app.start(family, ()).id("f").timeout(LONG / 2).await.unwrap();
        until_recorded(&app, "f", 3).await;
        let parent = app.workflow("f").await.unwrap();
        let inherits = app.workflow("inherits").await.unwrap();
        assert_eq!((inherits.deadline, inherits.timeout_ms), (parent.deadline, None));
        let own = app.workflow("own").await.unwrap();
        assert_eq!(own.timeout_ms, Some(3_600_000));
        assert!(own.deadline > parent.deadline);
        assert_eq!(app.workflow("never").await.unwrap().deadline, None);
        crash(app).await;
    }

    async fn a_deadline_survives_a_restart_and_comes_also_while_nobody_runs_the_workflow(world) {
        let app = world.builder().await.workflow(sleeper).launch().await.unwrap();
        app.start(sleeper, ()).id("s").timeout(Duration::from_millis(300)).await.unwrap();
        app.start(sleeper, ()).id("q").queue("nobody's").timeout(LONG).await.unwrap();
        let deadline = app.workflow("s").await.unwrap().deadline;
        crash(app).await;
        let app = world.builder().await.workflow(sleeper).launch().await.unwrap();
        assert_eq!(app.workflow("s").await.unwrap().deadline, deadline);
        until_status(&app, "s", Status::Cancelled).await;
        // An enqueued workflow's own timeout begins at its claim.
        let queued = app.workflow("q").await.unwrap();
        assert_eq!((queued.status, queued.deadline), (Status::Enqueued, None));
    }
}
