//! The command line.

use durable_core::sabotage::Bug;
use durable_testkit::sim::shrink::dense;
use lexopt::{Arg, ValueExt as _};

use crate::scenario::{self, Named};

pub(crate) const HELP: &str = "\
Usage: cargo xtask sim [--seeds N] [--from S] [--scenario NAME] [--least RATE] [--jobs N]
       cargo xtask sim --seed S [--scenario NAME]
       cargo xtask sim --choices LIST --scenario NAME
       cargo xtask sim --bugs [--seeds N] [--bug NAME]
       cargo xtask sim --twice [--seeds N]

Runs the engine under simulation: any number of executors, their database and the network between them, under one seed
  --seeds N        how many seeds (10000): half of them for `steps`, 30 % for `programs`, the rest for others
  --from S         the first of them (0)
  --scenario NAME  only this one, with all seeds: steps, programs, signals, poison, restarts
  --least RATE     fail if fewer runs of `steps` are made in a second of a processor
  --jobs N         how many run beside each other (1)
  --seed S         this one only, with its timeline
  --choices LIST   one run with these decisions, as a failing run prints them
  --bugs           plants known bugs, one at a time, and fails if one is not found within N seeds (20000)
  --bug NAME       only this one, with the timeline of what it does
  --twice          runs each seed twice, forwards and backwards, and fails at the first difference
";

/// What to do.
pub(crate) enum Command {
    Help,
    Batch(Batch),
    One {
        scenario: Option<&'static Named>,
        choices: Choices,
    },
    Bugs {
        seeds: u64,
        only: Option<Bug>,
    },
    Twice(u64),
}

/// Many runs.
pub(crate) struct Batch {
    pub(crate) seeds: u64,
    pub(crate) from: u64,
    pub(crate) scenario: Option<&'static Named>,
    pub(crate) least: Option<f64>,
    pub(crate) jobs: u64,
}

/// What decides.
#[derive(Clone, Debug)]
pub(crate) enum Choices {
    Seed(u64),
    List(Vec<u32>),
}

/// Reads the command line. Errors: what is wrong with it.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Command, String> {
    let mut seeds = None;
    let (mut from, mut scenario, mut least, mut one, mut bug) = (0, None, None, None, None);
    let (mut bugs, mut twice, mut jobs) = (false, false, 1);
    while let Some(arg) = parser.next().map_err(wrong)? {
        match arg {
            Arg::Long("seeds") => seeds = Some(number(&mut parser)?),
            Arg::Long("jobs") => jobs = number(&mut parser)?.clamp(1, 64),
            Arg::Long("from") => from = number(&mut parser)?,
            Arg::Long("seed") => one = Some(Choices::Seed(number(&mut parser)?)),
            Arg::Long("least") => {
                least = Some(
                    parser
                        .value()
                        .and_then(|value| value.parse())
                        .map_err(wrong)?,
                );
            }
            Arg::Long("choices") => {
                let list = parser
                    .value()
                    .and_then(lexopt::ValueExt::string)
                    .map_err(wrong)?;
                one = Some(Choices::List(dense(&list)?));
            }
            Arg::Long("scenario") => {
                let name = parser
                    .value()
                    .and_then(lexopt::ValueExt::string)
                    .map_err(wrong)?;
                scenario = Some(named(&name)?);
            }
            Arg::Long("bugs") => bugs = true,
            Arg::Long("bug") => {
                let name = parser
                    .value()
                    .and_then(lexopt::ValueExt::string)
                    .map_err(wrong)?;
                bug = Some(bug_named(&name)?);
            }
            Arg::Long("twice") => twice = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(match (one, bugs || bug.is_some(), twice) {
        (Some(choices), ..) => Command::One { scenario, choices },
        (None, true, _) => Command::Bugs {
            seeds: seeds.unwrap_or(20_000),
            only: bug,
        },
        (None, false, true) => Command::Twice(seeds.unwrap_or(500)),
        (None, false, false) => Command::Batch(Batch {
            seeds: seeds.unwrap_or(10_000),
            from,
            scenario,
            least,
            jobs,
        }),
    })
}

fn wrong(error: lexopt::Error) -> String {
    format!("{error}\n\n{HELP}")
}

fn number(parser: &mut lexopt::Parser) -> Result<u64, String> {
    let value = parser.value().map_err(wrong)?;
    value.parse().map_err(wrong)
}

fn named(name: &str) -> Result<&'static Named, String> {
    scenario::by_name(name).ok_or_else(|| {
        let names: Vec<_> = scenario::ALL.iter().map(|named| named.name).collect();
        format!(
            "there is no scenario {name:?}; there are {}",
            names.join(", ")
        )
    })
}

fn bug_named(name: &str) -> Result<Bug, String> {
    let found = Bug::ALL
        .iter()
        .copied()
        .find(|bug| format!("{bug:?}") == name);
    found.ok_or_else(|| {
        let names: Vec<_> = Bug::ALL.iter().map(|bug| format!("{bug:?}")).collect();
        format!("there is no bug {name:?}; there are {}", names.join(", "))
    })
}
