//! `cargo xtask bench`: how fast the engine is on Postgres, and what of that the engine costs.
//!
//! - here: what was asked for
//! - [`subject`]: what is measured, and how a measurement of it is called
//! - [`load`]: the load, shared with the package `peer`
//! - [`inline`], [`raw`]: the work of a measurement, with the engine and without
//! - [`rounds`]: measurements in turn, each in a process and on a database of its own
//! - [`table`]: medians and ratios

use std::{path::PathBuf, process::ExitCode};

use durable_pg_diesel::DieselDriver;
use durable_pg_sqlx::SqlxDriver;
use lexopt::{Arg, Parser, ValueExt as _};

mod inline;
mod load;
mod raw;
mod rounds;
mod subject;
mod table;

use load::{Load, Measured, Trouble};
use rounds::Plan;
use subject::{Driven, Subject};

const USAGE: &str = "call `cargo xtask bench inline [--peer]` or `cargo xtask bench raw`, with --seconds N, --rounds N or \
    --concurrency N if wanted";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((command, rest)) if command == subject::MEASURE => measure(rest).await,
        _ => compare(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One measurement, in a process of its own.
async fn measure(arguments: &[String]) -> Result<(), Trouble> {
    let load = Load::of(arguments)?;
    let url = std::env::var(load::DATABASE)?;
    let which = arguments.first().map_or("", String::as_str);
    println!("{}", measured(which.parse()?, &url, load).await?);
    Ok(())
}

async fn measured(driven: Driven, url: &str, load: Load) -> Result<Measured, Trouble> {
    match driven {
        Driven::InlineSqlx => inline::measure::<SqlxDriver>(url, load).await,
        Driven::InlineDiesel => inline::measure::<DieselDriver>(url, load).await,
        Driven::RawSqlx => raw::measure::<SqlxDriver>(url, load).await,
        Driven::RawDiesel => raw::measure::<DieselDriver>(url, load).await,
    }
}

/// Measurements of all that is compared.
async fn compare(arguments: Vec<String>) -> Result<(), Trouble> {
    let url = std::env::var("DATABASE_URL")
        .map_err(|_| "DATABASE_URL names no server; `cargo xtask bench` sets it")?;
    let plan = parse(arguments)?;
    let server = rounds::server(&url).await?;
    let results = rounds::run(&url, &plan).await?;
    table::show(&server, &plan, &results);
    Ok(())
}

fn parse(arguments: Vec<String>) -> Result<Plan, Trouble> {
    let mut parser = Parser::from_args(arguments);
    let mut command = None;
    let mut peer = None;
    let mut plan = Plan::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(word) if command.is_none() => command = Some(word.string()?),
            Arg::Long("peer") => peer = Some(PathBuf::from(parser.value()?)),
            Arg::Long("seconds") => plan.seconds = parser.value()?.parse()?,
            Arg::Long("rounds") => plan.rounds = parser.value()?.parse()?,
            Arg::Long("concurrency") => plan.concurrencies = vec![parser.value()?.parse()?],
            other => return Err(format!("{}; {USAGE}", other.unexpected()).into()),
        }
    }
    plan.subjects = match command.as_deref() {
        Some("inline") => Subject::inline(peer),
        Some("raw") if peer.is_none() => Subject::raw(),
        _ => return Err(USAGE.into()),
    };
    if plan.seconds == 0 || plan.rounds == 0 || plan.concurrencies.contains(&0) {
        return Err("seconds, rounds and concurrency are at least 1".into());
    }
    Ok(plan)
}
