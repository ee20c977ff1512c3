//! Child workflows.

use durable::{Error, prelude::*, state::Status};
use futures_util::future::try_join_all;

use crate::support::{Tally, crash, on_every_backend, outline, until_recorded, until_status};

#[durable::workflow]
async fn double(ctx: Ctx, n: u64) -> Result<u64, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("double", || async {
        tally.pass(&format!("double {n}")).await;
        Ok::<_, Error>(2 * n)
    })
    .await
}

#[durable::workflow]
async fn fan_out(ctx: Ctx, numbers: Vec<u64>) -> Result<u64, Error> {
    let mut children = Vec::new();
    for n in numbers {
        children.push(ctx.start(double, n).await?);
    }
    let waits: Vec<_> = children.iter().map(durable::ChildHandle::result).collect();
    Ok(try_join_all(waits).await?.iter().sum())
}

/// A workflow's handle as part of something else.
struct Doubling {
    n: u64,
    doubled: durable::ChildHandle<u64, Error>,
}

#[durable::workflow]
async fn holding(ctx: Ctx) -> Result<(u64, u64), Error> {
    let doubling = Doubling {
        n: 3,
        doubled: ctx.start(double, 3).await?,
    };
    Ok((doubling.n, doubling.doubled.result().await?))
}

/// The same workflow, written in two ways.
mod by_call {
    use super::{Ctx, Error, Tally, double};

    #[durable::workflow(name = "doubling")]
    pub async fn doubling(ctx: Ctx) -> Result<u64, Error> {
        let doubled = ctx
            .call(double, 1)
            .id(super::child_of(&ctx))
            .timeout(super::HOUR)
            .await?;
        let tally = ctx.state::<Tally>()?;
        super::gate(&ctx, &tally).await?;
        Ok(doubled)
    }
}

mod by_start {
    use super::{Ctx, Error, Tally, double};

    #[durable::workflow(name = "doubling")]
    pub async fn doubling(ctx: Ctx) -> Result<u64, Error> {
        let child = ctx
            .start(double, 1)
            .id(super::child_of(&ctx))
            .timeout(super::HOUR)
            .await?;
        let doubled = child.result().await?;
        let tally = ctx.state::<Tally>()?;
        super::gate(&ctx, &tally).await?;
        Ok(doubled)
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn child_of(ctx: &Ctx) -> String {
    format!("{}-doubled", ctx.workflow_id())
}

#[durable::step]
async fn gate(tally: &Tally) -> Result<(), Error> {
    tally.pass("gate").await;
    Ok(())
}

#[durable::workflow]
async fn calls_at_once(ctx: Ctx, numbers: Vec<u64>) -> Result<u64, Error> {
    let calls: Vec<_> = numbers
        .into_iter()
        .map(|n| ctx.call(double, n).into_future())
        .collect();
    Ok(try_join_all(calls).await?.iter().sum())
}

#[durable::workflow]
async fn calls_in_vain(ctx: Ctx) -> Result<(String, AnyError), AnyError> {
    let taken = ctx.call(double, 1).id("taken").await.unwrap_err();
    let failed = ctx.call(failing, ()).await.unwrap_err();
    Ok((taken.code().to_owned(), failed))
}

#[durable::workflow]
async fn named(ctx: Ctx) -> Result<u64, Error> {
    ctx.start(double, 4).id("chosen").await?.result().await
}

#[durable::workflow]
async fn queued(ctx: Ctx) -> Result<u64, Error> {
    ctx.start(double, 5).queue("work").await?.result().await
}

#[durable::workflow]
async fn other(_ctx: Ctx, n: u64) -> Result<u64, Error> {
    Ok(n)
}

#[durable::workflow]
async fn clashing(ctx: Ctx) -> Result<String, Error> {
    let error = ctx.start(double, 1).id("taken").await.unwrap_err();
    ctx.step("after", async || Ok::<_, Error>(())).await?;
    Ok(error.code().to_owned())
}

/// By the id that it gets by itself.
#[durable::workflow]
async fn unasked(ctx: Ctx) -> Result<String, Error> {
    let error = ctx.start(double, 1).await.unwrap_err();
    assert!(error.to_string().contains("child of \"order\""), "{error}");
    Ok(error.code().to_owned())
}

#[durable::workflow]
async fn failing(_ctx: Ctx) -> Result<(), AnyError> {
    Err(AnyError::msg("the child's own words"))
}

#[durable::workflow]
async fn hopeful(ctx: Ctx) -> Result<(), AnyError> {
    ctx.start(failing, ()).await?.result().await
}

#[durable::workflow]
async fn refused_beside(ctx: Ctx) -> Result<String, Error> {
    let tally = ctx.state::<Tally>()?;
    let code = ctx
        .start(double, 1)
        .id("taken")
        .await
        .unwrap_err()
        .code()
        .to_owned();
    ctx.step("gate", || async {
        tally.pass("gate").await;
        Ok::<_, Error>(())
    })
    .await?;
    Ok(code)
}

on_every_backend! {
    async fn a_refused_start_is_refused_again_on_a_replay(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(double).workflow(other).workflow(refused_beside).launch().await.unwrap();
        app.start(other, 1).id("taken").await.unwrap().result().await.unwrap();
        app.start(refused_beside, ()).id("r").await.unwrap();
        tally.reached("gate").await;
        let steps = app.steps("r").await.unwrap();
        assert_eq!(outline(&steps), [(1, "double")]);
        assert!(steps[0].child.is_none(), "{steps:?}");
        crash(app).await;
        tally.open("gate");
        // The next process would start it: `double` is what it knows, and the id might be free by then.
        let app = world.builder().await.state(tally.clone()).workflow(refused_beside).launch().await.unwrap();
        assert_eq!(app.handle(refused_beside, "r").result().await.unwrap(), "DURABLE_CONFLICT");
    }

    async fn children_run_at_once_and_are_joined(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone())
            .workflow(fan_out).workflow(double).launch().await.unwrap();
        let handle = app.start(fan_out, vec![1, 2, 3]).id("f").await.unwrap();
        // All three are at their gates before the first is let through.
        for n in 1..=3 {
            tally.reached(&format!("double {n}")).await;
        }
        for n in 1..=3 {
            tally.open(&format!("double {n}"));
        }
        assert_eq!(handle.result().await.unwrap(), 12);
        let steps = app.steps("f").await.unwrap();
        assert_eq!(outline(&steps), [
            (1, "double"), (2, "double"), (3, "double"),
            (4, "DBOS.getResult"), (5, "DBOS.getResult"), (6, "DBOS.getResult"),
        ]);
        let row = app.workflow("f-2").await.unwrap();
        assert_eq!((row.status, row.parent.unwrap().as_str()), (Status::Success, "f"));
    }

    async fn a_handle_can_be_named(world) {
        struct Pending {
            parent: Handle<(u64, u64), Error>,
            failing: Handle<()>,
        }
        let tally = Tally::default();
        tally.open("double 3");
        let app = world.builder().await.state(tally).workflow(holding).workflow(double).workflow(failing).launch().await.unwrap();
        let pending = Pending {
            parent: app.start(holding, ()).id("h").await.unwrap(),
            failing: app.start(failing, ()).await.unwrap(),
        };
        assert_eq!(pending.parent.result().await.unwrap(), (3, 6));
        assert_eq!(pending.failing.result().await.unwrap_err(), AnyError::msg("the child's own words"));
        assert!(format!("{:?}", pending.parent).contains(r#"workflow: "holding", id: "#), "{:?}", pending.parent);
    }

    async fn a_call_is_recorded_as_a_start_and_its_result_and_each_replays_the_other(world) {
        for called_first in [true, false] {
            let tally = Tally::default();
            tally.open("double 1");
            let id = format!("c-{called_first}");
            let builder = world.builder().await.state(tally.clone()).workflow(double);
            let builder = if called_first { builder.workflow(by_call::doubling) } else { builder.workflow(by_start::doubling) };
            let app = builder.launch().await.unwrap();
            if called_first {
                app.start(by_call::doubling, ()).id(&id).await.unwrap();
            } else {
                app.start(by_start::doubling, ()).id(&id).await.unwrap();
            }
            tally.reached("gate").await;
            let steps = app.steps(&*id).await.unwrap();
            assert_eq!(outline(&steps), [(1, "double"), (2, "DBOS.getResult")]);
            let child = format!("{id}-doubled");
            assert!(steps.iter().all(|step| step.child.as_ref().is_some_and(|recorded| recorded.as_str() == child)), "{steps:?}");
            crash(app).await;
            tally.open("gate");
            let builder = world.builder().await.state(tally.clone()).workflow(double);
            let builder = if called_first { builder.workflow(by_start::doubling) } else { builder.workflow(by_call::doubling) };
            let app = builder.launch().await.unwrap();
            assert_eq!(app.handle(by_call::doubling, &*id).result().await.unwrap(), 2);
            assert_eq!(tally.count("double 1"), 1);
            assert!(app.workflow(child).await.unwrap().deadline.is_some());
            app.shutdown(Duration::ZERO).await;
        }
    }

    async fn calls_that_are_joined_run_at_once_and_survive_a_crash(world) {
        let tally = Tally::default();
        let launch = || async {
            world.builder().await.state(tally.clone()).workflow(calls_at_once).workflow(double).launch().await.unwrap()
        };
        let app = launch().await;
        app.start(calls_at_once, vec![1, 2]).id("a").await.unwrap();
        tally.reached("double 1").await;
        tally.reached("double 2").await;
        crash(app).await;
        tally.open("double 1");
        tally.open("double 2");
        let app = launch().await;
        assert_eq!(app.handle(calls_at_once, "a").result().await.unwrap(), 6);
        assert_eq!(outline(&app.steps("a").await.unwrap()), [
            (1, "double"), (2, "DBOS.getResult"), (3, "double"), (4, "DBOS.getResult"),
        ]);
    }

    async fn a_call_gives_the_childs_error_or_why_it_was_not_started(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally)
            .workflow(calls_in_vain).workflow(double).workflow(failing).workflow(other).launch().await.unwrap();
        app.start(other, 1).id("taken").await.unwrap().result().await.unwrap();
        let (taken, failed) = app.start(calls_in_vain, ()).id("v").await.unwrap().result().await.unwrap();
        assert_eq!(taken, "DURABLE_CONFLICT");
        assert_eq!(failed, AnyError::msg("the child's own words"));
        // The number of the result that is not waited for stays empty.
        assert_eq!(outline(&app.steps("v").await.unwrap()), [(1, "double"), (3, "failing"), (4, "DBOS.getResult")]);
    }

    async fn parent_and_child_both_survive_a_crash(world) {
        let tally = Tally::default();
        tally.open("double 1");
        let app = world.builder().await.state(tally.clone())
            .workflow(fan_out).workflow(double).launch().await.unwrap();
        app.start(fan_out, vec![1, 2]).id("f").await.unwrap();
        until_status(&app, "f-1", Status::Success).await;
        until_recorded(&app, "f", 3).await;
        crash(app).await;
        tally.open("double 2");
        let app = world.builder().await.state(tally.clone())
            .workflow(fan_out).workflow(double).launch().await.unwrap();
        assert_eq!(app.handle(fan_out, "f").result().await.unwrap(), 6);
        assert_eq!(tally.count("double 1"), 1);
        assert_eq!(app.steps("f").await.unwrap().len(), 4);
    }

    async fn a_child_may_be_named_and_may_be_queued(world) {
        let tally = Tally::default();
        tally.open("double 4");
        tally.open("double 5");
        let app = world.builder().await.state(tally.clone()).queue("work")
            .workflow(named).workflow(queued).workflow(double).launch().await.unwrap();
        assert_eq!(app.start(named, ()).id("n").await.unwrap().result().await.unwrap(), 8);
        assert_eq!(app.workflow("chosen").await.unwrap().parent.unwrap().as_str(), "n");
        assert_eq!(app.start(queued, ()).id("q").await.unwrap().result().await.unwrap(), 10);
        assert_eq!(app.workflow("q-1").await.unwrap().queue.as_deref(), Some("work"));
    }

    async fn a_childs_id_that_another_workflow_holds_is_an_error_and_uses_its_number(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone())
            .workflow(clashing).workflow(double).workflow(other).launch().await.unwrap();
        app.start(other, 1).id("taken").await.unwrap().result().await.unwrap();
        let code = app.start(clashing, ()).id("c").await.unwrap().result().await.unwrap();
        assert_eq!(code, "DURABLE_CONFLICT");
        assert_eq!(outline(&app.steps("c").await.unwrap()), [(1, "double"), (2, "after")]);
    }

    async fn the_id_that_a_child_gets_by_itself_is_no_other_workflows(world) {
        let tally = Tally::default();
        tally.open("double 1");
        tally.open("double 9");
        let app = world.builder().await.state(tally.clone())
            .workflow(unasked).workflow(double).launch().await.unwrap();
        app.start(double, 9).id("order-1").await.unwrap().result().await.unwrap();
        let code = app.start(unasked, ()).id("order").await.unwrap().result().await.unwrap();
        assert_eq!(code, "DURABLE_CONFLICT");
        assert_eq!(outline(&app.steps("order").await.unwrap()), [(1, "double")]);
        assert_eq!(tally.count("double 1"), 0);
    }

    async fn a_childs_error_reaches_its_parent_as_the_same_value(world) {
        let app = world.builder().await.workflow(hopeful).workflow(failing).launch().await.unwrap();
        let error = app.start(hopeful, ()).id("h").await.unwrap().result().await.unwrap_err();
        assert_eq!(error, AnyError::msg("the child's own words"));
        let again = world.builder().await.workflow(hopeful).workflow(failing).launch().await.unwrap();
        assert_eq!(again.handle(hopeful, "h").result().await.unwrap_err(), error);
    }
}
