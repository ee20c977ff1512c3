//! What a failing run looks like to whoever has to mend it.

use std::time::{Duration, Instant};

use durable_testkit::sim::{
    Outcome,
    shrink::{Effort, shrink, sparse},
};

use crate::{
    cli::Choices,
    scenario::{self, Named},
    simulate,
};

/// How much may be spent on shrinking a failing run.
const SHRINKING: Effort = Effort {
    runs: 4_000,
    time: Duration::from_secs(60),
};

/// One run, with its timeline. Errors: it failed.
pub(crate) fn one(only: Option<&'static Named>, choices: &Choices) -> Result<(), String> {
    let mut failed = Vec::new();
    for named in only.map_or(scenario::ALL, std::slice::from_ref) {
        let outcome = simulate(named, choices, true);
        println!("{}: {}", named.name, outcome.plan);
        print(&outcome);
        println!(
            "     {} polls, {} choices, digest {:016x}\n",
            outcome.polls,
            outcome.choices.len(),
            outcome.digest
        );
        failed.extend(
            outcome
                .violation
                .map(|violation| format!("{}: {violation}", named.name)),
        );
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

fn print(outcome: &Outcome) {
    for line in outcome.timeline.iter().chain(&outcome.state) {
        println!("{line}");
    }
}

/// Shrinks a failing run and prints its story.
pub(crate) fn failure(named: &Named, seed: u64, outcome: &Outcome) {
    let begun = Instant::now();
    let invariant = outcome
        .violation
        .as_ref()
        .map(|violation| violation.invariant);
    let mut runs = 0;
    let tell = |progress: &_| eprintln!("{}, seed {seed}, {progress}", named.name);
    let shrunk = shrink(&outcome.choices, SHRINKING, tell, |candidate| {
        runs += 1;
        let again = simulate(named, &Choices::List(candidate.to_vec()), false);
        let same = again
            .violation
            .as_ref()
            .map(|violation| violation.invariant)
            == invariant;
        same.then_some(again.choices)
    });
    let decided = shrunk.iter().filter(|choice| **choice > 0).count();
    let list = Choices::List(shrunk.clone());
    let small = simulate(named, &list, true);
    println!("\n{}, seed {seed}: {}", named.name, small.plan);
    print(&small);
    println!(
        "     shrunk from {} choices to {decided} that matter, in {runs} runs and {:.1?}; the unshrunk run said: {}",
        outcome.choices.len(),
        begun.elapsed(),
        outcome
            .violation
            .as_ref()
            .map_or(String::new(), ToString::to_string),
    );
    println!(
        "     again: cargo xtask sim --scenario {} --seed {seed}\n     or:    cargo xtask sim --scenario {} --choices '{}'",
        named.name,
        named.name,
        sparse(&shrunk)
    );
}
