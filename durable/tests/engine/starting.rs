//! Ids as idempotency keys, handles, and what a start promises.

use durable::{Error, prelude::*, state::Status};

use crate::support::{Tally, on_every_backend, until_status};

#[durable::workflow]
async fn greet(ctx: Ctx, name: String) -> Result<String, Error> {
    let tally = ctx.state::<Tally>()?;
    ctx.step("greet", || async {
        tally.pass("greet").await;
        Ok::<_, Error>(format!("hello {name}"))
    })
    .await
}

#[durable::workflow]
async fn nothing(_ctx: Ctx) -> Result<(), Error> {
    Ok(())
}

#[durable::workflow]
async fn three(_ctx: Ctx, a: u8, b: String, c: Option<bool>) -> Result<String, Error> {
    Ok(format!("{a} {b} {c:?}"))
}

on_every_backend! {
    async fn an_id_started_again_joins_the_run_and_later_gives_the_finished_result(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(greet).launch().await.unwrap();
        let first = app.start(greet, "Ada".into()).id("g").await.unwrap();
        let second = app.start(greet, "Bob".into()).id("g").await.unwrap();
        tally.open("greet");
        assert_eq!(first.result().await.unwrap(), "hello Ada");
        assert_eq!(second.result().await.unwrap(), "hello Ada");
        let third = app.start(greet, "Eve".into()).id("g").await.unwrap();
        assert_eq!(third.result().await.unwrap(), "hello Ada");
        assert_eq!(tally.count("greet"), 1);
    }

    async fn an_id_of_another_workflow_is_a_clear_error(world) {
        let app = world.builder().await.workflow(nothing).workflow(three).launch().await.unwrap();
        app.start(nothing, ()).id("same").await.unwrap();
        let error = app.start(three, (1, "b".into(), None)).id("same").await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_CONFLICT");
        assert_eq!(
            error.to_string(),
            r#"workflow "same" was started as nothing but is now called as three; use another id, or the same workflow"#
        );
    }

    async fn without_an_id_each_start_is_a_workflow_of_its_own(world) {
        let app = world.builder().await.workflow(nothing).launch().await.unwrap();
        let (a, b) = (app.start(nothing, ()).await.unwrap(), app.start(nothing, ()).await.unwrap());
        assert_ne!(a.id(), b.id());
        assert_eq!(a.id().as_str().len(), 36);
    }

    async fn several_arguments_and_none_arrive(world) {
        let app = world.builder().await.workflow(nothing).workflow(three).launch().await.unwrap();
        let handle = app.start(three, (7, "x".into(), Some(true))).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "7 x Some(true)");
        app.start(nothing, ()).await.unwrap().result().await.unwrap();
    }

    async fn what_start_acknowledges_is_committed(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(greet).launch().await.unwrap();
        // Another process sees the row and can read its input, as soon as the start has returned.
        let other = world.builder().await.state(tally.clone()).workflow(greet).launch().await.unwrap();
        app.start(greet, "Ada".into()).id("g").await.unwrap();
        assert_eq!(other.workflow("g").await.unwrap().status, Status::Pending);
        tally.open("greet");
        assert_eq!(other.handle(greet, "g").result().await.unwrap(), "hello Ada");
    }

    async fn a_handle_by_id_works_from_anywhere(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(greet).launch().await.unwrap();
        let other = world.builder().await.state(tally.clone()).workflow(greet).launch().await.unwrap();
        app.start(greet, "Ada".into()).id("g").await.unwrap();
        let handle = other.handle(greet, "g");
        assert_eq!(handle.status().await.unwrap(), Status::Pending);
        assert!(handle.cancel().await.unwrap());
        assert_eq!(handle.status().await.unwrap(), Status::Cancelled);
        assert!(!handle.cancel().await.unwrap());
        let error = handle.result().await.unwrap_err();
        assert_eq!(error, Error::Cancelled { workflow: "g".into() });
    }

    async fn a_handle_on_nothing_says_so_instead_of_waiting(world) {
        let app = world.builder().await.workflow(nothing).launch().await.unwrap();
        let handle = app.handle(nothing, "nobody");
        let missing = Error::NotFound { workflow: "nobody".into() };
        assert_eq!(handle.result().await.unwrap_err(), missing);
        assert_eq!(handle.status().await.unwrap_err(), missing);
        assert_eq!(handle.cancel().await.unwrap_err(), missing);
        assert_eq!(handle.resume().await.unwrap_err(), missing);
    }

    async fn a_start_whose_caller_goes_away_still_runs(world) {
        let tally = Tally::default();
        tally.open("greet");
        let app = world.builder().await.state(tally.clone()).workflow(greet).launch().await.unwrap();
        // Polled once, so that the insert is on its way, and dropped.
        let start = std::future::IntoFuture::into_future(app.start(greet, "Ada".into()).id("g"));
        let mut start = Box::pin(start);
        let _ = futures_util::poll!(&mut start);
        drop(start);
        crate::support::until("the row", || async { app.workflow("g").await.ok() }).await;
        until_status(&app, "g", Status::Success).await;
    }

    async fn what_cannot_be_started_is_refused_with_the_way_out(world) {
        let app = world.builder().await.workflow(nothing).launch().await.unwrap();
        let error = app.start(three, (1, String::new(), None)).await.unwrap_err();
        assert!(matches!(&error, Error::NotRegistered { workflow } if workflow == "three"), "{error}");
        let error = app.start(nothing, ()).id(" ").await.unwrap_err();
        assert!(error.to_string().contains("must not be blank"), "{error}");
        let error = app.start(nothing, ()).id("x".repeat(513)).await.unwrap_err();
        assert!(error.to_string().contains("513 bytes is too long: 512 are the most"), "{error}");
        app.start(nothing, ()).id("x".repeat(512)).await.unwrap();
        let error = app.start(nothing, ()).priority(3).await.unwrap_err();
        assert!(error.to_string().contains(".queue("), "{error}");
        let error = app.start(nothing, ()).queue("q").priority(-3).await.unwrap_err();
        assert!(error.to_string().contains("1 to 2147483647"), "{error}");
        app.shutdown(Duration::ZERO).await;
        assert_eq!(app.start(nothing, ()).await.unwrap_err(), Error::ShuttingDown);
    }

    async fn mistakes_in_the_builder_are_told_by_the_launch(world) {
        let twice = world.builder().await.workflow(nothing).workflow(nothing).launch().await;
        assert!(twice.unwrap_err().to_string().contains("registered twice"));
        let queue = world.builder().await.queue("_dbos_internal_queue").launch().await;
        assert!(queue.unwrap_err().to_string().contains("are taken"));
        let none = App::builder("test").launch().await;
        assert!(none.unwrap_err().to_string().contains(".backend("));
    }
}
