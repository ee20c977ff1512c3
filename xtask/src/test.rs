//! `cargo xtask test`: all tests, with all set-up included.

use std::{
    env,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    chosen::Chosen,
    failure::Failure,
    left_out::{self, LeftOut},
    mutants, process,
    provided::Provided,
    screen, sim,
    stages::{self, Done, Stage},
    tools::{self, Tool},
    workspace::Workspace,
};

/// The environment variable that tells a test to leave nothing out, by the value `1`.
const FULL: &str = "DURABLE_FULL";

/// The stage after which every test has said what it left out.
pub(crate) const LAST: &str = "doc tests";

/// The stage that simulates.
const SIMULATION: &str = "simulation";

/// The stage that tries mutants.
const MUTANTS: &str = "mutants";

/// What `cargo test` is told where nothing is left out.
const ALL: [&str; 3] = ["test", "--workspace", "--all-features"];

/// Which tests are all that are no documentation tests.
const PROGRAMS: [&str; 3] = ["--lib", "--bins", "--tests"];

/// The oldest and the newest version of Postgres on which the conformance suite is run besides the installed one, with their stages.
const VERSIONS: [(&str, &str); 2] = [("Postgres 13", "13"), ("Postgres 18", "18")];

/// What the tests that run the conformance suite on Postgres have in their names.
const CONFORMANCE_ON_PG: &str = "keeps_every_promise_of_a_backend";

/// What `test` was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Run the long tests whole.
    pub(crate) full: bool,
    /// Run only tests with this text in their name.
    pub(crate) filter: Option<String>,
}

/// Runs the tests and says what was left out.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    tools::require(&[Tool::CCompiler])?;
    let chosen = match &options.filter {
        Some(filter) => Chosen::of(workspace, filter)?,
        None => None,
    };
    if let (Some(chosen), Some(filter)) = (&chosen, &options.filter)
        && chosen.programs().is_none()
        && chosen.docs().is_none()
    {
        return Err(Failure::failed(format!(
            "no test can have `{filter}` in its name: no source has it"
        )));
    }
    let left_out = LeftOut::new(workspace.target())?;
    let provided = Provided::new(workspace)?;
    let stages = stages(workspace, options, chosen.as_ref(), &left_out, &provided);
    let report = stages::run(stages);
    drop(provided);
    left_out.show(report.passed(LAST))?;
    report.show();
    report.verdict("test")
}

/// The stages that the tests are made of; with `chosen`, of these programs only.
pub(crate) fn stages<'a>(
    workspace: &'a Workspace,
    options: &'a Options,
    chosen: Option<&'a Chosen>,
    left_out: &'a LeftOut,
    provided: &'a Provided,
) -> Vec<Stage<'a>> {
    let build = move || {
        announce(options, chosen);
        match programs(workspace, chosen) {
            Some(mut command) => process::run(command.arg("--no-run")).map(|()| Done::Passed),
            None => Ok(none()),
        }
    };
    let run = move |command: Option<Command>| {
        let Some(mut command) = command else {
            return Ok(none());
        };
        command.arg("--no-fail-fast");
        process::run(prepared(&mut command, options, left_out, provided)).map(|()| Done::Passed)
    };
    let on_version = move |text: &str| {
        if !options.full {
            return Ok(Done::LeftOut(
                "the conformance suite on it: --full".to_owned(),
            ));
        }
        let major = text.parse().map_err(Failure::failed)?;
        let mut command = workspace.cargo(ALL);
        command.args(["--test", "conformance"]);
        prepared(&mut command, options, left_out, provided);
        provided.tell_version(&mut command, major)?;
        command.args(["--", CONFORMANCE_ON_PG]);
        process::run(&mut command).map(|()| Done::Passed)
    };
    // Before the minutes of compiling, as something may be missing.
    let mut stages = provided.stages();
    stages.extend([
        Stage::optional("build tests", build),
        Stage::optional("tests", move || run(programs(workspace, chosen))),
        Stage::optional(SIMULATION, move || simulate(workspace, options)),
        Stage::optional(LAST, move || run(docs(workspace, chosen))),
    ]);
    if provided.has_server() && options.filter.is_none() {
        for (stage, version) in VERSIONS {
            stages.push(Stage::optional(stage, move || on_version(version)));
        }
    }
    if options.filter.is_none() {
        stages.push(Stage::optional(MUTANTS, move || {
            try_mutants(workspace, options)
        }));
    }
    stages
}

/// Why a stage has nothing to do.
fn none() -> Done {
    Done::LeftOut("none of them can have that name".to_owned())
}

/// Calls cargo for all tests but those of the documentation, or for those of them that are chosen; `None` if none is.
fn programs(workspace: &Workspace, chosen: Option<&Chosen>) -> Option<Command> {
    let Some(chosen) = chosen else {
        let mut command = workspace.cargo(ALL);
        command.args(PROGRAMS);
        return Some(command);
    };
    let mut command = workspace.cargo(["test", "--all-features"]);
    command.args(chosen.programs()?);
    Some(command)
}

/// Calls cargo for the documentation tests, or for those of them that are chosen; `None` if none is.
fn docs(workspace: &Workspace, chosen: Option<&Chosen>) -> Option<Command> {
    let Some(chosen) = chosen else {
        let mut command = workspace.cargo(ALL);
        command.arg("--doc");
        return Some(command);
    };
    let mut command = workspace.cargo(["test", "--all-features"]);
    command.args(chosen.docs()?);
    Some(command)
}

/// Runs the simulation, if all tests are asked for.
fn simulate(workspace: &Workspace, options: &Options) -> Result<Done, Failure> {
    if options.filter.is_some() {
        return Ok(Done::LeftOut("it has no tests with names".to_owned()));
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    // Seeds above those that are always run.
    let fresh = 1_000_000_000 + since_epoch.map_or(0, |since| since.as_secs() % 1_000_000_000);
    sim::test(workspace, options.full, fresh).map(|()| Done::Passed)
}

/// Tries a sample of mutants, in the full run.
fn try_mutants(workspace: &Workspace, options: &Options) -> Result<Done, Failure> {
    if !options.full {
        return Ok(Done::LeftOut("a sample of them: --full".to_owned()));
    }
    mutants::run(workspace, &mutants::Options::default()).map(|()| Done::Passed)
}

/// Says which tests are run, and how much of them.
fn announce(options: &Options, chosen: Option<&Chosen>) {
    if options.full || env::var_os(FULL).is_some_and(|value| value == "1") {
        screen::line("The full run: long tests are run whole.");
    } else {
        screen::line(
            "The quick run: what takes long is left out, and named at the end; --full runs all of it.",
        );
    }
    if let Some(filter) = &options.filter {
        screen::line(format_args!("Only tests with `{filter}` in their name."));
        let left_out = chosen.map(Chosen::left_out).unwrap_or_default();
        if !left_out.is_empty() {
            screen::line(format_args!(
                "Not built, as nothing in their sources has that name: {left_out}."
            ));
        }
    }
}

/// Tells the tests how much to do, where to say what they left out, and what they are provided with.
fn prepared<'a>(
    command: &'a mut Command,
    options: &Options,
    left_out: &LeftOut,
    provided: &Provided,
) -> &'a mut Command {
    command.env(left_out::VARIABLE, left_out.file());
    provided.tell(command);
    if options.full {
        command.env(FULL, "1");
    }
    if let Some(filter) = &options.filter {
        // After `--`, so that a filter that looks like an option of cargo is none.
        command.args(["--", filter]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn call(options: &Options) -> String {
        call_with(options, &Provided::ready(None, None))
    }

    fn call_with(options: &Options, provided: &Provided) -> String {
        let name = format!("test-call-{}-{}", options.full, provided.stages().len());
        let scratch = Scratch::new(&name);
        let left_out = LeftOut::new(scratch.path()).expect("a fresh file");
        let mut command = Command::new("cargo");
        process::describe(prepared(&mut command, options, &left_out, provided))
    }

    fn names(provided: &Provided) -> Vec<&'static str> {
        let workspace = Workspace::find().expect("cargo test runs inside the workspace");
        let scratch = Scratch::new(&format!("test-names-{}", provided.stages().len()));
        let left_out = LeftOut::new(scratch.path()).expect("a fresh file");
        let options = Options::default();
        let stages = stages(&workspace, &options, None, &left_out, provided);
        stages.iter().map(Stage::name).collect()
    }

    #[test]
    fn what_tests_need_is_there_before_all_else_and_only_if_they_need_it() {
        let without = names(&Provided::ready(None, None));
        assert_eq!(without, ["build tests", "tests", SIMULATION, LAST, MUTANTS]);
        let with = names(&Provided::ready(Some("postgres://db"), Some("python3")));
        let all = [
            "postgres",
            "pgbouncer",
            "python",
            "build tests",
            "tests",
            SIMULATION,
            LAST,
            "Postgres 13",
            "Postgres 18",
            MUTANTS,
        ];
        assert_eq!(with, all);
    }

    #[test]
    fn the_tests_are_told_what_they_are_provided_with() {
        let options = Options::default();
        let without = call(&options);
        assert!(!without.contains("DURABLE_TEST_"), "{without}");
        let url = "postgres://postgres@127.0.0.1:1/postgres";
        let with = call_with(&options, &Provided::ready(Some(url), Some("/v/bin/python")));
        for told in [
            "DURABLE_TEST_PG_URL=postgres://postgres@127.0.0.1:1/postgres",
            "DURABLE_TEST_PG_BIN=/pg/bin",
            "DURABLE_TEST_PYTHON=/v/bin/python",
        ] {
            assert!(with.contains(told), "{with}");
        }
    }

    #[test]
    fn tests_are_told_where_to_say_what_they_leave_out() {
        let call = call(&Options::default());
        assert!(call.contains("DURABLE_LEFT_OUT="), "{call}");
        assert!(!call.contains("DURABLE_FULL"), "{call}");
    }

    #[test]
    fn the_full_run_and_the_filter_reach_the_tests() {
        let call = call(&Options {
            full: true,
            filter: Some("queue".to_owned()),
        });
        assert!(call.contains("DURABLE_FULL=1"), "{call}");
        assert!(call.ends_with("cargo -- queue"), "{call}");
    }
}
