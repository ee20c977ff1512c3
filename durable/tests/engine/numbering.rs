//! How operations are numbered and named: as in the reference, so that every SDK means the same step.

use durable::{Error, prelude::*};

use crate::support::{Tally, crash, on_every_backend, outline, until_recorded};

#[durable::workflow]
async fn child(_ctx: Ctx) -> Result<u8, Error> {
    Ok(7)
}

#[durable::workflow]
async fn everything(ctx: Ctx) -> Result<u8, Error> {
    let me = ctx.workflow_id().clone();
    ctx.step("a step", async || Ok::<_, Error>(())).await?;
    ctx.sleep(Duration::from_millis(1)).await?;
    ctx.sleep(Duration::ZERO).await?;
    ctx.send(&me, "topic", "hello").await?;
    assert_eq!(
        ctx.recv::<String>("topic", Duration::from_secs(9))
            .await?
            .as_deref(),
        Some("hello")
    );
    assert_eq!(
        ctx.recv::<String>("topic", Duration::from_millis(1))
            .await?,
        None
    );
    ctx.set_event("key", &5).await?;
    assert_eq!(
        ctx.get_event::<u8>(&me, "key", Duration::from_secs(9))
            .await?,
        Some(5)
    );
    let child = ctx.start(child, ()).await?;
    let value = child.result().await?;
    ctx.status(child.id()).await?;
    ctx.cancel(child.id()).await?;
    Ok(value)
}

#[durable::workflow]
async fn joined(ctx: Ctx) -> Result<(String, String), Error> {
    let tally = ctx.state::<Tally>()?;
    let slow = ctx.step("slow", || async {
        tally.pass("slow").await;
        Ok::<_, Error>("slow".to_owned())
    });
    let quick = ctx.step("quick", || async {
        tally.hit("quick");
        Ok::<_, Error>("quick".to_owned())
    });
    let (slow, quick) = tokio::join!(slow, quick);
    Ok((slow?, quick?))
}

#[durable::workflow]
async fn dropped(ctx: Ctx) -> Result<(), Error> {
    drop(ctx.step("never awaited", async || Ok::<_, Error>(())));
    ctx.step("awaited", async || Ok::<_, Error>(())).await
}

on_every_backend! {
    async fn every_operation_has_the_reference_name_and_as_many_numbers(world) {
        let app = world.builder().await.workflow(everything).workflow(child).launch().await.unwrap();
        let handle = app.start(everything, ()).id("e").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 7);
        let steps = app.steps("e").await.unwrap();
        assert_eq!(outline(&steps), [
            (1, "a step"),
            (2, "DBOS.sleep"),
            (3, "DBOS.send"),
            // 5 stays empty: the message was there, so there was nothing to wait for.
            (4, "DBOS.recv"),
            (6, "DBOS.recv"),
            (7, "DBOS.sleep"),
            (8, "DBOS.setEvent"),
            (9, "DBOS.getEvent"),
            (11, "child"),
            (12, "DBOS.getResult"),
            (13, "DBOS.getStatus"),
            (14, "DBOS.cancelWorkflow"),
        ]);
        let child = steps.iter().find(|step| step.number == 11).unwrap();
        assert_eq!(child.child.as_ref().unwrap().as_str(), "e-11");
        assert_eq!(steps[9].child, child.child);
    }

    async fn a_join_numbers_steps_as_they_are_built_whatever_ends_first(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(joined).launch().await.unwrap();
        app.start(joined, ()).id("j").await.unwrap();
        // The second is recorded while the first still runs; then the process dies.
        until_recorded(&app, "j", 1).await;
        assert_eq!(outline(&app.steps("j").await.unwrap()), [(2, "quick")]);
        crash(app).await;
        tally.open("slow");
        let app = world.builder().await.state(tally.clone()).workflow(joined).launch().await.unwrap();
        let result = app.handle(joined, "j").result().await.unwrap();
        assert_eq!(result, ("slow".to_owned(), "quick".to_owned()));
        assert_eq!((tally.count("slow"), tally.count("quick")), (2, 1));
        assert_eq!(outline(&app.steps("j").await.unwrap()), [(1, "slow"), (2, "quick")]);
    }

    async fn an_operation_that_is_dropped_leaves_its_number_empty(world) {
        let app = world.builder().await.workflow(dropped).launch().await.unwrap();
        app.start(dropped, ()).id("d").await.unwrap().result().await.unwrap();
        assert_eq!(outline(&app.steps("d").await.unwrap()), [(2, "awaited")]);
    }
}
