//! Queues: places, order, and who claims what.

use std::sync::atomic::{AtomicUsize, Ordering};

use durable::{Error, prelude::*, state::Status};

use crate::support::{Tally, on_every_backend, until, until_status};

#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[durable::workflow]
async fn job(ctx: Ctx, name: String) -> Result<String, Error> {
    let tally = ctx.state::<Tally>()?;
    let busy = ctx.state::<Busy>()?;
    ctx.step("work", || async {
        let now = busy.now.fetch_add(1, Ordering::SeqCst) + 1;
        busy.most.fetch_max(now, Ordering::SeqCst);
        tally.hit(&name);
        tokio::time::sleep(Duration::from_millis(2)).await;
        busy.now.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, Error>(name.clone())
    })
    .await
}

#[durable::workflow]
async fn elsewhere(_ctx: Ctx) -> Result<(), Error> {
    Ok(())
}

on_every_backend! {
    async fn a_queue_runs_the_urgent_first_and_then_the_oldest(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).state(Busy::default()).workflow(job).launch().await.unwrap();
        for (name, priority) in [("c1", 5), ("b1", 2), ("a1", 0), ("b2", 2), ("c2", 5), ("a2", 0)] {
            let start = app.start(job, name.into()).id(name).queue("work");
            let start = if priority > 0 { start.priority(priority) } else { start };
            start.await.unwrap();
        }
        let worker = world.builder().await.state(tally.clone()).state(Busy::default()).workflow(job)
            .queue(Queue::new("work").worker_concurrency(1)).launch().await.unwrap();
        until_status(&worker, "c2", Status::Success).await;
        assert_eq!(tally.order(), ["a1", "a2", "b1", "b2", "c1", "c2"]);
        assert_eq!(app.handle(job, "b1").result().await.unwrap(), "b1");
    }

    async fn a_workers_places_are_never_exceeded_and_all_work_is_done_once(world) {
        let tally = Tally::default();
        let busy = std::sync::Arc::new(Busy::default());
        let app = world.builder().await.state(tally.clone()).workflow(job).launch().await.unwrap();
        for n in 0..60 {
            app.start(job, format!("job-{n}")).id(format!("job-{n}")).queue("work").await.unwrap();
        }
        let mut workers = Vec::new();
        for _ in 0..2 {
            workers.push(world.builder().await.state(tally.clone()).state(Busy::default()).workflow(job)
                .queue(Queue::new("work").worker_concurrency(3)).launch().await.unwrap());
        }
        until("all jobs", || async { (tally.order().len() >= 60).then_some(()) }).await;
        for n in 0..60 {
            let id = format!("job-{n}");
            assert_eq!(app.handle(job, id.as_str()).result().await.unwrap(), id);
            assert_eq!(tally.count(&id), 1);
        }
        drop((workers, busy));
    }

    async fn one_process_never_runs_more_than_its_places(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).state(Busy::default()).workflow(job).workflow(peak)
            .queue(Queue::new("work").worker_concurrency(4)).launch().await.unwrap();
        for n in 0..40 {
            app.start(job, format!("job-{n}")).id(format!("job-{n}")).queue("work").await.unwrap();
        }
        for n in 0..40 {
            until_status(&app, &format!("job-{n}"), Status::Success).await;
        }
        let most = app.start(peak, ()).await.unwrap().result().await.unwrap();
        assert!((2..=4).contains(&most), "{most} at once");
    }

    async fn only_registered_workflows_of_this_version_are_claimed(world) {
        let app = world.builder().await.workflow(elsewhere).launch().await.unwrap();
        let old = world.builder().await.version("0").workflow(elsewhere).launch().await.unwrap();
        app.start(elsewhere, ()).id("unknown name").queue("work").await.unwrap();
        old.start(elsewhere, ()).id("other version").queue("work").await.unwrap();
        let tally = Tally::default();
        let worker = world.builder().await.state(tally.clone()).state(Busy::default()).workflow(job)
            .queue("work").launch().await.unwrap();
        worker.start(job, "own".into()).id("own").queue("work").await.unwrap();
        until_status(&worker, "own", Status::Success).await;
        for id in ["unknown name", "other version"] {
            let row = worker.workflow(id).await.unwrap();
            assert_eq!((row.status, row.attempts), (Status::Enqueued, 0), "{id}");
        }
    }

    async fn work_from_another_process_is_found(world) {
        let tally = Tally::default();
        let worker = world.builder().await.state(tally.clone()).state(Busy::default()).workflow(job)
            .queue("work").launch().await.unwrap();
        let client = world.builder().await.state(tally.clone()).workflow(job).launch().await.unwrap();
        let handle = client.start(job, "j".into()).id("j").queue("work").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "j");
        let row = client.workflow("j").await.unwrap();
        assert_eq!(row.executor.as_ref(), Some(worker.executor()));
        assert_eq!(row.attempts, 1);
    }
}

#[durable::workflow]
async fn peak(ctx: Ctx) -> Result<usize, Error> {
    Ok(ctx.state::<Busy>()?.most.load(Ordering::SeqCst))
}
