//! Cancelling, resuming, panics and shutdown.

use durable::{Error, prelude::*, state::Status};

use crate::support::{
    Tally, crash, on_every_backend, outline, until, until_recorded, until_status,
};

const LONG: Duration = Duration::from_secs(3600);

#[durable::workflow]
async fn sleeper(ctx: Ctx) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("before", || async {
        tally.hit("before");
        Ok::<_, Error>(())
    })
    .await?;
    ctx.sleep(LONG).await
}

#[durable::workflow]
async fn receiver(ctx: Ctx) -> Result<Option<u8>, Error> {
    ctx.recv("never", LONG).await
}

#[durable::workflow]
async fn parent(ctx: Ctx) -> Result<(), Error> {
    let child = ctx.start(sleeper, ()).await?;
    child.result().await
}

#[durable::workflow]
async fn busy(ctx: Ctx) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("long body", |step: StepCtx| {
        let tally = Tally::clone(&tally);
        async move {
            tally.hit("begun");
            step.cancelled().await;
            tally.pass("told").await;
            tally.hit("ended by itself");
            Ok::<_, Error>(())
        }
    })
    .await?;
    tally.hit("went on");
    ctx.step("next", || async {
        tally.hit("next body");
        Ok::<_, Error>(())
    })
    .await
}

#[durable::workflow]
async fn two_steps(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("first", || async {
        tally.hit("first");
        Ok::<_, Error>(())
    })
    .await?;
    ctx.recv::<u8>("go", LONG).await?;
    ctx.step("second", || async {
        tally.hit("second");
        Ok::<_, Error>(2)
    })
    .await
}

#[durable::workflow]
async fn panicking(ctx: Ctx) -> Result<(), Error> {
    let _ = ctx;
    panic!("by mistake");
}

#[durable::workflow]
async fn gated(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("gated", || async {
        tally.pass("gated").await;
        Ok::<_, Error>(1)
    })
    .await
}

#[durable::workflow]
async fn late_parent(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("late", || async {
        tally.pass("late").await;
        Ok::<_, Error>(())
    })
    .await?;
    ctx.start(gated, ()).await?.result().await
}

on_every_backend! {
    async fn a_sleeping_a_waiting_and_a_joining_workflow_stop_at_once_when_cancelled(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone())
            .workflow(sleeper).workflow(receiver).workflow(parent).launch().await.unwrap();
        let sleeping = app.start(sleeper, ()).id("s").await.unwrap();
        let waiting = app.start(receiver, ()).id("r").await.unwrap();
        let joining = app.start(parent, ()).id("p").await.unwrap();
        until_recorded(&app, "s", 2).await;
        until_recorded(&app, "r", 1).await;
        until_recorded(&app, "p", 1).await;
        assert!(app.cancel("s").await.unwrap() && app.cancel("r").await.unwrap() && app.cancel("p").await.unwrap());
        let cancelled = |workflow: &str| Error::Cancelled { workflow: workflow.to_owned() };
        assert_eq!(sleeping.result().await.unwrap_err(), cancelled("s"));
        assert_eq!(waiting.result().await.unwrap_err(), cancelled("r"));
        assert_eq!(joining.result().await.unwrap_err(), cancelled("p"));
        // The child of a cancelled parent goes on, as in the reference.
        assert_eq!(app.workflow("p-1").await.unwrap().status, Status::Pending);
        app.shutdown(Duration::ZERO).await;
    }

    async fn a_cancel_from_another_process_wakes_a_sleeping_workflow(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(sleeper).launch().await.unwrap();
        let other = world.builder().await.state(tally.clone()).workflow(sleeper).launch().await.unwrap();
        let handle = app.start(sleeper, ()).id("s").await.unwrap();
        until_recorded(&app, "s", 2).await;
        assert!(other.cancel("s").await.unwrap());
        assert_eq!(handle.result().await.unwrap_err(), Error::Cancelled { workflow: "s".into() });
    }

    async fn a_running_body_is_told_and_the_workflow_stops_at_its_next_operation(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(busy).launch().await.unwrap();
        let handle = app.start(busy, ()).id("b").await.unwrap();
        tally.reached("begun").await;
        assert!(handle.cancel().await.unwrap());
        // The body is not dropped: it ends by itself, and nothing follows it.
        tally.reached("told").await;
        tally.open("told");
        assert_eq!(handle.result().await.unwrap_err(), Error::Cancelled { workflow: "b".into() });
        assert_eq!(tally.count("ended by itself"), 1);
        assert_eq!((tally.count("went on"), tally.count("next body")), (0, 0));
        assert!(app.steps("b").await.unwrap().is_empty());
    }

    async fn a_resumed_workflow_goes_on_from_its_last_checkpoint(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(two_steps).launch().await.unwrap();
        let handle = app.start(two_steps, ()).id("t").await.unwrap();
        until_recorded(&app, "t", 2).await;
        assert!(handle.cancel().await.unwrap());
        assert!(handle.result().await.is_err());
        app.send("t", "go", &1).await.unwrap();
        assert!(handle.resume().await.unwrap());
        assert!(!handle.resume().await.unwrap());
        assert_eq!(handle.result().await.unwrap(), 2);
        assert_eq!((tally.count("first"), tally.count("second")), (1, 1));
        let row = app.workflow("t").await.unwrap();
        assert_eq!(row.queue.as_deref(), Some("_dbos_internal_queue"));
        assert_eq!(outline(&app.steps("t").await.unwrap()), [
            (1, "first"), (2, "DBOS.recv"), (3, "DBOS.sleep"), (4, "second"),
        ]);
    }

    async fn a_panic_in_a_workflow_is_its_error(world) {
        let app = world.builder().await.workflow(panicking).launch().await.unwrap();
        let error = app.start(panicking, ()).id("p").await.unwrap().result().await.unwrap_err();
        let panicked = Error::WorkflowPanicked { workflow: "p".into(), message: "by mistake".into() };
        assert_eq!(error, panicked);
        assert_eq!(app.workflow("p").await.unwrap().status, Status::Error);
    }

    async fn a_shutdown_waits_for_what_runs_within_its_bound(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(gated).launch().await.unwrap();
        let handle = app.start(gated, ()).id("g").await.unwrap();
        tally.reached("gated").await;
        let stopping = tokio::spawn({
            let app = app.clone();
            async move { app.shutdown(Duration::from_secs(30)).await }
        });
        tally.open("gated");
        stopping.await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 1);
        assert_eq!(app.workflow("g").await.unwrap().status, Status::Success);
    }

    async fn a_draining_workflow_may_still_start_children_and_no_outcome_is_made_of_the_shutdown(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(gated).workflow(late_parent).launch().await.unwrap();
        let handle = app.start(late_parent, ()).id("p").await.unwrap();
        tally.reached("late").await;
        let stopping = tokio::spawn({
            let app = app.clone();
            async move { app.shutdown(Duration::from_secs(30)).await }
        });
        until("the shutdown to have begun", || async {
            app.start(gated, ()).await.is_err().then_some(())
        }).await;
        tally.open("gated");
        tally.open("late");
        stopping.await.unwrap();
        // It waits for its child, so it may be released before that has ended.
        if let Err(error) = handle.result().await {
            assert!(!error.is_outcome() && error.code() == "DURABLE_STOPPED", "{error:?}");
        }
        let app = world.builder().await.state(tally).workflow(gated).workflow(late_parent).launch().await.unwrap();
        assert_eq!(app.handle(late_parent, "p").result().await.unwrap(), 1);
        assert_eq!(app.steps("p").await.unwrap()[0].name, "late");
    }

    async fn a_handle_of_an_application_that_is_shut_down_does_not_wait_for_ever(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(gated).launch().await.unwrap();
        app.start(gated, ()).id("g").await.unwrap();
        let handle = app.handle(gated, "g");
        crash(app).await;
        let error = handle.result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_SHUTTING_DOWN");
        assert!(!error.is_outcome());
    }

    async fn what_a_shutdown_interrupts_is_recovered(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(gated).launch().await.unwrap();
        let handle = app.start(gated, ()).id("g").await.unwrap();
        tally.reached("gated").await;
        crash(app.clone()).await;
        let error = handle.result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_STOPPED");
        assert!(!error.is_outcome());
        assert!(error.to_string().contains(r#"workflow "g" is unfinished and goes on when"#), "{error}");
        assert_eq!(app.workflow("g").await.unwrap().status, Status::Pending);
        tally.open("gated");
        let app = world.builder().await.state(tally.clone()).workflow(gated).launch().await.unwrap();
        until_status(&app, "g", Status::Success).await;
        until("both bodies", || async { (tally.count("gated") == 2).then_some(()) }).await;
    }
}
