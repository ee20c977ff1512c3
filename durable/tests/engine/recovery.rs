//! Crashes, takeovers and dead letters.

use durable::{Error, prelude::*, state::Status};

use crate::support::{
    Tally, World, crash, on_every_backend, outline, until, until_recorded, until_status,
};

#[durable::workflow]
async fn three_steps(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("first", || async {
        tally.hit("first");
        Ok::<_, Error>(())
    })
    .await?;
    let failed: Result<(), Error> = ctx
        .step("fails", || async {
            tally.hit("fails");
            Err(Error::Invalid("as it was".into()))
        })
        .await;
    assert_eq!(failed, Err(Error::Invalid("as it was".into())));
    ctx.step("last", || async {
        tally.pass("last").await;
        Ok::<_, Error>(3)
    })
    .await
}

/// The first body stands at a gate, the second goes through; the result says whose it is.
#[durable::workflow]
async fn slow_then_fast(ctx: Ctx) -> Result<i64, Error> {
    let tally = ctx.state::<Tally>()?;
    let attempt = ctx.attempt();
    let result = ctx
        .step("work", || async {
            if attempt == 1 {
                tally.pass("body 1").await;
            } else {
                tally.hit("body 2");
            }
            Ok::<_, Error>(attempt)
        })
        .await?;
    tally.hit(&format!("after {attempt}"));
    Ok(result)
}

#[durable::workflow(max_recovery_attempts = 1)]
async fn poison(ctx: Ctx) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("hangs", || async {
        tally.pass("hangs").await;
        Ok::<_, Error>(())
    })
    .await
}

mod strict {
    use super::{Ctx, Error};

    #[durable::workflow(name = "poison", max_recovery_attempts = 1)]
    pub async fn poison(_ctx: Ctx, _number: u64) -> Result<(), Error> {
        Ok(())
    }
}

/// No backend decides this one, so one is enough.
#[tokio::test]
async fn a_workflow_has_a_hundred_recoveries_unless_it_says_otherwise() {
    let world = World::memory();
    let tally = Tally::default();
    // The first one records two steps, and so does not count.
    for execution in 1..=102 {
        let app = world
            .builder()
            .await
            .state(tally.clone())
            .workflow(three_steps)
            .launch()
            .await
            .unwrap();
        app.start(three_steps, ()).id("w").await.unwrap();
        until("an execution", || async {
            (tally.count("last") == execution).then_some(())
        })
        .await;
        crash(app).await;
    }
    let app = world
        .builder()
        .await
        .state(tally.clone())
        .workflow(three_steps)
        .launch()
        .await
        .unwrap();
    until_status(&app, "w", Status::MaxRecoveryAttemptsExceeded).await;
    assert_eq!(
        (
            tally.count("last"),
            app.workflow("w").await.unwrap().attempts
        ),
        (102, 103)
    );
}

on_every_backend! {
    async fn a_workflow_goes_on_from_its_last_checkpoint_and_runs_no_recorded_step_again(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(three_steps).launch().await.unwrap();
        app.start(three_steps, ()).id("w").await.unwrap();
        tally.reached("last").await;
        crash(app).await;
        tally.open("last");
        let app = world.builder().await.state(tally.clone()).workflow(three_steps).launch().await.unwrap();
        assert_eq!(app.report().recovered, 1);
        assert_eq!(app.handle(three_steps, "w").result().await.unwrap(), 3);
        assert_eq!(tally.order(), ["first", "fails", "last", "last"]);
        assert_eq!(app.workflow("w").await.unwrap().attempts, 2);
        assert_eq!(outline(&app.steps("w").await.unwrap()), [(1, "first"), (2, "fails"), (3, "last")]);
    }

    async fn a_survivor_takes_over_what_a_dead_process_left(world) {
        let tally = Tally::default();
        let survivor = world.builder().await.state(tally.clone()).workflow(three_steps).launch().await.unwrap();
        let doomed = world.builder().await.state(tally.clone()).workflow(three_steps).launch().await.unwrap();
        assert_ne!(survivor.executor(), doomed.executor());
        doomed.start(three_steps, ()).id("w").await.unwrap();
        until_recorded(&doomed, "w", 2).await;
        tally.reached("last").await;
        crash(doomed).await;
        tally.open("last");
        until_status(&survivor, "w", Status::Success).await;
        let row = survivor.workflow("w").await.unwrap();
        assert_eq!(row.executor.as_ref(), Some(survivor.executor()));
    }

    async fn an_execution_that_lost_its_workflow_writes_nothing_and_gives_the_winners_outcome(world) {
        let tally = Tally::default();
        let survivor = world.builder().await.state(tally.clone()).workflow(slow_then_fast).launch().await.unwrap();
        let (builder, db) = world.doomed().await;
        let zombie = builder.state(tally.clone()).workflow(slow_then_fast)
            // It would be told by the next poll; this is about its writes.
            .poll_interval(Duration::from_secs(3600)).launch().await.unwrap();
        let handle = zombie.start(slow_then_fast, ()).id("w").await.unwrap();
        tally.reached("body 1").await;
        // The world thinks it dead; its body runs on.
        db.leave(zombie.executor()).await.unwrap();
        until_status(&survivor, "w", Status::Success).await;
        let before = survivor.steps("w").await.unwrap();
        tally.open("body 1");
        assert_eq!(handle.result().await.unwrap(), 2);
        assert_eq!(survivor.steps("w").await.unwrap(), before);
        assert_eq!(survivor.handle(slow_then_fast, "w").result().await.unwrap(), 2);
        assert_eq!((tally.count("body 1"), tally.count("body 2"), tally.count("after 1")), (1, 1, 0));
    }

    async fn what_a_living_process_runs_is_left_alone(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(three_steps).launch().await.unwrap();
        app.start(three_steps, ()).id("w").await.unwrap();
        tally.reached("last").await;
        let other = world.builder().await.state(tally.clone()).workflow(three_steps).launch().await.unwrap();
        assert_eq!(other.report().recovered, 0);
        // Several rounds of recovery in both processes.
        tokio::time::sleep(Duration::from_millis(250)).await;
        tally.open("last");
        until_status(&app, "w", Status::Success).await;
        assert_eq!(app.workflow("w").await.unwrap().attempts, 1);
        assert_eq!(tally.count("last"), 1);
    }

    async fn a_given_executor_id_in_use_is_refused_and_the_default_is_suffixed(world) {
        let app = world.builder().await.executor_id("worker-7").workflow(poison).launch().await.unwrap();
        let error = world.builder().await.executor_id("worker-7").workflow(poison).launch().await.unwrap_err();
        assert!(error.to_string().contains("worker-7"), "{error}");
        let local = world.builder().await.workflow(poison).launch().await.unwrap();
        let second = world.builder().await.workflow(poison).launch().await.unwrap();
        assert_eq!((local.executor().as_str(), second.executor().as_str()), ("local", "local-2"));
        crash(app).await;
        let again = world.builder().await.executor_id("worker-7").workflow(poison).launch().await.unwrap();
        assert_eq!(again.executor().as_str(), "worker-7");
    }

    async fn a_workflow_that_never_finishes_is_dead_lettered_and_can_be_resumed(world) {
        let tally = Tally::default();
        let builder = || async { world.builder().await.state(tally.clone()).workflow(poison) };
        let app = builder().await.launch().await.unwrap();
        app.start(poison, ()).id("p").await.unwrap();
        tally.reached("hangs").await;
        crash(app).await;
        let app = builder().await.launch().await.unwrap();
        until("the second execution", || async { (tally.count("hangs") == 2).then_some(()) }).await;
        crash(app).await;
        // One recovery is allowed, so the third dispatch puts it away.
        let app = builder().await.launch().await.unwrap();
        until_status(&app, "p", Status::MaxRecoveryAttemptsExceeded).await;
        assert_eq!(tally.count("hangs"), 2);
        assert_eq!(app.workflow("p").await.unwrap().attempts, 3);
        let error = app.handle(poison, "p").result().await.unwrap_err();
        assert_eq!(error, Error::DeadLettered { workflow: "p".into() });
        tally.open("hangs");
        assert!(app.resume("p").await.unwrap());
        app.handle(poison, "p").result().await.unwrap();
        assert_eq!(app.workflow("p").await.unwrap().attempts, 1);
    }

    async fn dead_lettering_is_decided_before_the_arguments_are_read(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(poison).launch().await.unwrap();
        app.start(poison, ()).id("p").await.unwrap();
        tally.reached("hangs").await;
        crash(app).await;
        let app = world.builder().await.state(tally.clone()).workflow(poison).launch().await.unwrap();
        until("the second execution", || async { (tally.count("hangs") == 2).then_some(()) }).await;
        crash(app).await;
        // This code cannot read the arguments; the row ends all the same.
        let app = world.builder().await.workflow(strict::poison).launch().await.unwrap();
        until_status(&app, "p", Status::MaxRecoveryAttemptsExceeded).await;
    }

    async fn queued_work_of_a_dead_process_goes_back_to_its_queue(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(three_steps).queue("work").launch().await.unwrap();
        app.start(three_steps, ()).id("w").queue("work").await.unwrap();
        tally.reached("last").await;
        crash(app).await;
        // Without the queue, a survivor puts it back and leaves it there.
        let app = world.builder().await.state(tally.clone()).workflow(three_steps).launch().await.unwrap();
        let row = app.workflow("w").await.unwrap();
        assert_eq!((row.status, row.queue.as_deref(), row.attempts), (Status::Enqueued, Some("work"), 1));
        tally.open("last");
        let app = world.builder().await.state(tally.clone()).workflow(three_steps).queue("work").launch().await.unwrap();
        assert_eq!(app.handle(three_steps, "w").result().await.unwrap(), 3);
        assert_eq!(tally.count("first"), 1);
    }
}
