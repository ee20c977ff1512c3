//! A saga: book a trip leg by leg, and undo what was booked, in reverse, when a leg fails.
//!
//!     cargo run -p examples --bin saga                    # all goes well
//!     cargo run -p examples --bin saga -- --fail car      # no car: hotel and flight are given back
//!
//! Undoing is made of steps like doing: a crash in the middle of it goes on with the undoing.

use std::process::ExitCode;

use durable::{prelude::*, sqlite::Sqlite};
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum TripError {
    #[error("no {leg} is left")]
    SoldOut { leg: String },
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

/// What is booked, in this order.
const LEGS: [&str; 3] = ["flight", "hotel", "car"];

#[durable::workflow]
async fn book_trip(ctx: Ctx, fail: Option<String>) -> Result<Vec<String>, TripError> {
    let mut booked = Vec::new();
    for leg in LEGS {
        match book(&ctx, leg, fail.as_deref()).await {
            Ok(booking) => booked.push(booking),
            Err(error) => {
                undo(&ctx, booked).await?;
                return Err(error);
            }
        }
    }
    Ok(booked)
}

/// Gives back what was booked, the last first. Called by the workflow, so its steps are the workflow's.
async fn undo(ctx: &Ctx, booked: Vec<String>) -> Result<(), TripError> {
    for booking in booked.into_iter().rev() {
        give_back(ctx, &booking).await?;
    }
    Ok(())
}

#[durable::step]
async fn book(leg: &str, fail: Option<&str>) -> Result<String, TripError> {
    if fail == Some(leg) {
        println!("  {leg}: sold out");
        return Err(TripError::SoldOut {
            leg: leg.to_owned(),
        });
    }
    println!("  {leg}: booked");
    Ok(format!("{leg}-42"))
}

// Undoing must not give up: it is retried for about half an hour before a person has to look.
#[durable::step(name = "give back", max_attempts = 20, backoff = "200ms..2m")]
async fn give_back(booking: &str) -> Result<(), TripError> {
    println!("  {booking}: given back");
    Ok(())
}

const USAGE: &str = "\
saga [--fail LEG]: books a trip

    --fail LEG    that leg is sold out: one of flight, hotel, car
    --help        this text";

/// The leg that fails; `Err` holds what is wrong with the call, empty for `--help`.
fn parse() -> Result<Option<String>, String> {
    let mut args = std::env::args().skip(1);
    let mut fail = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--help" | "-h" => return Err(String::new()),
            "--fail" => {
                let leg = args.next().ok_or("--fail needs a value")?;
                if !LEGS.contains(&&*leg) {
                    return Err(format!("there is no leg {leg:?}"));
                }
                fail = Some(leg);
            }
            _ => return Err(format!("{arg} is unknown")),
        }
    }
    Ok(fail)
}

#[tokio::main]
async fn main() -> Result<ExitCode, AnyError> {
    let fail = match parse() {
        Ok(fail) => fail,
        Err(wrong) if wrong.is_empty() => {
            println!("{USAGE}");
            return Ok(ExitCode::SUCCESS);
        }
        Err(wrong) => {
            eprintln!("saga: {wrong}\n\n{USAGE}");
            return Ok(ExitCode::from(2));
        }
    };
    let app = App::builder("saga")
        .backend(Sqlite::in_memory().await?)
        .workflow(book_trip)
        .launch()
        .await?;
    let trip = app.start(book_trip, fail).id("trip-1").await?;
    match trip.result().await {
        Ok(booked) => println!("have a good trip: {}", booked.join(", ")),
        Err(error) => println!("no trip: {error}; nothing stays booked"),
    }
    for step in app.steps("trip-1").await? {
        println!("  recorded {}: {}", step.number, step.name);
    }
    app.shutdown(Duration::from_secs(5)).await;
    Ok(ExitCode::SUCCESS)
}
