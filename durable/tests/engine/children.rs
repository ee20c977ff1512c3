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

    async fn a_childs_error_reaches_its_parent_as_the_same_value(world) {
        let app = world.builder().await.workflow(hopeful).workflow(failing).launch().await.unwrap();
        let error = app.start(hopeful, ()).id("h").await.unwrap().result().await.unwrap_err();
        assert_eq!(error, AnyError::msg("the child's own words"));
        let again = world.builder().await.workflow(hopeful).workflow(failing).launch().await.unwrap();
        assert_eq!(again.handle(hopeful, "h").result().await.unwrap_err(), error);
    }
}
