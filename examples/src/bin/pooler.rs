//! What an application meets behind PgBouncer: a workflow in session mode, and an error that says what to change in every other.
//!
//!     DATABASE_URL=$(cargo xtask pg up) cargo run -p examples --features pooler --bin pooler
//!
//! Starts PgBouncer (Debian: `apt-get install pgbouncer`) in front of that server once in each mode, and opens the database through it.

use std::process::ExitCode;

use durable::{pg_sqlx::Postgres, prelude::*};
use durable_testkit::pg::local::{Mode, PoolerOptions};

#[durable::workflow]
async fn greet(ctx: Ctx, name: String) -> Result<String, AnyError> {
    ctx.step("greet", || async {
        Ok::<_, AnyError>(format!("hello, {name}"))
    })
    .await
}

#[tokio::main]
async fn main() -> Result<ExitCode, AnyError> {
    let url = match std::env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => url,
        _ => {
            eprintln!(
                "pooler: set DATABASE_URL to a Postgres server, as in DATABASE_URL=$(cargo xtask pg up)"
            );
            return Ok(ExitCode::from(2));
        }
    };
    let database = url.rsplit('/').next().unwrap_or("postgres").to_owned();
    println!("directly: {}\n", outcome(&url).await);
    for (mode, size) in [
        (Mode::Session, 20),
        (Mode::Session, 1),
        (Mode::Transaction, 20),
        (Mode::Statement, 20),
    ] {
        let options = PoolerOptions {
            mode,
            size,
            round_robin: false,
        };
        let pooler = options.start(&url).await;
        println!(
            "pool_mode = {mode}, default_pool_size = {size}: {}\n",
            outcome(&pooler.url(&database)).await
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What comes of opening the database and running a workflow.
async fn outcome(url: &str) -> String {
    match run(url).await {
        Ok(greeting) => format!("a workflow ran: {greeting}"),
        Err(error) => format!("refused\n  {error}"),
    }
}

async fn run(url: &str) -> Result<String, AnyError> {
    let database = Postgres::options(url).pool_size(5).connect().await?;
    let app = App::builder("pooler").backend(database).workflow(greet);
    let app = app.launch().await?;
    let greeting = app.start(greet, "world".to_owned()).await?.result().await?;
    app.shutdown(Duration::from_secs(1)).await;
    Ok(greeting)
}
