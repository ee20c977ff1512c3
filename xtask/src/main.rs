//! The workspace's own commands, run as `cargo xtask COMMAND`.
//!
//! What lives where:
//!
//! - [`cli`]: the commands, their options and their help
//! - [`stages`]: stages run one after the other, with durations and a table at the end
//! - [`test`](mod@test), [`ci`]: which stages those two commands are made of
//! - [`chosen`]: which test programs can hold the test that is asked for
//! - [`readme`], [`lengths`], [`left_out`]: what the stages check that cargo does not
//! - [`migrate`]: the one command that needs a database backend, and so a cargo feature
//! - [`provided`]: what the tests are provided with: [`pg`], the Postgres server that they run against, and [`python`], the
//!   Python environment with the package that they compare with
//! - [`apt`], [`files`]: installing what is missing, and what is put below `target`
//! - [`bench`](mod@bench), [`sim`]: the benchmarks and the simulation, which are packages that cargo builds for them
//! - [`mutants`]: the mutants that tests must catch
//! - [`process`], [`json`], [`screen`], [`tools`], [`workspace`]: calling programs and talking to the terminal
//!
//! This is the first thing that a fresh clone compiles: a dependency here is paid for by everybody, at once.

use std::process::ExitCode;

mod apt;
mod bench;
mod chosen;
mod ci;
mod cli;
mod failure;
mod files;
mod json;
mod left_out;
mod lengths;
mod migrate;
mod mutants;
mod pg;
mod pooler;
mod process;
mod provided;
mod python;
mod readme;
#[cfg(test)]
mod scratch;
mod screen;
mod sim;
mod stages;
mod test;
mod tools;
mod workspace;

use cli::Command;
use failure::Failure;
use workspace::Workspace;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::error(&failure.to_string());
            failure.exit_code()
        }
    }
}

/// Does what was asked for.
fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Help(text) => {
            screen::print(&text);
            Ok(())
        }
        Command::Test(options) => test::run(&Workspace::find()?, &options),
        Command::Ci(options) => ci::run(&Workspace::find()?, &options),
        Command::Migrate(options) => migrate::run(&options),
        Command::Pg(options) => pg::run(&Workspace::find()?, &options),
        Command::Bench(options) => bench::run(&Workspace::find()?, &options),
        Command::Mutants(options) => mutants::run(&Workspace::find()?, &options),
        Command::Sim(arguments) => sim::run(&Workspace::find()?, &arguments),
    }
}
