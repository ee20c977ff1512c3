//! Joins and races: answered as they were.

use std::sync::atomic::{AtomicUsize, Ordering};

use durable::{AppBuilder, Error, prelude::*};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Either, select, try_join_all},
    stream::FuturesUnordered,
};

use crate::{Bodies, Then, has, sqlite, verify};

#[durable::workflow]
async fn joined(ctx: Ctx) -> Result<(u64, u64), Error> {
    let slow = ctx.step("slow", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, Error>(1)
    });
    let quick = ctx.step("quick", async || Ok::<_, Error>(2));
    let (slow, quick) = tokio::join!(slow, quick);
    Ok((slow?, quick?))
}

/// The sleep wins: the step loses, and is not recorded.
#[durable::workflow]
async fn timed_out(ctx: Ctx) -> Result<String, Error> {
    let never = ctx.step("never", async || {
        std::future::pending::<()>().await;
        Ok::<_, Error>(())
    });
    let sleep = ctx.sleep(Duration::from_millis(10));
    let winner = match select(never, sleep).await {
        Either::Left(_) => "the step",
        Either::Right(_) => "the sleep",
    };
    let bodies = ctx.state::<Bodies>()?;
    ctx.step(winner, || async {
        bodies.ran();
        Ok::<_, Error>(())
    })
    .await?;
    Ok(winner.to_owned())
}

/// The step wins, and the sleep that lost is long over when this is replayed.
#[durable::workflow]
async fn in_time(ctx: Ctx) -> Result<String, Error> {
    let sleep = ctx.sleep(Duration::from_millis(400));
    let quick = ctx.step("quick", async || {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok::<_, Error>(())
    });
    let winner = match select(sleep, quick).await {
        Either::Left(_) => "the sleep",
        Either::Right(_) => "the step",
    };
    ctx.step(winner, async || Ok::<_, Error>(())).await?;
    Ok(winner.to_owned())
}

/// Of two sleeps the shorter wins, wherever it stands.
#[durable::workflow]
async fn sooner(ctx: Ctx) -> Result<String, Error> {
    let long = ctx.sleep(Duration::from_millis(300));
    let short = ctx.sleep(Duration::from_millis(10));
    let winner = match select(long, short).await {
        Either::Left(_) => "long",
        Either::Right(_) => "short",
    };
    ctx.step(winner, async || Ok::<_, Error>(())).await?;
    Ok(winner.to_owned())
}

static BEGUN: AtomicUsize = AtomicUsize::new(0);

/// A branch that only gives way has ended before a step begins.
#[durable::workflow]
async fn gave_way(ctx: Ctx) -> Result<String, Error> {
    let step = ctx.step("step", async || {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Error>(())
    });
    let gives_way = Box::pin(async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    });
    let winner = match select(step, gives_way).await {
        Either::Left(_) => "the step",
        Either::Right(_) => "the branch",
    };
    Ok(winner.to_owned())
}

fn register(builder: AppBuilder) -> AppBuilder {
    builder
        .workflow(joined)
        .workflow(timed_out)
        .workflow(in_time)
        .workflow(sooner)
}

#[tokio::test]
async fn races_are_answered_as_they_were() {
    let then = Then::in_memory(register).await;
    then.app
        .start(joined, ())
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    for (workflow, winner) in [
        (
            then.app.start(timed_out, ()).await.unwrap().result().await,
            "the sleep",
        ),
        (
            then.app.start(in_time, ()).await.unwrap().result().await,
            "the step",
        ),
        (
            then.app.start(sooner, ()).await.unwrap().result().await,
            "short",
        ),
    ] {
        assert_eq!(workflow.unwrap(), winner);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let report = verify(&then.histories().await, register).await;
    report.assert_safe();
    assert_eq!(report.total().safe, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_workflow_that_gives_way_is_not_at_rest() {
    let then = Then::in_memory(|b| b.workflow(gave_way)).await;
    let starts = (0..200).map(|_| then.app.start(gave_way, ()).into_future());
    for handle in try_join_all(starts).await.unwrap() {
        assert_eq!(handle.result().await.unwrap(), "the branch");
    }
    assert_eq!(BEGUN.load(Ordering::SeqCst), 0);
    let report = verify(&then.histories().await, |b| b.workflow(gave_way)).await;
    assert_eq!(report.total().safe, 200);
}

/// After its step one branch gives way; meanwhile the other's is answered.
#[durable::workflow]
async fn in_between(ctx: Ctx) -> Result<(), Error> {
    let (one, other) = (
        ctx.step("one", async || Ok::<_, Error>(())),
        ctx.step("other", async || Ok::<_, Error>(())),
    );
    let gives_way = async {
        one.await?;
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        Ok::<_, Error>("one")
    };
    let other = async { other.await.map(|()| "other") };
    let mut set: FuturesUnordered<_> = [gives_way.boxed(), other.boxed()].into_iter().collect();
    let winner = set.next().await.unwrap_or(Ok("none"))?;
    drop(set);
    ctx.step(winner, async || Ok::<_, Error>(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_branch_that_gives_way_on_a_busy_thread_ends_as_it_did() {
    let (_dir, db) = sqlite().await;
    let then = Then::launch(db, |b| b.workflow(in_between)).await;
    // Whoever gives way behind one of these waits for it, while other threads have nothing to do.
    let busy = tokio::spawn(async {
        loop {
            std::thread::sleep(Duration::from_micros(500));
            tokio::task::yield_now().await;
        }
    });
    let starts = (0..300).map(|_| then.app.start(in_between, ()).into_future());
    for handle in try_join_all(starts).await.unwrap() {
        handle.result().await.unwrap();
    }
    busy.abort();
    let report = verify(&then.histories().await, |b| b.workflow(in_between)).await;
    report.assert_safe();
    assert_eq!(report.total().safe, 300);
}

#[durable::workflow]
async fn half(ctx: Ctx) -> Result<(), Error> {
    let never = ctx.step("never", async || {
        std::future::pending::<()>().await;
        Ok::<_, Error>(())
    });
    let quick = ctx.step("quick", async || Ok::<_, Error>(()));
    let (never, quick) = tokio::join!(never, quick);
    never.and(quick)
}

#[tokio::test]
async fn a_join_of_which_one_part_is_recorded_is_safe_so_far() {
    let then = Then::in_memory(|b| b.workflow(half)).await;
    then.app.start(half, ()).id("a").await.unwrap();
    then.recorded("a", 1).await;
    let histories = then.histories().await;
    let report = verify(&histories, |b| b.workflow(half)).await;
    report.assert_safe();
    assert_eq!(report.total().safe_so_far, 1);
    let report = verify(&histories, |b| b.workflow(in_turn)).await;
    has(
        &report,
        &[
            "differs at operation 1",
            r#"no operation of this number, and "quick" as operation 2 after it"#,
            r#"calls "never""#,
        ],
    );
}

#[durable::workflow(name = "half")]
async fn in_turn(ctx: Ctx) -> Result<(), Error> {
    ctx.step("never", async || Ok::<_, Error>(())).await?;
    ctx.step("quick", async || Ok::<_, Error>(())).await
}
