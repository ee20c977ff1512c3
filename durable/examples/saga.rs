//! A saga: book a trip leg by leg, and undo what was booked, in reverse, when a leg fails.
//!
//!     cargo run --example saga                    # all goes well
//!     cargo run --example saga -- --fail car      # no car: hotel and flight are given back
//!
//! Undoing is made of steps like doing: a crash in the middle of it goes on with the undoing.

use durable::{prelude::*, sqlite::Sqlite};
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum TripError {
    #[error("no {leg} is left")]
    SoldOut { leg: String },
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

#[durable::workflow]
async fn book_trip(ctx: Ctx, fail: Option<String>) -> Result<Vec<String>, TripError> {
    let mut booked = Vec::new();
    for leg in ["flight", "hotel", "car"] {
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

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut args = std::env::args().skip(1);
    let fail = match (args.next().as_deref(), args.next()) {
        (None, _) => None,
        (Some("--fail"), Some(leg)) => Some(leg),
        _ => return Err(AnyError::msg("usage: saga [--fail flight|hotel|car]")),
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
    Ok(())
}
