//! Work on a queue, from any number of processes on one file: kill any of them, and the others finish its work.
//!
//!     cargo run -p examples --bin queue -- enqueue 100       # puts work on the queue; nothing runs yet
//!     cargo run -p examples --bin queue -- work              # in one terminal, or in several
//!     cargo run -p examples --bin queue -- status

use std::{path::PathBuf, process::ExitCode, time::Instant};

use durable::{Event, prelude::*, sqlite::Sqlite, state::Status};
use examples::screen::words;

/// Resizes a picture: two steps, so that a crash between them repeats only the second.
#[durable::workflow]
async fn resize(ctx: Ctx, picture: u32) -> Result<String, AnyError> {
    let pixels = ctx
        .step("load", || async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok::<_, AnyError>(picture * 640)
        })
        .await?;
    ctx.step("store", || async move {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok::<_, AnyError>(format!("picture-{picture} with {pixels} pixels"))
    })
    .await
}

const USAGE: &str = "\
queue [--db FILE] enqueue N | work [PLACES] | status

    enqueue N    puts N pictures on the queue
    work         runs them, 20 (or PLACES) at once, until none is left
    status       counts them
    --db FILE    the SQLite file [queue.db]";

enum Command {
    Enqueue(u32),
    Work(usize),
    Status,
}

fn parse() -> Option<(PathBuf, Command)> {
    let mut args = std::env::args().skip(1).peekable();
    let mut db = PathBuf::from("queue.db");
    if args.next_if_eq("--db").is_some() {
        db = args.next()?.into();
    }
    let command = match args.next()?.as_str() {
        "enqueue" => Command::Enqueue(args.next()?.parse().ok()?),
        "work" => Command::Work(args.next().map_or(Some(20), |places| places.parse().ok())?),
        "status" => Command::Status,
        _ => return None,
    };
    args.next().is_none().then_some((db, command))
}

#[tokio::main]
async fn main() -> Result<ExitCode, AnyError> {
    if std::env::args().any(|arg| arg == "--help" || arg == "-h") {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let Some((db, command)) = parse() else {
        eprintln!("{USAGE}");
        return Ok(ExitCode::from(2));
    };
    let builder = App::builder("pictures")
        .backend(Sqlite::open(&db).await?)
        .workflow(resize);
    match command {
        Command::Enqueue(count) => enqueue(builder, count).await?,
        Command::Work(places) => work(builder, places).await?,
        Command::Status => status(&builder.launch().await?).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn enqueue(builder: durable::AppBuilder, count: u32) -> Result<(), AnyError> {
    let app = builder.launch().await?;
    // All at once: the starts of one process share their commits.
    let starts = (0..count).map(|n| {
        let start = app
            .start(resize, n)
            .id(format!("picture-{n}"))
            .queue("pictures");
        async move { start.await }
    });
    futures_util::future::try_join_all(starts).await?;
    println!("{count} pictures are on the queue");
    app.shutdown(Duration::ZERO).await;
    Ok(())
}

async fn work(builder: durable::AppBuilder, places: usize) -> Result<(), AnyError> {
    let begin = Instant::now();
    let app = builder
        .queue(Queue::new("pictures").worker_concurrency(places))
        .recovery_interval(Duration::from_millis(500))
        .observe(|event| {
            if let Event::WorkflowFinished { workflow, .. } = event {
                println!("{workflow} finished");
            }
        })
        .launch()
        .await?;
    println!("{}", app.report());
    for n in 0.. {
        // Every picture's end is awaited, whoever works on it.
        let id = format!("picture-{n}");
        if let Err(durable::Error::NotFound { .. }) = app.workflow(id.as_str()).await {
            break;
        }
        if let Err(error) = app.handle(resize, id.as_str()).result().await {
            println!("{id} failed: {error}");
        }
    }
    println!("nothing is left after {}", words(begin.elapsed()));
    app.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn status(app: &App) -> Result<(), AnyError> {
    let mut counts = std::collections::BTreeMap::<Status, u32>::new();
    for n in 0.. {
        match app.workflow(format!("picture-{n}")).await {
            Ok(row) => *counts.entry(row.status).or_default() += 1,
            Err(durable::Error::NotFound { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    for (status, count) in counts {
        println!("{status:<32} {count}");
    }
    app.shutdown(Duration::ZERO).await;
    Ok(())
}
