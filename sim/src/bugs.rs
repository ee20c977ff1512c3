//! Plants known bugs, one at a time, and counts how many seeds each takes to be found.

use std::time::Instant;

use durable_core::sabotage::{Bug, plant};

use crate::{cli::Choices, report, scenario, simulate};

/// Plants each bug, or one. Errors: those that no seed found.
pub(crate) fn run(seeds: u64, only: Option<Bug>) -> Result<(), String> {
    let mut missed = Vec::new();
    println!("| bug | found by | scenario | seeds | time |\n|---|---|---|---|---|");
    let all = Bug::ALL
        .iter()
        .copied()
        .filter(|bug| only.is_none_or(|only| only == *bug));
    for bug in all {
        plant(Some(bug));
        let begun = Instant::now();
        let found = hunt(seeds);
        let took = begun.elapsed().as_secs_f64();
        plant(None);
        if let Some(found) = found {
            let Found {
                invariant,
                scenario,
                seed,
                outcome,
            } = found;
            println!(
                "| {bug:?} | `{invariant}` | {} | {} | {took:.2} s |",
                scenario.name,
                seed + 1
            );
            let innocent = simulate(scenario, &Choices::Seed(seed), false);
            if let Some(violation) = innocent.violation {
                missed.push(format!(
                    "{bug:?} (seed {seed} of {} fails without it, too: {violation})",
                    scenario.name
                ));
            }
            if only.is_some() {
                plant(Some(bug));
                report::failure(scenario, seed, &outcome);
            }
        } else {
            println!("| {bug:?} | not found | | {seeds} | {took:.2} s |");
            missed.push(format!("{bug:?}"));
        }
        plant(None);
    }
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "not found within {seeds} seeds: {}",
            missed.join(", ")
        ))
    }
}

struct Found {
    invariant: &'static str,
    scenario: &'static scenario::Named,
    seed: u64,
    outcome: durable_testkit::sim::Outcome,
}

/// The first seed that fails, in any scenario.
fn hunt(seeds: u64) -> Option<Found> {
    for seed in 0..seeds {
        for named in scenario::ALL {
            let outcome = simulate(named, &Choices::Seed(seed), false);
            if let Some(violation) = &outcome.violation {
                return Some(Found {
                    invariant: violation.invariant,
                    scenario: named,
                    seed,
                    outcome,
                });
            }
        }
    }
    None
}
