//! The view that a workflow has of itself, and its operations when somebody prints them.

use durable::{Error, prelude::*, time::Timestamp};

use crate::support::World;

#[durable::workflow]
async fn nothing(_ctx: Ctx) -> Result<(), Error> {
    Ok(())
}

#[durable::workflow]
async fn shows(ctx: Ctx) -> Result<Vec<String>, Error> {
    let step = ctx.step("look", || async { Ok::<_, Error>(()) });
    let sleep = ctx.sleep(Duration::from_secs(1));
    let call = ctx.call(nothing, ());
    let start = ctx.start(nothing, ()).id("child");
    let mut shown = vec![
        format!("{ctx:?}"),
        format!("{step:?}"),
        format!("{sleep:?}"),
        format!("{call:?}"),
        format!("{start:?}"),
    ];
    shown.push(format!("{:?}", start.await?));
    Ok(shown)
}

#[tokio::test]
async fn contexts_operations_and_children_are_shown_by_their_names() {
    let builder = World::memory().builder().await;
    let app = builder.workflow(nothing).workflow(shows).launch().await;
    let app = app.unwrap();
    let handle = app.start(shows, ()).id("shown").await.unwrap();
    let expected = [
        r#"Ctx { workflow: "shown", .. }"#,
        r#"Step("look")"#,
        r#"Operation("DBOS.sleep")"#,
        "ChildCall(nothing)",
        "ChildStart(nothing)",
        r#"ChildHandle { workflow: "nothing", id: "child", .. }"#,
    ];
    assert_eq!(handle.result().await.unwrap(), expected);
}

#[durable::workflow]
async fn knows_its_deadline(ctx: Ctx) -> Result<Option<i64>, Error> {
    Ok(ctx.deadline().map(Timestamp::as_millis))
}

#[tokio::test]
async fn a_workflow_knows_its_deadline() {
    let builder = World::memory().builder().await;
    let app = builder.workflow(knows_its_deadline).launch().await;
    let app = app.unwrap();
    let bounded = app.start(knows_its_deadline, ()).id("bounded");
    let bounded = bounded.timeout(Duration::from_secs(3600)).await.unwrap();
    let known = bounded.result().await.unwrap();
    let row = app.workflow("bounded").await.unwrap();
    assert_eq!(known, row.deadline.map(Timestamp::as_millis));
    assert!(known.is_some());
    let unbounded = app.start(knows_its_deadline, ()).await.unwrap();
    assert_eq!(unbounded.result().await.unwrap(), None);
}
