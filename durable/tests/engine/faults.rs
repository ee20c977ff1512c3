//! Lost calls, lost answers and lost wake-ups between the engine and its database.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use durable::{Error, prelude::*, state::Status};
use durable_testkit::faults::{Fault, Faulty};

use crate::support::{Tally, World, on_every_backend, until, until_status};

#[durable::workflow]
async fn child(_ctx: Ctx) -> Result<u8, Error> {
    Ok(1)
}

#[durable::workflow]
async fn everything(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    let me = ctx.workflow_id().clone();
    ctx.step("step", || async {
        tally.hit("step");
        Ok::<_, Error>(())
    })
    .await?;
    ctx.send(&me, "t", &1).await?;
    ctx.recv::<u8>("t", Duration::from_secs(9)).await?;
    ctx.recv::<u8>("t", Duration::from_millis(1)).await?;
    ctx.set_event("k", &1).await?;
    ctx.get_event::<u8>(&me, "k", Duration::from_secs(9))
        .await?;
    ctx.sleep(Duration::from_millis(1)).await?;
    ctx.start(child, ()).await?.result().await
}

#[durable::workflow]
async fn job(ctx: Ctx) -> Result<u8, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("job", || async {
        tally.hit("job");
        Ok::<_, Error>(1)
    })
    .await
}

/// At rest from its beginning, without a record.
#[durable::workflow(max_recovery_attempts = 1)]
async fn rests(_ctx: Ctx) -> Result<(), Error> {
    std::future::pending().await
}

#[durable::workflow]
async fn canceller(ctx: Ctx) -> Result<bool, Error> {
    ctx.cancel("somebody").await
}

/// Each call suffers `fault` the first time.
fn first_time(fault: Fault) -> impl Fn(&'static str) -> Fault + Send + Sync {
    let seen = Mutex::new(BTreeMap::<&'static str, u32>::new());
    move |call| {
        // The launch makes its first contact without retrying.
        if matches!(call, "migrate" | "now") {
            return Fault::None;
        }
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(call).or_default();
        *count += 1;
        if *count == 1 { fault } else { Fault::None }
    }
}

/// The first claim from each of the two queues, the test's and the internal one, suffers `fault`.
fn first_claims(fault: Fault) -> impl Fn(&'static str) -> Fault + Send + Sync {
    let claims = AtomicUsize::new(0);
    move |call| {
        if call == "claim" && claims.fetch_add(1, Ordering::SeqCst) < 2 {
            return fault;
        }
        Fault::None
    }
}

/// An application whose calls suffer `plan`.
async fn faulty(
    world: &World,
    tally: &Tally,
    plan: impl Fn(&'static str) -> Fault + Send + Sync + 'static,
) -> durable::AppBuilder {
    let builder = world.builder().await.state(tally.clone());
    builder.backend(Faulty::over(world.process().await).failing(plan))
}

on_every_backend! {
    async fn every_call_may_be_lost_once_and_nothing_is_lost_or_doubled(world) {
        for (id, fault) in [("calls", Fault::CallLost), ("answers", Fault::AnswerLost)] {
            let tally = Tally::default();
            let app = faulty(&world, &tally, first_time(fault)).await
                .workflow(everything).workflow(child).launch().await.unwrap();
            let handle = app.start(everything, ()).id(id).await.unwrap();
            assert_eq!(handle.result().await.unwrap(), 1, "{id}");
            assert_eq!(tally.count("step"), 1, "{id}");
            let steps = app.steps(id).await.unwrap();
            assert_eq!(steps.len(), 10, "{id}: {steps:#?}");
            app.shutdown(Duration::from_secs(9)).await;
        }
    }

    async fn a_launch_that_fails_releases_what_it_has_recovered(world) {
        let tally = Tally::default();
        let app = world.builder().await.workflow(rests).launch().await.unwrap();
        // As many as are taken over at a time: the launch looks for more then.
        for n in 0..100 {
            app.start(rests, ()).id(format!("r{n}")).await.unwrap();
        }
        app.shutdown(Duration::from_secs(9)).await;
        for _ in 0..3 {
            let looks = AtomicUsize::new(0);
            let plan = move |call: &'static str| {
                let fails = call == "abandoned" && looks.fetch_add(1, Ordering::SeqCst) > 0;
                if fails { Fault::Broken } else { Fault::None }
            };
            let failing = faulty(&world, &tally, plan).await.workflow(rests);
            failing.launch().await.unwrap_err();
        }
        let app = world.builder().await.workflow(rests).launch().await.unwrap();
        assert_eq!(app.report().executor.as_str(), "local");
        assert_eq!(app.report().recovered, 100);
        until("the last execution", || async {
            let row = app.workflow("r7").await.unwrap();
            (row.status == Status::Pending && row.attempts == 5).then_some(())
        }).await;
    }

    async fn a_claim_whose_answer_was_lost_is_found_again(world) {
        let tally = Tally::default();
        let client = world.builder().await.state(tally.clone()).workflow(job).launch().await.unwrap();
        client.start(job, ()).id("j").queue("work").await.unwrap();
        let app = faulty(&world, &tally, first_claims(Fault::AnswerLost)).await
            .workflow(job).queue("work")
            // Recovery would find it, too; this is about the claim itself.
            .recovery_interval(Duration::from_secs(3600)).launch().await.unwrap();
        until_status(&app, "j", Status::Success).await;
        assert_eq!(tally.count("job"), 1);
        assert_eq!(app.workflow("j").await.unwrap().attempts, 1);
    }

    async fn a_claimed_workflow_that_was_never_run_is_found_by_its_own_process(world) {
        // The claim is committed, and then this process loses track of it for good: the row is its own, and it runs no such token.
        let tally = Tally::default();
        let client = world.builder().await.state(tally.clone()).workflow(job).launch().await.unwrap();
        client.start(job, ()).id("j").queue("work").await.unwrap();
        let app = faulty(&world, &tally, first_claims(Fault::Broken)).await.workflow(job).queue("work").launch().await.unwrap();
        until_status(&app, "j", Status::Success).await;
        assert_eq!(tally.count("job"), 1);
        assert_eq!(app.workflow("j").await.unwrap().attempts, 2);
    }

    async fn a_broken_promise_of_the_database_is_never_a_workflows_outcome(world) {
        let plan = {
            let first = first_time(Fault::Broken);
            move |call: &'static str| if call == "record_step" { first(call) } else { Fault::None }
        };
        let tally = Tally::default();
        let app = faulty(&world, &tally, plan).await.workflow(job).launch().await.unwrap();
        let handle = app.start(job, ()).id("j").await.unwrap();
        let error = handle.result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_DATABASE");
        assert_eq!(app.workflow("j").await.unwrap().status, Status::Pending);
        app.shutdown(Duration::ZERO).await;
        let app = world.builder().await.state(tally.clone()).workflow(job).launch().await.unwrap();
        assert_eq!(app.handle(job, "j").result().await.unwrap(), 1);
        // The step had been recorded after all.
        assert_eq!(tally.count("job"), 1);
    }

    async fn a_shutdown_ends_in_time_also_while_the_database_is_away(world) {
        let away = std::sync::Arc::new(AtomicUsize::new(0));
        let switch = std::sync::Arc::clone(&away);
        let tally = Tally::default();
        let plan = move |_| if switch.load(Ordering::SeqCst) == 1 { Fault::CallLost } else { Fault::None };
        let app = faulty(&world, &tally, plan).await.workflow(job).queue("work").launch().await.unwrap();
        away.store(1, Ordering::SeqCst);
        let starting = tokio::spawn({
            let app = app.clone();
            async move { app.start(job, ()).await.map(|_| ()) }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begin = std::time::Instant::now();
        app.shutdown(Duration::from_millis(10)).await;
        assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
        starting.abort();
    }

    async fn a_launch_that_fails_leaves_nothing_behind(world) {
        let tally = Tally::default();
        let plan = |call| if call == "abandoned" { Fault::Broken } else { Fault::None };
        let failed = faulty(&world, &tally, plan).await.workflow(job).queue("work").executor_id("one").launch().await;
        assert_eq!(failed.unwrap_err().code(), "DURABLE_DATABASE");
        // The id is given back in the background.
        let app = crate::support::until("the id to be free", || async {
            let builder = world.builder().await.state(tally.clone());
            builder.workflow(job).executor_id("one").launch().await.ok()
        }).await;
        // The first launch claims nothing any more: nobody serves this queue.
        app.start(job, ()).id("j").queue("work").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(app.workflow("j").await.unwrap().status, Status::Enqueued);
    }

    async fn a_history_that_cannot_be_read_stops_its_own_workflow_only(world) {
        let tally = Tally::default();
        let client = world.builder().await.state(tally.clone()).workflow(job).launch().await.unwrap();
        for id in ["a", "b", "c"] {
            client.start(job, ()).id(id).queue("work").await.unwrap();
        }
        // The batch cannot be read, nor the first one of it.
        let reads = AtomicUsize::new(0);
        let plan = move |call| {
            let breaks = call == "histories" && reads.fetch_add(1, Ordering::SeqCst) < 2;
            if breaks { Fault::Broken } else { Fault::None }
        };
        let app = faulty(&world, &tally, plan).await.workflow(job).queue("work").launch().await.unwrap();
        for id in ["b", "c"] {
            until_status(&app, id, Status::Success).await;
        }
        let error = app.handle(job, "a").result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_DATABASE");
        assert_eq!(app.workflow("a").await.unwrap().status, Status::Pending);
    }

    async fn database_trouble_is_no_result_of_managing_another_workflow(world) {
        let plan = {
            let first = first_time(Fault::Broken);
            move |call: &'static str| if call == "cancel" { first(call) } else { Fault::None }
        };
        let tally = Tally::default();
        let app = faulty(&world, &tally, plan).await.workflow(canceller).launch().await.unwrap();
        let error = app.start(canceller, ()).id("c").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_DATABASE");
        assert_eq!(app.workflow("c").await.unwrap().status, Status::Pending);
        assert!(app.steps("c").await.unwrap().is_empty());
    }

    async fn a_start_that_meets_a_shutdown_is_refused_or_waited_for(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(job).launch().await.unwrap();
        let (started, ()) = tokio::join!(
            async { app.start(job, ()).id("j").await.map(|_| ()) },
            app.shutdown(Duration::from_secs(9)),
        );
        let other = world.builder().await.state(tally.clone()).launch().await.unwrap();
        let row = other.workflow("j").await;
        match started {
            Ok(()) => assert_eq!(row.unwrap().status, Status::Success),
            Err(error) => {
                assert_eq!(error.code(), "DURABLE_SHUTTING_DOWN");
                row.unwrap_err();
            }
        }
    }

    async fn without_any_hint_everything_still_happens(world) {
        let tally = Tally::default();
        let builder = world.builder().await.state(tally.clone());
        let builder = builder.backend(Faulty::over(world.process().await).without_hints());
        let app = builder.workflow(everything).workflow(child).workflow(job).queue("work").launch().await.unwrap();
        let handle = app.start(everything, ()).id("e").await.unwrap();
        let queued = app.start(job, ()).queue("work").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 1);
        assert_eq!(queued.result().await.unwrap(), 1);
    }
}
