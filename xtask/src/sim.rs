//! `cargo xtask sim`: has the simulation built and run; and what of it the tests run.

use std::{ffi::OsString, process::Command};

use crate::{failure::Failure, process, screen, workspace::Workspace};

/// What the tests run: seeds that are always the same, so that a verdict stands, and in the full run a million.
const SEEDS: &str = "20000";
const FULL: &str = "1000000";

/// And some that no run had before.
const FRESH: &str = "2000";

/// Fewer runs of a workflow of five steps in a second of a processor are a failure.
const LEAST: &str = "1000";

/// Builds the simulation and runs it with these arguments.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure> {
    process::run(call(workspace).args(arguments))
}

/// What the tests run of it: known bugs must be found, the same seed must give the same run, here and in another process, and many
/// seeds must give nothing.
pub(crate) fn test(workspace: &Workspace, full: bool, fresh: u64) -> Result<(), Failure> {
    let run = |arguments: &[&str]| process::run(call(workspace).args(arguments));
    run(&["--bugs"])?;
    twice(workspace)?;
    let seeds = if full { FULL } else { SEEDS };
    run(&["--seeds", seeds, "--least", LEAST, "--jobs", "2"])?;
    screen::line(format_args!("A fresh batch, from seed {fresh}:"));
    run(&[
        "--seeds",
        FRESH,
        "--from",
        &fresh.to_string(),
        "--jobs",
        "2",
    ])
}

/// Runs the same seeds in two processes, each of which runs them twice.
fn twice(workspace: &Workspace) -> Result<(), Failure> {
    let said = || process::capture(call(workspace).args(["--twice", "--seeds", "500"]));
    let (first, second) = (said()?, said()?);
    screen::line(first.trim_end());
    if first == second {
        screen::line("the same in a second process");
        return Ok(());
    }
    Err(Failure::failed(format!(
        "the same seeds gave other runs in a second process:\n{second}"
    )))
}

fn call(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo([
        "run",
        "--quiet",
        "--profile",
        "sim",
        "--package",
        "durable-sim",
    ]);
    command.arg("--");
    command
}
