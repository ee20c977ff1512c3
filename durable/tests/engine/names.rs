//! Names that cannot be used, and values that a database never takes: an error for whoever gave them, and for nobody else.

use std::sync::Arc;

use durable::{
    App, Codec, Error,
    db::{NewWorkflow, Placement, SystemDb, Timing},
    ids::WorkflowKey,
    payload::Encoded,
    prelude::*,
    state::Status,
};
use durable_testkit::faults::Faulty;

use crate::support::{Tally, World, crash, on_every_backend, until, until_status};

const NAME: &str = "DURABLE_INVALID_NAME";

#[durable::workflow]
async fn nothing(_ctx: Ctx) -> Result<u8, Error> {
    Ok(1)
}

#[durable::workflow]
async fn sleeper(ctx: Ctx) -> Result<u8, Error> {
    ctx.sleep(Duration::from_secs(3600)).await?;
    Ok(1)
}

fn code<T>(result: Result<T, Error>) -> String {
    result.err().map_or("fine", |error| error.code()).to_owned()
}

/// Does all that has a name with a bad one, and then waits at a gate.
#[durable::workflow]
async fn careless(ctx: Ctx, bad: String) -> Result<Vec<String>, Error> {
    let tally = ctx.state::<Tally>()?;
    let me = ctx.workflow_id().clone();
    let second = Duration::from_secs(1);
    let body = || async {
        tally.hit("body");
        Ok::<_, Error>(1)
    };
    let mut codes = vec![
        code(ctx.step(bad.clone(), body).await),
        code(ctx.step(bad.clone(), body).max_attempts(4).await),
        code(ctx.send(&me, &bad, &1).await),
        code(ctx.recv::<u8>(&bad, second).await),
        code(ctx.set_event(&bad, &1).await),
        code(ctx.get_event::<u8>(&me, &bad, second).await),
        code(ctx.start(nothing, ()).id(bad.clone()).await),
        code(ctx.start(nothing, ()).queue(bad.clone()).await),
        code(
            ctx.start(nothing, ())
                .queue("q")
                .application(bad.clone())
                .await,
        ),
    ];
    if bad.contains('\0') {
        codes.push(code(ctx.send(bad.as_str(), "topic", &1).await));
        codes.push(code(ctx.get_event::<u8>(bad.as_str(), "key", second).await));
        codes.push(code(ctx.status(bad.as_str()).await));
        codes.push(code(ctx.cancel(bad.as_str()).await));
        codes.push(code(ctx.resume(bad.as_str()).await));
    }
    let gate = ctx.step("gate", || async {
        tally.pass("gate").await;
        Ok::<_, Error>(())
    });
    gate.await?;
    Ok(codes)
}

/// What the database of these tests does not take.
const LACKED: char = '€';

/// Does all that can hold a value with one that the database does not take.
#[durable::workflow]
async fn unlucky(ctx: Ctx) -> Result<Vec<String>, Error> {
    let state = ctx.state::<Tally>()?;
    let tally = &*state;
    let (me, price) = (ctx.workflow_id().clone(), format!("1 {LACKED}"));
    let second = Duration::from_secs(1);
    let body = |text: &str| {
        let text = text.to_owned();
        move || {
            tally.hit("body");
            let text = text.clone();
            async move { Ok::<_, Error>(text) }
        }
    };
    let codes = vec![
        code(ctx.step("pay", body(&price)).await),
        code(ctx.step(format!("pay {price}"), body("fine")).await),
        code(ctx.send(&me, "topic", &price).await),
        code(ctx.send(&me, &price, &1).await),
        code(ctx.recv::<u8>(&price, second).await),
        code(ctx.set_event("key", &price).await),
        code(ctx.set_event(&price, &1).await),
        code(ctx.get_event::<u8>(&me, &price, second).await),
        code(ctx.start(nothing, ()).id(price.clone()).await),
        code(ctx.cancel(price.as_str()).await),
    ];
    let gate = ctx.step("gate", || async {
        tally.pass("gate").await;
        Ok::<_, Error>(())
    });
    gate.await?;
    Ok(codes)
}

#[durable::workflow]
async fn pricey(_ctx: Ctx) -> Result<String, Error> {
    Ok(format!("1 {LACKED}"))
}

#[durable::workflow]
async fn parent(ctx: Ctx) -> Result<u8, Error> {
    ctx.start(nothing, ()).await?.result().await
}

struct Named(&'static str);

impl Codec for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn encode(&self, json: &str) -> Result<String, String> {
        Ok(json.replace("nul", "\0"))
    }

    fn decode(&self, text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// An application on a database that lacks a character.
async fn lacking(world: &World, tally: &Tally) -> durable::AppBuilder {
    let db = Faulty::over(world.process().await).lacking(LACKED);
    let builder = world.builder().await.state(tally.clone()).backend(db);
    builder
        .workflow(unlucky)
        .workflow(nothing)
        .workflow(pricey)
        .workflow(sleeper)
}

/// A workflow of this id as another program enqueues it.
async fn enqueue(db: &Arc<dyn SystemDb>, id: &str) {
    let new = NewWorkflow {
        id: id.into(),
        key: WorkflowKey::function("nothing"),
        input: Encoded::new(
            r#"{"positionalArgs":[],"namedArgs":{}}"#,
            durable::PORTABLE_JSON,
        ),
        placement: Placement::Queue {
            name: "q".to_owned(),
            priority: 0,
        },
        creator: "t".into(),
        executor: "other".into(),
        application: "test".to_owned(),
        version: Some("1".to_owned()),
        timing: Timing::Unbounded,
        parent: None,
    };
    db.insert_workflow(&new).await.unwrap();
}

on_every_backend! {
    async fn a_bad_name_is_its_operations_error_before_any_body_and_on_each_replay(world) {
        for (id, bad) in [("nul", "x\0y".to_owned()), ("long", "x".repeat(513)), ("wide", "é".repeat(300))] {
            let tally = Tally::default();
            let builder = world.builder().await.state(tally.clone()).workflow(careless).workflow(nothing);
            let app = builder.launch().await.unwrap();
            app.start(careless, bad).id(id).await.unwrap();
            tally.reached("gate").await;
            let recorded = app.steps(id).await.unwrap();
            crash(app).await;
            tally.open("gate");
            let builder = world.builder().await.state(tally.clone()).workflow(careless).workflow(nothing);
            let app = builder.launch().await.unwrap();
            let codes = app.handle(careless, id).result().await.unwrap();
            assert_eq!(codes, vec![NAME; codes.len()], "{id}");
            assert_eq!(tally.count("body"), 0, "{id}");
            // Each is recorded, once.
            assert_eq!(app.steps(id).await.unwrap()[..recorded.len()], recorded[..], "{id}");
            assert_eq!(recorded.len(), codes.len(), "{id}");
            app.shutdown(Duration::ZERO).await;
        }
    }

    async fn calls_from_outside_are_refused_for_their_caller(world) {
        let app = world.builder().await.workflow(nothing).workflow(sleeper).launch().await.unwrap();
        app.start(sleeper, ()).id("s").await.unwrap();
        let (long, second) = ("x".repeat(513), Duration::from_secs(1));
        for bad in ["a\0b", long.as_str()] {
            assert_eq!(code(app.start(nothing, ()).id(bad).await), NAME);
            assert_eq!(code(app.start(nothing, ()).queue(bad).await), NAME);
            assert_eq!(code(app.start(nothing, ()).queue("q").application(bad).await), NAME);
            assert_eq!(code(app.send("s", bad, &1).await), NAME);
            assert_eq!(code(app.send_once("s", "topic", &1, bad).await), NAME);
            assert_eq!(code(app.get_event::<u8>("s", bad, second).await), NAME);
            // Of others there may be longer ids.
            let of_workflow = if bad == "a\0b" { NAME } else { "DURABLE_NOT_FOUND" };
            let handle = app.handle(nothing, bad);
            assert_eq!(code(handle.result().await), of_workflow);
            assert_eq!(code(handle.status().await), of_workflow);
            assert_eq!(code(handle.cancel().await), of_workflow);
            assert_eq!(code(handle.resume().await), of_workflow);
            assert_eq!(code(app.workflow(bad).await), of_workflow);
            assert_eq!(code(app.send(bad, "topic", &1).await), of_workflow);
        }
        assert_eq!(code(app.steps("a\0b").await), NAME);
        assert_eq!(code(app.get_event::<u8>("a\0b", "key", second).await), NAME);
        for blank in ["", " \n"] {
            assert_eq!(code(app.start(nothing, ()).id(blank).await), NAME);
            assert_eq!(code(app.start(nothing, ()).queue(blank).await), NAME);
            assert_eq!(code(app.send_once("s", "topic", &1, blank).await), NAME);
            // A topic like any other.
            app.send("s", blank, &1).await.unwrap();
        }
        assert_eq!(app.workflow("s").await.unwrap().status, Status::Pending);
        assert_eq!(app.health().running, 1);
    }

    async fn a_builder_with_a_bad_name_does_not_launch(world) {
        for bad in ["a\0b", " ", &"x".repeat(513)] {
            let builders = [
                App::builder(bad).backend(Faulty::over(world.process().await)),
                world.builder().await.executor_id(bad),
                world.builder().await.version(bad),
                world.builder().await.queue(bad),
            ];
            for builder in builders {
                assert_eq!(code(builder.launch().await), NAME, "{bad:?}");
            }
        }
        assert_eq!(code(world.builder().await.codec(Named("a\0b")).launch().await), NAME);
    }

    async fn a_codec_whose_texts_have_a_nul_fails_where_the_value_is_made(world) {
        let app = world.builder().await.codec(Named("own")).workflow(nothing).workflow(sleeper).launch().await.unwrap();
        app.start(sleeper, ()).id("s").await.unwrap();
        let error = app.send("s", "topic", "annul").await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_ENCODE");
        assert!(error.to_string().contains("\"own\""), "{error}");
    }

    async fn a_longer_id_of_another_program_is_found_and_run(world) {
        let id = "x".repeat(700);
        let (builder, db) = world.doomed().await;
        db.migrate().await.unwrap();
        enqueue(&db, &id).await;
        let app = builder.workflow(nothing).queue("q").launch().await.unwrap();
        let handle = app.handle(nothing, id.as_str());
        assert_eq!(handle.result().await.unwrap(), 1);
        assert_eq!(app.workflow(id.as_str()).await.unwrap().status, Status::Success);
    }

    async fn a_value_that_the_database_never_takes_is_its_operations_error(world) {
        let tally = Tally::default();
        let app = lacking(&world, &tally).await.launch().await.unwrap();
        app.start(unlucky, ()).id("u").await.unwrap();
        tally.reached("gate").await;
        let recorded = app.steps("u").await.unwrap();
        crash(app).await;
        tally.open("gate");
        let app = lacking(&world, &tally).await.launch().await.unwrap();
        let codes = app.handle(unlucky, "u").result().await.unwrap();
        assert_eq!(codes, vec!["DURABLE_INVALID"; codes.len()]);
        assert_eq!(recorded.len(), codes.len());
        // Two bodies, each once.
        assert_eq!(tally.count("body"), 2);
        let error = app.start(pricey, ()).id("p").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_INVALID");
        assert_eq!(app.workflow("p").await.unwrap().status, Status::Error);
        assert_eq!(app.health().parked.count, 0);
    }

    async fn one_waiters_bad_value_does_not_stall_the_others(world) {
        let tally = Tally::default();
        let other = world.builder().await.workflow(nothing).workflow(sleeper).launch().await.unwrap();
        let db = Faulty::over(world.process().await).lacking(LACKED).without_hints();
        let app = world.builder().await.state(tally.clone()).backend(db).workflow(nothing).workflow(sleeper)
            .launch().await.unwrap();
        app.start(sleeper, ()).id("mine").await.unwrap();
        other.start(sleeper, ()).id("theirs").await.unwrap();
        let bad = app.handle(nothing, format!("1 {LACKED}").as_str());
        let (mine, theirs) = (app.handle(sleeper, "mine"), app.handle(sleeper, "theirs"));
        let ends = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            for id in ["mine", "theirs"] {
                assert!(other.cancel(id).await.unwrap());
            }
        };
        let (bad, mine, theirs, ()) = tokio::join!(bad.result(), mine.result(), theirs.result(), ends);
        assert_eq!(code(bad), NAME);
        assert_eq!((code(mine).as_str(), code(theirs).as_str()), ("DURABLE_CANCELLED", "DURABLE_CANCELLED"));
        until("nothing to run here", || async { (app.health().running == 0).then_some(()) }).await;
    }

    async fn what_was_stopped_for_good_is_told_with_its_reason(world) {
        let app = world.builder().await.workflow(parent).launch().await.unwrap();
        assert_eq!((app.health().parked.count, app.parked("p").unwrap()), (0, None));
        app.start(parent, ()).id("p").await.unwrap().result().await.unwrap_err();
        let health = app.health();
        let first = &health.parked.first[0];
        assert_eq!((health.parked.count, first.id.as_str(), first.code), (1, "p", "DURABLE_NOT_REGISTERED"));
        assert!(first.error.contains(".workflow("), "{first:?}");
        assert!(matches!(app.parked("p"), Ok(Some(Error::NotRegistered { .. }))));
        // It is no longer told once it has ended elsewhere.
        let other = world.builder().await.launch().await.unwrap();
        assert!(other.cancel("p").await.unwrap());
        until("it to be forgotten", || async { (app.health().parked.count == 0).then_some(()) }).await;
        until_status(&app, "p", Status::Cancelled).await;
    }
}
