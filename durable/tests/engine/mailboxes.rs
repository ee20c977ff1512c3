//! Messages and events.

use durable::{Error, db::StepRecord, prelude::*};

use crate::support::{Tally, crash, on_every_backend, outline, until, until_recorded};

const LONG: Duration = Duration::from_secs(3600);

#[durable::workflow]
async fn collector(ctx: Ctx, count: usize) -> Result<Vec<String>, Error> {
    let mut letters = Vec::new();
    for _ in 0..count {
        letters.extend(ctx.recv::<String>("letters", LONG).await?);
    }
    Ok(letters)
}

#[durable::workflow]
async fn patient(ctx: Ctx, ms: u64) -> Result<Option<String>, Error> {
    ctx.recv("letters", Duration::from_millis(ms)).await
}

#[durable::workflow]
async fn writer(ctx: Ctx, to: String) -> Result<(), Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.send(to, "letters", "from the writer").await?;
    ctx.step("gate", || async {
        tally.pass("gate").await;
        Ok::<_, Error>(())
    })
    .await
}

#[durable::workflow]
async fn into_the_void(ctx: Ctx) -> Result<String, Error> {
    let error = ctx.send("nobody", "letters", "hello").await.unwrap_err();
    ctx.step("after", async || Ok::<_, Error>(())).await?;
    Ok(error.code().to_owned())
}

#[durable::workflow]
async fn publisher(ctx: Ctx) -> Result<(), Error> {
    ctx.set_event("progress", &1).await?;
    ctx.set_event("progress", &2).await?;
    ctx.recv::<()>("go", LONG).await?;
    ctx.set_event("done", "yes").await
}

#[durable::workflow]
async fn reader(
    ctx: Ctx,
    of: String,
    key: String,
    ms: u64,
) -> Result<Option<serde_json::Value>, Error> {
    ctx.get_event(of, &key, Duration::from_millis(ms)).await
}

#[durable::workflow]
async fn signalled(ctx: Ctx) -> Result<(bool, bool), Error> {
    let came = ctx.recv::<()>("go", LONG).await?;
    let me = ctx.workflow_id().clone();
    ctx.set_event("none", &()).await?;
    let set = ctx.get_event::<()>(me, "none", LONG).await?;
    Ok((came.is_some(), set.is_some()))
}

/// What lost a race before the crash: the message is for the second wait.
#[durable::workflow]
async fn fallback(ctx: Ctx) -> Result<Option<String>, Error> {
    let tally = ctx.state::<Tally>()?;
    let first = ctx.recv::<String>("letters", LONG);
    let failing = ctx.step("failing", async || Err::<(), _>(Error::ShuttingDown));
    let beside = ctx.step("beside", || async {
        tally.hit("beside");
        tally.pass("never").await;
        Ok::<_, Error>(())
    });
    let lost = tokio::try_join!(first, failing, beside).is_err();
    assert!(lost);
    ctx.recv::<String>("letters", LONG).await
}

on_every_backend! {
    async fn an_empty_message_or_event_is_not_taken_for_none(world) {
        let app = world.builder().await.workflow(signalled).launch().await.unwrap();
        let handle = app.start(signalled, ()).id("s").await.unwrap();
        until_recorded(&app, "s", 1).await;
        app.send("s", "go", &()).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), (true, true));
        let outside = app.get_event::<()>("s", "none", LONG).await.unwrap();
        assert_eq!(outside, Some(()));
    }

    async fn a_branch_that_lost_does_nothing_on_a_replay(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(fallback).launch().await.unwrap();
        app.start(fallback, ()).id("f").await.unwrap();
        until("the second wait", || async {
            let steps = app.steps("f").await.unwrap();
            steps.iter().any(|step| step.number == 6).then_some(())
        }).await;
        crash(app).await;
        let begun = tally.count("beside");
        let client = world.builder().await.launch().await.unwrap();
        client.send("f", "letters", "hello").await.unwrap();
        crash(client).await;
        let app = world.builder().await.state(tally.clone()).workflow(fallback).launch().await.unwrap();
        let got = app.handle(fallback, "f").result().await.unwrap();
        assert_eq!(got.as_deref(), Some("hello"));
        assert_eq!(tally.count("beside"), begun);
    }

    async fn messages_of_a_topic_are_taken_in_the_order_they_were_sent_each_once(world) {
        let app = world.builder().await.workflow(collector).launch().await.unwrap();
        let handle = app.start(collector, 3).id("c").await.unwrap();
        app.send("c", "other", "not this").await.unwrap();
        for letter in ["a", "b", "c"] {
            app.send("c", "letters", letter).await.unwrap();
        }
        assert_eq!(handle.result().await.unwrap(), ["a", "b", "c"]);
    }

    async fn a_message_from_another_process_wakes_the_receiver(world) {
        let app = world.builder().await.workflow(collector).launch().await.unwrap();
        let other = world.builder().await.workflow(collector).launch().await.unwrap();
        let handle = app.start(collector, 1).id("c").await.unwrap();
        until_recorded(&app, "c", 1).await;
        other.send("c", "letters", "from afar").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), ["from afar"]);
    }

    async fn an_idempotency_key_is_delivered_once(world) {
        let app = world.builder().await.workflow(collector).launch().await.unwrap();
        let handle = app.start(collector, 2).id("c").await.unwrap();
        for letter in ["first", "again"] {
            app.send_once("c", "letters", letter, "key-1").await.unwrap();
        }
        app.send_once("c", "letters", "second", "key-2").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), ["first", "second"]);
    }

    async fn an_idempotency_key_is_of_its_mailbox_alone(world) {
        let app = world.builder().await.workflow(collector).launch().await.unwrap();
        let one = app.start(collector, 1).id("eu::7").await.unwrap();
        let other = app.start(collector, 1).id("7").await.unwrap();
        app.send_once("eu::7", "letters", "to one", "evt").await.unwrap();
        for _ in 0..2 {
            app.send_once("7", "letters", "to the other", "evt::eu").await.unwrap();
        }
        assert_eq!(one.result().await.unwrap(), ["to one"]);
        assert_eq!(other.result().await.unwrap(), ["to the other"]);
    }

    async fn a_wait_for_a_message_ends_with_nothing_at_its_timeout_also_over_a_restart(world) {
        let app = world.builder().await.workflow(patient).launch().await.unwrap();
        let quick = app.start(patient, 30).await.unwrap();
        assert_eq!(quick.result().await.unwrap(), None);
        app.start(patient, 400).id("p").await.unwrap();
        until_recorded(&app, "p", 1).await;
        let timeout = |steps: Vec<StepRecord>| steps.into_iter().find(|step| step.number == 2);
        let before = timeout(app.steps("p").await.unwrap());
        crash(app).await;
        let app = world.builder().await.workflow(patient).launch().await.unwrap();
        assert_eq!(app.handle(patient, "p").result().await.unwrap(), None);
        let row = app.workflow("p").await.unwrap();
        let steps = app.steps("p").await.unwrap();
        assert_eq!(outline(&steps), [(1, "DBOS.recv"), (2, "DBOS.sleep")]);
        // That it does not begin anew is seen where a test moves the database's clock: see `sleeping`.
        let after = timeout(steps).unwrap();
        assert!(row.completed_at >= after.completed_at, "{row:?}");
        assert_eq!(Some(after), before);
    }

    async fn a_message_is_sent_once_however_often_its_sender_is_recovered(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone())
            .workflow(writer).workflow(collector).launch().await.unwrap();
        app.start(collector, 2).id("c").await.unwrap();
        app.start(writer, "c".into()).id("w").await.unwrap();
        tally.reached("gate").await;
        crash(app).await;
        tally.open("gate");
        let app = world.builder().await.state(tally.clone())
            .workflow(writer).workflow(collector).launch().await.unwrap();
        app.handle(writer, "w").result().await.unwrap();
        app.send("c", "letters", "the end").await.unwrap();
        let letters = app.handle(collector, "c").result().await.unwrap();
        assert_eq!(letters, ["from the writer", "the end"]);
    }

    async fn a_send_to_nobody_is_an_error_that_is_recorded(world) {
        let app = world.builder().await.workflow(into_the_void).launch().await.unwrap();
        let code = app.start(into_the_void, ()).id("v").await.unwrap().result().await.unwrap();
        assert_eq!(code, "DURABLE_NOT_FOUND");
        assert_eq!(outline(&app.steps("v").await.unwrap()), [(1, "DBOS.send"), (2, "after")]);
        let error = app.send("nobody", "t", &1).await.unwrap_err();
        assert_eq!(error, Error::NotFound { workflow: "nobody".into() });
    }

    async fn an_event_is_read_from_inside_and_outside_now_or_when_it_is_set(world) {
        let app = world.builder().await.workflow(publisher).workflow(reader).launch().await.unwrap();
        let other = world.builder().await.workflow(publisher).workflow(reader).launch().await.unwrap();
        let publisher = app.start(publisher, ()).id("p").await.unwrap();
        until_recorded(&app, "p", 2).await;
        let now = other.get_event::<u8>("p", "progress", LONG).await.unwrap();
        assert_eq!(now, Some(2));
        assert_eq!(app.get_event::<u8>("p", "never", Duration::from_millis(10)).await.unwrap(), None);
        let inside = app.start(reader, ("p".into(), "done".into(), 60_000)).await.unwrap();
        let outside = tokio::spawn(async move { other.get_event::<String>("p", "done", LONG).await });
        app.send("p", "go", &()).await.unwrap();
        assert_eq!(inside.result().await.unwrap().unwrap(), "yes");
        assert_eq!(outside.await.unwrap().unwrap().as_deref(), Some("yes"));
        publisher.result().await.unwrap();
        let missing = app.start(reader, ("nobody".into(), "x".into(), 10)).await.unwrap();
        assert_eq!(missing.result().await.unwrap(), None);
    }
}
