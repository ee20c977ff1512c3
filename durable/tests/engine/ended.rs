//! An application in a runtime that has ended: it says so, whatever is asked of it, and nobody
//! waits for an answer that cannot come.

use std::{future::Future, sync::Arc, sync::mpsc, thread};

use durable::{Error, prelude::*};
use durable_testkit::faults::Faulty;

use crate::support::{World, on_every_backend};

#[durable::workflow]
async fn waits(ctx: Ctx) -> Result<u8, Error> {
    Ok(ctx.recv("m", Duration::from_secs(600)).await?.unwrap_or(0))
}

/// What a call gave that must not wait.
async fn at_once<T>(what: &str, asked: impl Future<Output = Result<T, Error>>) -> Error {
    let answer = tokio::time::timeout(Duration::from_secs(5), asked).await;
    match answer.unwrap_or_else(|_| panic!("{what} waits")) {
        Ok(_) => panic!("{what} was answered"),
        Err(error) => error,
    }
}

/// A runtime on a thread of its own that ends when it is told to.
fn elsewhere<T: Send + 'static, Fut: Future<Output = T>>(
    task: impl FnOnce() -> Fut + Send + 'static,
) -> (mpsc::Receiver<T>, impl FnOnce()) {
    let (made, result) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        made.send(runtime.block_on(task())).expect("the test waits");
        let _ = ended.recv();
    });
    let end = move || {
        drop(end);
        thread.join().expect("the runtime ends");
    };
    (result, end)
}

on_every_backend! {
    async fn an_application_whose_runtime_has_ended_says_so_at_each_call(world) {
        let world = Arc::new(world);
        let other = Arc::clone(&world);
        let (launched, end) = elsewhere(move || async move {
            let app = other.builder().await.workflow(waits).launch().await.unwrap();
            let handle = app.start(waits, ()).id("w").await.unwrap();
            (app, handle)
        });
        let (app, handle) = launched.recv().unwrap();
        // One that waits from before.
        let waiting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.result().await }
        });
        let later = tokio::spawn({
            let app = app.clone();
            async move { app.get_event::<u8>("w", "key", Duration::from_secs(600)).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        end();
        let results = [
            at_once("a result that was waited for", async { waiting.await.unwrap() }).await,
            at_once("a result", handle.result()).await,
            at_once("a result elsewhere", app.handle(waits, "w").result()).await,
        ];
        let errors = [
            at_once("an event that was waited for", async { later.await.unwrap() }).await,
            at_once("a start", async { app.start(waits, ()).await }).await,
            at_once("a start on a queue", async { app.start(waits, ()).queue("q").await }).await,
            at_once("a send", app.send("w", "m", &7)).await,
            at_once("an event", app.get_event::<u8>("w", "key", Duration::ZERO)).await,
            at_once("a status", handle.status()).await,
            at_once("a cancel", app.cancel("w")).await,
            at_once("a resume", app.resume("w")).await,
            at_once("a row", app.workflow("w")).await,
            at_once("the steps", app.steps("w")).await,
        ];
        for error in errors.iter().chain(&results) {
            // An execution that ran here says that it was stopped.
            let said = ["DURABLE_RUNTIME_ENDED", "DURABLE_STOPPED"].contains(&error.code());
            assert!(said, "{error:?}");
        }
        for ended in results {
            assert!(!ended.is_outcome(), "{ended:?}");
        }
        assert!(!app.health().is_ready());
        let shutdown = app.shutdown(Duration::from_secs(1));
        tokio::time::timeout(Duration::from_secs(10), shutdown).await.expect("it ends");
        // What it ran goes on where it is recovered.
        let app = world.builder().await.workflow(waits).launch().await.unwrap();
        app.send("w", "m", &7).await.unwrap();
        assert_eq!(app.handle(waits, "w").result().await, Ok(7));
    }

    async fn a_database_whose_runtime_has_ended_is_refused_at_the_launch(world) {
        let world = Arc::new(world);
        let other = Arc::clone(&world);
        let (opened, end) = elsewhere(move || async move { other.process().await });
        let database = opened.recv().unwrap();
        end();
        if let World::Memory(_) = *world {
            // It has no task.
            return;
        }
        let builder = App::builder("test").workflow(waits).backend(Faulty::over(database));
        let error = at_once("a launch", builder.launch()).await;
        assert!(error.to_string().contains("runtime in which it was opened has ended"), "{error}");
    }
}
