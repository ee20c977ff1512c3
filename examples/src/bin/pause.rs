//! Two processes on one Postgres database: pause one in the middle of its work, and the other goes on with it.
//!
//!     cargo run -p examples --features pg-sqlx --bin pause -- postgres://localhost/shop     # in two terminals
//!
//! Type an order's name into one of them, and press Ctrl-Z while a step runs: its process stands still, and keeps its connections. When
//! its lease has ended, 3 s after its last heartbeat, the other one adopts the order. Go on with the first by `fg`: it finds that the
//! order is no longer its own, writes nothing of it, and takes the next one.

use std::{io::BufRead as _, process::ExitCode};

use durable::{Event, pg_sqlx::Postgres, prelude::*};

/// Three steps of a second; the result says which process recorded each.
#[durable::workflow]
async fn pack(ctx: Ctx, order: String) -> Result<String, AnyError> {
    let mut by = Vec::new();
    for step in ["fetch", "wrap", "label"] {
        let id = ctx
            .step(step, || async {
                println!("{order}: {step} runs here");
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, AnyError>(std::process::id())
            })
            .await?;
        by.push(format!("{step} by {id}"));
    }
    Ok(by.join(", "))
}

#[tokio::main]
async fn main() -> Result<ExitCode, AnyError> {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("pause URL    reads orders from standard input, one a line, and packs them");
        return Ok(ExitCode::from(2));
    };
    let database = Postgres::options(url).lease(Duration::from_secs(3));
    let app = App::builder("parcels")
        .backend(database.connect().await?)
        .workflow(pack)
        .recovery_interval(Duration::from_millis(500))
        .observe(|event| match event {
            Event::WorkflowFinished { workflow, .. } => println!("{workflow}: finished here"),
            Event::WorkflowStopped {
                workflow, reason, ..
            } => {
                println!("{workflow}: goes on elsewhere ({reason})");
            }
            _ => {}
        })
        .launch()
        .await?;
    println!("ready as {}", app.executor());
    let (typed, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = typed.send(line);
        }
    });
    while let Some(order) = orders.recv().await {
        app.start(pack, order.clone()).id(order).await?;
    }
    app.shutdown(Duration::from_secs(10)).await;
    Ok(ExitCode::SUCCESS)
}
