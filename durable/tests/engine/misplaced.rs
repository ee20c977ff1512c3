//! Operations that are where they must not be, and code that does not fit its history.

use std::{
    future::{Future, IntoFuture as _},
    sync::{Arc, OnceLock},
};

use durable::{Error, prelude::*, state::Status};

use crate::support::{Tally, crash, on_every_backend, outline, until_recorded};

#[durable::workflow]
async fn nested(ctx: Ctx) -> Result<String, Error> {
    let refused = ctx
        .step("outer", || async {
            let inner = ctx.step("inner", async || Ok::<_, Error>(1));
            Ok::<_, Error>(inner.await.unwrap_err().to_string())
        })
        .await?;
    // The refused one took no number.
    ctx.step("after", async || Ok::<_, Error>(())).await?;
    Ok(refused)
}

#[durable::workflow(allow(spawn))]
async fn foreign(ctx: Ctx) -> Result<String, Error> {
    let built_here = ctx.step("built here", async || Ok::<_, Error>(1));
    let elsewhere = ctx.clone();
    let task = tokio::spawn(async move {
        let here = elsewhere
            .step("built there", async || Ok::<_, Error>(1))
            .await;
        (here.unwrap_err(), built_here.await.unwrap_err())
    });
    let (there, here) = task.await.expect("the task ends");
    ctx.step("after", async || Ok::<_, Error>(())).await?;
    Ok(format!("{} {}", there.code(), here.code()))
}

#[durable::workflow]
async fn late(ctx: Ctx) -> Result<(), Error> {
    let first = ctx.step("first", async || Ok::<_, Error>(()));
    let second = ctx.step("second", async || {
        // Until the execution is stopped.
        std::future::pending::<()>().await;
        Ok::<_, Error>(())
    });
    let branch = async {
        first.await?;
        ctx.step("third", async || Ok::<_, Error>(())).await
    };
    let (a, b) = tokio::join!(branch, second);
    a.and(b)
}

#[durable::step]
async fn first_now() -> Result<u8, Error> {
    Ok(1)
}

mod calling {
    use super::{Ctx, Error, first_now};

    #[durable::workflow(name = "raced")]
    pub async fn new(ctx: Ctx) -> Result<u8, Error> {
        first_now(&ctx).await
    }

    /// The line of the call above.
    pub const LINE: u32 = line!() - 4;
}

mod racing {
    use super::{Ctx, Duration, Error};

    #[durable::workflow(name = "raced")]
    pub async fn old(ctx: Ctx) -> Result<u8, Error> {
        ctx.step("old", async || Ok::<_, Error>(())).await?;
        ctx.sleep(Duration::from_millis(1)).await?;
        ctx.sleep(Duration::from_secs(3600)).await?;
        Ok(1)
    }

    #[durable::workflow(name = "raced")]
    pub async fn new(ctx: Ctx) -> Result<u8, Error> {
        let step = ctx.step("new", async || Ok::<_, Error>(()));
        let sleep = ctx.sleep(Duration::from_millis(1));
        // The step does not fit what is recorded, and the sleep is over at once.
        let _ = futures_util::future::select(step, sleep).await;
        Ok(2)
    }
}

mod before {
    use super::{Ctx, Error, Tally};

    #[durable::workflow(name = "edited")]
    pub async fn edited(ctx: Ctx) -> Result<u8, Error> {
        let tally = ctx.state::<Tally>()?;
        ctx.step("charge", async || Ok::<_, Error>(1)).await?;
        ctx.step("ship", || async {
            tally.pass("ship").await;
            Ok::<_, Error>(2)
        })
        .await
    }
}

mod after {
    use super::{Ctx, Error, Tally};

    #[durable::workflow(name = "edited")]
    pub async fn edited(ctx: Ctx) -> Result<u8, Error> {
        let tally = ctx.state::<Tally>()?;
        let reserved = ctx.step("reserve", async || Ok::<_, Error>(9)).await;
        tally.hit("went on");
        // Code that swallows errors does not swallow this one: the operation never returns.
        Ok(reserved.unwrap_or(0))
    }
}

/// How the application comes into its own workflows.
type Slot = Arc<OnceLock<App>>;

/// The application, as a workflow finds it.
fn app_of(ctx: &Ctx) -> Result<App, Error> {
    let slot = ctx.state::<Slot>()?;
    Ok(slot.get().expect("it is put there at once").clone())
}

/// Waits for something with code and text of its refusal.
async fn refusal<T>(call: impl Future<Output = Result<T, Error>>) -> String {
    let error = call.await.err().expect("it is refused");
    format!("{} {error}", error.code())
}

/// All that an application can be asked, in a workflow's body.
#[durable::workflow]
async fn unrecorded(ctx: Ctx) -> Result<Vec<String>, Error> {
    let app = app_of(&ctx)?;
    let handle = app.handle(idle, "other");
    Ok(vec![
        refusal(app.start(idle, ()).id("other").into_future()).await,
        refusal(app.cancel("other")).await,
        refusal(app.resume("other")).await,
        refusal(app.send("other", "topic", "text")).await,
        refusal(app.send_once("other", "topic", "text", "key")).await,
        refusal(app.get_event::<u8>("other", "key", Duration::ZERO)).await,
        refusal(app.workflow("other")).await,
        refusal(app.steps("other")).await,
        refusal(handle.result()).await,
        refusal(handle.status()).await,
        refusal(handle.cancel()).await,
        refusal(handle.resume()).await,
    ])
}

/// The operation that each refusal above names.
const RECORDED: [&str; 12] = [
    "use `ctx.start(…)`",
    "use `ctx.cancel(…)`",
    "use `ctx.resume(…)`",
    "use `ctx.send(…)`",
    "use `ctx.send(…)`",
    "use `ctx.get_event(…)`",
    "in the body of a step",
    "in the body of a step",
    "use `result()` of the handle that `ctx.start(…)` gives",
    "use `ctx.status(…)`",
    "use `ctx.cancel(…)`",
    "use `ctx.resume(…)`",
];

#[durable::workflow]
async fn idle(_ctx: Ctx) -> Result<(), Error> {
    Ok(())
}

/// The same in a step's body, where it is made again if the body is.
#[durable::workflow]
async fn in_a_step(ctx: Ctx) -> Result<String, Error> {
    ctx.step("outer", || async {
        let app = app_of(&ctx)?;
        let without_id = refusal(app.start(idle, ()).into_future()).await;
        app.start(idle, ()).id("named").await?.result().await?;
        app.send("named", "topic", "text").await?;
        app.workflow("named").await?;
        app.cancel("named").await?;
        app.get_event::<u8>("named", "key", Duration::ZERO).await?;
        Ok::<_, Error>(without_id)
    })
    .await
}

/// A task of a workflow's making, which is not its body.
#[durable::workflow(allow(spawn))]
async fn in_a_task(ctx: Ctx) -> Result<(), Error> {
    let app = app_of(&ctx)?;
    let task = tokio::spawn(async move { app.start(idle, ()).await?.result().await });
    // Both poll on one thread, one after the other.
    task.await.expect("the task ends")
}

/// An application of a workflow that is not its own.
#[durable::workflow]
async fn of_another(ctx: Ctx) -> Result<String, Error> {
    Ok(refusal(app_of(&ctx)?.cancel("other")).await)
}

on_every_backend! {
    async fn calls_of_the_application_in_a_workflows_body_are_refused(world) {
        let slot = Slot::default();
        let builder = world.builder().await.state(Arc::clone(&slot));
        let app = builder.workflow(unrecorded).workflow(idle).launch().await.unwrap();
        slot.set(app.clone()).unwrap();
        let refusals = app.start(unrecorded, ()).id("u").await.unwrap().result().await.unwrap();
        assert_eq!(refusals.len(), RECORDED.len());
        for (text, recorded) in refusals.iter().zip(RECORDED) {
            assert!(text.starts_with("DURABLE_INSIDE_WORKFLOW `"), "{text}");
            assert!(text.contains(r#"in the body of workflow "u" is refused"#), "{text}");
            assert!(text.contains(recorded), "{text} and not {recorded}");
        }
        let error = app.workflow("other").await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_NOT_FOUND", "nothing was started: {error}");
    }

    async fn calls_of_the_application_in_a_steps_body_are_allowed_but_for_a_start_without_an_id(world) {
        let slot = Slot::default();
        let builder = world.builder().await.state(Arc::clone(&slot));
        let app = builder.workflow(in_a_step).workflow(in_a_task).workflow(idle).launch().await.unwrap();
        slot.set(app.clone()).unwrap();
        let text = app.start(in_a_step, ()).id("s").await.unwrap().result().await.unwrap();
        assert!(text.starts_with("DURABLE_INSIDE_WORKFLOW `app.start(…)` without an id"), "{text}");
        assert!(text.contains(r#"step "outer" of workflow "s""#) && text.contains("`.id(…)`"), "{text}");
        assert_eq!(app.workflow("named").await.unwrap().status, Status::Success);
        // Outside of workflows nothing is refused, whatever ran on this thread.
        app.start(in_a_task, ()).await.unwrap().result().await.unwrap();
    }

    async fn a_call_of_another_application_in_a_workflows_body_belongs_into_a_step(world) {
        let other = world.builder().await.workflow(idle).launch().await.unwrap();
        let slot = Slot::new(OnceLock::from(other.clone()));
        let app = world.builder().await.state(slot).workflow(of_another).launch().await.unwrap();
        let text = app.start(of_another, ()).await.unwrap().result().await.unwrap();
        assert!(text.contains("make it in the body of a step") && !text.contains("ctx.cancel"), "{text}");
    }

    async fn a_step_inside_a_steps_body_is_refused(world) {
        let app = world.builder().await.workflow(nested).launch().await.unwrap();
        let text = app.start(nested, ()).id("n").await.unwrap().result().await.unwrap();
        assert!(text.contains(r#""inner" inside the body of step "outer" of workflow "n""#), "{text}");
        assert_eq!(outline(&app.steps("n").await.unwrap()), [(1, "outer"), (2, "after")]);
    }

    async fn an_operation_in_a_foreign_task_is_refused(world) {
        let app = world.builder().await.workflow(foreign).launch().await.unwrap();
        let codes = app.start(foreign, ()).id("f").await.unwrap().result().await.unwrap();
        assert_eq!(codes, "DURABLE_FOREIGN_TASK DURABLE_FOREIGN_TASK");
        assert_eq!(outline(&app.steps("f").await.unwrap()), [(2, "after")]);
    }

    async fn a_step_built_after_an_await_inside_a_join_is_refused_at_the_first_run(world) {
        let app = world.builder().await.workflow(late).launch().await.unwrap();
        let error = app.start(late, ()).id("l").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_UNORDERED");
        let text = error.to_string();
        assert!(text.contains(r#"builds "third""#) && text.contains("misplaced.rs:"), "{text}");
        assert!(text.contains("before the `join!`") && text.contains("child workflow"), "{text}");
        // It stays recoverable, and nothing of the third step is recorded.
        assert_eq!(app.workflow("l").await.unwrap().status, Status::Pending);
        assert!(app.steps("l").await.unwrap().iter().all(|step| step.name != "third"));
    }

    async fn the_report_names_the_line_of_the_call(world) {
        let app = world.builder().await.workflow(racing::old).launch().await.unwrap();
        app.start(racing::old, ()).id("w").await.unwrap();
        until_recorded(&app, "w", 3).await;
        crash(app).await;
        let app = world.builder().await.workflow(calling::new).launch().await.unwrap();
        let error = app.handle(calling::new, "w").result().await.unwrap_err();
        let place = format!("misplaced.rs:{}:", calling::LINE);
        assert!(error.to_string().contains(&place), "{error} and not {place}");
    }

    async fn a_race_with_what_does_not_fit_has_no_winner(world) {
        let app = world.builder().await.workflow(racing::old).launch().await.unwrap();
        app.start(racing::old, ()).id("w").await.unwrap();
        until_recorded(&app, "w", 3).await;
        crash(app).await;
        let app = world.builder().await.workflow(racing::new).launch().await.unwrap();
        let error = app.handle(racing::new, "w").result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_UNEXPECTED_STEP");
        assert_eq!(app.workflow("w").await.unwrap().status, Status::Pending);
    }

    async fn code_that_does_not_fit_the_history_is_reported_and_the_workflow_stays_recoverable(world) {
        let tally = Tally::default();
        let app = world.builder().await.state(tally.clone()).workflow(before::edited).launch().await.unwrap();
        app.start(before::edited, ()).id("w").await.unwrap();
        until_recorded(&app, "w", 1).await;
        crash(app).await;

        let app = world.builder().await.state(tally.clone()).workflow(after::edited).launch().await.unwrap();
        assert_eq!(app.report().recovered, 1);
        let error = app.handle(after::edited, "w").result().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(r#"workflow "w" has recorded "charge" as operation 1"#), "{text}");
        assert!(text.contains(r#"now calls "reserve" (at "#) && text.contains("misplaced.rs:"), "{text}");
        // Several rounds of recovery: this process does not try again what it cannot do.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let row = app.workflow("w").await.unwrap();
        assert_eq!((row.status, row.attempts), (Status::Pending, 2));
        assert_eq!(tally.count("went on"), 0);
        crash(app).await;

        // With the old code it goes on where it was.
        tally.open("ship");
        let app = world.builder().await.state(tally.clone()).workflow(before::edited).launch().await.unwrap();
        assert_eq!(app.handle(before::edited, "w").result().await.unwrap(), 2);
    }
}
