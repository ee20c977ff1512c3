//! Runs the engine under simulation: `cargo xtask sim`.

mod batch;
mod bugs;
mod cli;
mod report;
mod scenario;

use std::process::ExitCode;

use cli::{Choices, Command};
use durable_testkit::sim::here;

fn main() -> ExitCode {
    // A panic of simulated code is caught and told as a violation; the default hook would print each as it happens.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !here::is_simulated() {
            loud(panic);
        }
    }));
    let done = match cli::parse(lexopt::Parser::from_env()) {
        Ok(Command::Help) => {
            print!("{}", cli::HELP);
            Ok(())
        }
        Ok(Command::Batch(batch)) => batch::run(&batch),
        Ok(Command::One { scenario, choices }) => report::one(scenario, &choices),
        Ok(Command::Bugs { seeds, only }) => bugs::run(seeds, only),
        Ok(Command::Twice(seeds)) => batch::twice(seeds),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A run's decisions from the beginning: of a seed, or of a list.
fn chooser(choices: &Choices) -> durable_testkit::sim::Chooser {
    match choices {
        Choices::Seed(seed) => durable_testkit::sim::Chooser::seeded(*seed),
        Choices::List(list) => durable_testkit::sim::Chooser::listed(list.clone()),
    }
}

/// One run of a scenario.
fn simulate(
    named: &scenario::Named,
    choices: &Choices,
    timeline: bool,
) -> durable_testkit::sim::Outcome {
    let mut chooser = chooser(choices);
    let plan = durable_testkit::sim::Plan::draw(&mut chooser);
    let scenario = named.draw(&mut chooser, &plan);
    let invariants = named.invariants(&plan);
    scenario.run(plan, chooser, invariants, timeline)
}
