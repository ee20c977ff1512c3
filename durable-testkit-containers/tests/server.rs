//! A workflow on a server in a container, where an engine is; and what is said where none is.

use std::time::Duration;

use durable::{pg_sqlx::SqlxDriver, prelude::*};
use durable_testkit_containers::server;

#[durable::workflow]
async fn greet(ctx: Ctx, name: String) -> Result<String, AnyError> {
    ctx.step("greet", || async {
        Ok::<_, AnyError>(format!("hello, {name}"))
    })
    .await
}

/// Run by hand or by whoever has an engine: `cargo test -- --ignored`.
#[tokio::test]
#[ignore = "needs a container engine, or another server"]
async fn a_workflow_runs_on_what_server_there_is() -> Result<(), AnyError> {
    let begun = std::time::Instant::now();
    let server = server().await?;
    println!("{} after {:?}", server.source(), begun.elapsed());
    let database = server.database::<SqlxDriver>().await?;
    let backend = database.options().connect().await?;
    let app = App::builder("greeter").backend(backend).workflow(greet);
    let app = app.launch().await?;
    let handle = app.start(greet, "Ann".to_owned()).await?;
    assert_eq!(handle.result().await?, "hello, Ann");
    app.shutdown(Duration::from_secs(1)).await;
    println!("done after {:?}", begun.elapsed());
    if let Some(wait) = std::env::var_os("DURABLE_TEST_WAIT") {
        println!("waits {wait:?}");
        std::io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}
