//! Shutdowns: what they wait for, what they leave, and which executions count as crashes.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use durable::{App, Error, prelude::*, state::Status};

use crate::support::{Tally, World, crash, on_every_backend, until, until_recorded, until_status};

const HOUR: Duration = Duration::from_hours(1);
/// Longer than any test waits.
const GRACE: Duration = Duration::from_secs(60);

#[durable::workflow(max_recovery_attempts = 1)]
async fn naps(ctx: Ctx) -> Result<(), Error> {
    ctx.sleep(HOUR).await
}

#[durable::workflow]
async fn listens(ctx: Ctx) -> Result<Option<u8>, Error> {
    ctx.recv("never", HOUR).await
}

#[durable::workflow]
async fn reads(ctx: Ctx) -> Result<Option<u8>, Error> {
    let own = ctx.workflow_id().clone();
    ctx.get_event(own, "never", HOUR).await
}

#[durable::workflow]
async fn parent(ctx: Ctx) -> Result<(), Error> {
    ctx.start(naps, ()).await?.result().await
}

/// At rest between its operations, for something that is none.
#[durable::workflow]
async fn idles(ctx: Ctx) -> Result<(), Error> {
    ctx.step("one", async || Ok::<_, Error>(())).await?;
    std::future::pending().await
}

/// Waits in all ways at once.
#[durable::workflow]
async fn races(ctx: Ctx) -> Result<(), Error> {
    let (nap, mail) = (ctx.sleep(HOUR), ctx.recv::<u8>("never", HOUR));
    let _ = tokio::join!(nap, mail);
    Ok(())
}

/// Waits to be tried again.
#[durable::workflow]
async fn retries(ctx: Ctx) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    let fails = || async {
        tally.hit("failed");
        Err(Error::Invalid("not yet".into()))
    };
    let policy = durable::RetryPolicy::attempts(3).initial(HOUR);
    ctx.step("fails", fails).retry(policy).await
}

#[durable::workflow(max_recovery_attempts = 1)]
async fn works(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("work", || async {
        tally.pass("work").await;
        Ok::<_, Error>(7)
    })
    .await
}

/// Each body hangs the first time.
#[durable::workflow(max_recovery_attempts = 1)]
async fn climbs(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    for rung in 1..=4 {
        let name = format!("rung {rung}");
        let body = || async {
            tally.hit(&name);
            if tally.count(&name) == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<_, Error>(())
        };
        ctx.step(name.clone(), body).await?;
    }
    Ok(4)
}

#[durable::workflow]
async fn stops_its_own_app(ctx: Ctx) -> Result<(), Error> {
    ctx.step("stop", || async {
        let app = ctx.state::<Arc<OnceLock<App>>>()?;
        let app = app.get().expect("the app is known by now");
        app.shutdown(Duration::from_millis(50)).await;
        Ok::<_, Error>(())
    })
    .await
}

async fn launch(world: &World, tally: &Tally) -> App {
    let builder = world.builder().await.state(tally.clone());
    let builder = builder.workflow(naps).workflow(listens).workflow(reads);
    let builder = builder.workflow(parent).workflow(idles).workflow(races);
    let builder = builder.workflow(retries).workflow(works).workflow(climbs);
    builder.queue("q").launch().await.unwrap()
}

on_every_backend! {
    async fn a_workflow_that_waits_survives_any_number_of_clean_restarts(world) {
        let tally = Tally::default();
        let app = launch(&world, &tally).await;
        app.start(naps, ()).id("direct").await.unwrap();
        app.start(naps, ()).id("queued").queue("q").await.unwrap();
        let mut app = Some(app);
        for restart in 1..=4 {
            let present = app.take().expect("there is one");
            for id in ["direct", "queued"] {
                until_recorded(&present, id, 1).await;
                until("an execution", || async {
                    let row = present.workflow(id).await.unwrap();
                    (row.status == Status::Pending && row.attempts == restart).then_some(())
                }).await;
            }
            present.shutdown(GRACE).await;
            app = Some(launch(&world, &tally).await);
        }
        let app = app.expect("there is one");
        for id in ["direct", "queued"] {
            until("the last execution", || async {
                let row = app.workflow(id).await.unwrap();
                (row.status == Status::Pending && row.attempts == 5).then_some(())
            }).await;
        }
    }

    async fn a_body_that_the_grace_cuts_off_counts(world) {
        let tally = Tally::default();
        for execution in 1..=2 {
            let app = launch(&world, &tally).await;
            app.start(works, ()).id("w").await.unwrap();
            until("its body", || async { (tally.count("work") == execution).then_some(()) }).await;
            app.shutdown(Duration::from_millis(20)).await;
        }
        let app = launch(&world, &tally).await;
        until_status(&app, "w", Status::MaxRecoveryAttemptsExceeded).await;
        assert_eq!(tally.count("work"), 2);
    }

    async fn a_workflow_that_records_something_each_time_is_not_dead_lettered(world) {
        let tally = Tally::default();
        for rung in 1..=4 {
            let app = launch(&world, &tally).await;
            app.start(climbs, ()).id("c").await.unwrap();
            tally.reached(&format!("rung {rung}")).await;
            crash(app).await;
        }
        let app = launch(&world, &tally).await;
        assert_eq!(app.handle(climbs, "c").result().await.unwrap(), 4);
        assert_eq!(app.workflow("c").await.unwrap().attempts, 5);
    }

    async fn a_shutdown_waits_for_bodies_and_not_for_what_only_waits(world) {
        let tally = Tally::default();
        let app = launch(&world, &tally).await;
        let waiting = app.start(naps, ()).id("naps").await.unwrap();
        app.start(listens, ()).id("listens").await.unwrap();
        app.start(reads, ()).id("reads").await.unwrap();
        app.start(parent, ()).id("parent").await.unwrap();
        app.start(idles, ()).id("idles").await.unwrap();
        app.start(races, ()).id("races").await.unwrap();
        app.start(retries, ()).id("retries").await.unwrap();
        app.start(works, ()).id("works").await.unwrap();
        for id in ["naps", "listens", "reads", "parent", "idles", "races"] {
            until_recorded(&app, id, 1).await;
        }
        tally.reached("failed").await;
        tally.reached("work").await;
        let begin = Instant::now();
        let opens = async {
            let stopped = waiting.result().await.unwrap_err();
            assert_eq!(stopped.code(), "DURABLE_STOPPED");
            tally.open("work");
        };
        tokio::join!(app.shutdown(GRACE), opens);
        assert!(begin.elapsed() < GRACE / 4, "it took {:?}", begin.elapsed());
        let next = launch(&world, &tally).await;
        assert_eq!(next.workflow("works").await.unwrap().status, Status::Success);
        assert_eq!(next.executor(), app.executor());
        // The child of `parent` is one of them.
        assert_eq!(next.report().recovered, 8);
    }

    async fn a_shutdown_whose_caller_is_dropped_gives_the_executor_id_back(world) {
        let tally = Tally::default();
        let app = launch(&world, &tally).await;
        app.start(works, ()).id("w").await.unwrap();
        tally.reached("work").await;
        let patience = Duration::from_millis(20);
        let dropped = tokio::time::timeout(patience, app.shutdown(10 * patience)).await;
        assert!(dropped.is_err());
        until("the executor id", || async {
            let next = launch(&world, &tally).await;
            let is_free = next.executor() == app.executor();
            next.shutdown(Duration::ZERO).await;
            is_free.then_some(())
        }).await;
    }
}

/// No backend has a part in it, so one is enough.
#[tokio::test]
async fn a_body_may_stop_its_own_application() {
    let world = World::memory();
    let own = Arc::new(OnceLock::new());
    let builder = world.builder().await.state(Arc::clone(&own));
    let app = builder.workflow(stops_its_own_app).launch().await.unwrap();
    own.set(app.clone()).expect("set once");
    let handle = app.start(stops_its_own_app, ()).id("s").await.unwrap();
    let error = handle.result().await.unwrap_err();
    assert!(
        ["DURABLE_STOPPED", "DURABLE_SHUTTING_DOWN"].contains(&error.code()),
        "{error}"
    );
    until("the executor id", || async {
        let builder = world.builder().await.state(Arc::clone(&own));
        let next = builder.workflow(stops_its_own_app).launch().await.unwrap();
        let is_free = next.executor() == app.executor();
        next.shutdown(Duration::ZERO).await;
        is_free.then_some(())
    })
    .await;
}
