//! Timeouts of workflows.

use durable::{Error, prelude::*, state::Status};

use crate::support::{Tally, crash, on_every_backend, until_recorded, until_status};

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
            step.cancelled().await;
            tally.hit("told");
            Ok::<_, Error>(())
        }
    })
    .await
}

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
        assert_eq!(tally.count("told"), 1);
        assert_eq!(app.workflow("s").await.unwrap().status, Status::Cancelled);
    }

    async fn a_child_inherits_the_deadline_unless_it_has_its_own_or_wants_none(world) {
        let app = world.builder().await.workflow(sleeper).workflow(family).launch().await.unwrap();
        let handle = app.start(family, ()).id("f").timeout(Duration::from_millis(400)).await.unwrap();
        until_recorded(&app, "f", 3).await;
        let parent = app.workflow("f").await.unwrap();
        let inherits = app.workflow("inherits").await.unwrap();
        assert_eq!((inherits.deadline, inherits.timeout_ms), (parent.deadline, None));
        let own = app.workflow("own").await.unwrap();
        assert_eq!(own.timeout_ms, Some(3_600_000));
        assert!(own.deadline > parent.deadline);
        assert_eq!(app.workflow("never").await.unwrap().deadline, None);
        assert!(handle.result().await.is_err());
        until_status(&app, "inherits", Status::Cancelled).await;
        assert_eq!(app.workflow("own").await.unwrap().status, Status::Pending);
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
