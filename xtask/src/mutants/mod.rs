//! `cargo xtask mutants`: a sample of mutants of the code that decides, each of which a test must
//! catch.
//!
//! Contents:
//!
//! - here: what is mutated, which tests have to catch it, and the run
//! - [`tree`]: the copy of the workspace that is mutated
//! - [`accepted`]: the mutants that may survive, with the reasons, and the comparison with them

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{failure::Failure, files, process, screen, workspace::Workspace};

mod accepted;
mod tree;

use accepted::{Mutant, Verdict};

/// The version of cargo-mutants that is installed and used: another one makes other mutants.
const VERSION: &str = "27.1.0";

/// The code that is mutated: the state machine, the operations of a workflow, and the in-memory
/// model.
const MUTATED: [&str; 3] = [
    "durable-core/src/state/**",
    "durable-core/src/ctx/**",
    "durable-testkit/src/memory/**",
];

/// Left out of it: transactional steps, whose tests need a server and all drivers.
const NOT_MUTATED: [&str; 2] = [
    "durable-core/src/ctx/transaction.rs",
    "durable-core/src/ctx/transaction/**",
];

/// Results that cannot be made of nothing: such mutants do not compile, which takes its time too.
const NOT_MADE: &str = r"with (BoxFuture|ChildCall|ChildStart|MutexGuard|Operation|Poll)::";

/// Guards that are `false` anyway, as the tests plant no bug.
const NOT_PLANTED: &str = r"match guard Bug::\w+\.is_planted\(\) with false";

/// The tests that have to catch a mutant, as cargo is told: those that need no server.
const TESTS: [&str; 10] = [
    "--package=durable-core",
    "--package=durable-testkit",
    "--package=durable",
    "--lib",
    "--test=memory",
    "--test=testing",
    "--test=world",
    "--test=engine",
    "--test=replay",
    "--test=check",
];

/// The part of the mutants that `cargo xtask test --full` tries.
pub(crate) const SAMPLE: &str = "0/40";

/// The list of mutants that may survive.
const LIST: &str = "xtask/src/mutants/accepted.txt";

/// The options of `cargo xtask mutants`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The part of the mutants to try, as K/N; [`SAMPLE`] if not given.
    pub(crate) shard: Option<String>,
    /// Only mutants of files that this glob matches.
    pub(crate) files: Option<String>,
}

/// Tries the mutants of the sample, and compares those that survive with the list.
///
/// Errors: a mutant survives that is not listed; the tests fail without any mutation.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let place = workspace.target().join("mutants");
    let _lock = files::lock(&place, "mutants")?;
    let tree = place.join("tree");
    tree::copy(workspace.root(), workspace.target(), &tree)?;
    let accepted = accepted::read(&tree.join(LIST))?;
    let program = installed(workspace)?;

    let mut list = of_the_code(&program, &tree, None);
    let all = mutants(&process::capture(list.arg("--list"))?, &tree)?;
    for entry in accepted.iter().filter(|entry| !entry.is_of_any(&all)) {
        screen::line(format_args!("Listed, but no mutant any more: {entry}"));
    }

    let mut sample = call(&program, &tree, &place, options);
    // What other commands have compiled below it is used.
    try_them(sample.env("CARGO_TARGET_DIR", workspace.target()))?;
    let outcomes = place.join("mutants.out");
    let found = |name: &str| {
        let path = outcomes.join(name);
        let text = fs::read_to_string(&path).map_err(|error| files::cannot("read", &path, &error));
        mutants(&text?, &tree)
    };
    let (caught, missed) = (found("caught.txt")?, found("missed.txt")?);
    let (late, unviable) = (found("timeout.txt")?, found("unviable.txt")?);
    screen::line(format_args!(
        "{} mutants, {} of them tried: {} caught, {} caught by a timeout, {} survived, {} do not \
         compile",
        all.len(),
        caught.len() + missed.len() + late.len() + unviable.len(),
        caught.len(),
        late.len(),
        missed.len(),
        unviable.len(),
    ));
    settle(accepted::compare(
        &accepted,
        &missed,
        &[caught, late].concat(),
    ))
}

/// Shows what is listed without need.
///
/// Errors: naming the mutants that survived and are not listed.
fn settle(verdict: Verdict<'_>) -> Result<(), Failure> {
    for entry in verdict.caught {
        screen::line(format_args!("Listed, but caught now: {entry}"));
    }
    if verdict.survivors.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = verdict
        .survivors
        .iter()
        .map(|mutant| format!("{mutant}\n    {}", mutant.source()))
        .collect();
    Err(Failure::failed(format!(
        "no test catches these mutants; write one that does, or list them with the reason in \
         {LIST}:\n{}",
        names.join("\n")
    )))
}

/// Calls cargo-mutants for the code that is mutated, or for the part of it that the glob matches.
fn of_the_code(program: &Path, tree: &Path, files: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.args(["mutants", "--no-config", "--dir"]).arg(tree);
    for glob in files.as_slice() {
        command.args(["--file", glob]);
    }
    if files.is_none() {
        command.args(MUTATED.iter().flat_map(|glob| ["--file", glob]));
    }
    command.args(NOT_MUTATED.iter().flat_map(|glob| ["--exclude", glob]));
    command.args(["--exclude-re", NOT_MADE, "--exclude-re", NOT_PLANTED]);
    command
}

/// Calls cargo-mutants for the sample. The tree is a copy, so it is mutated in place.
fn call(program: &Path, tree: &Path, output: &Path, options: &Options) -> Command {
    let mut command = of_the_code(program, tree, options.files.as_deref());
    command.args(["--in-place", "--output"]).arg(output);
    let shard = options.shard.as_deref().unwrap_or(SAMPLE);
    command.args(["--no-shuffle", "--sharding=round-robin", "--shard", shard]);
    // A test that waits for what the mutant does not do waits for up to 20 s, so most of a timeout
    // is for nothing.
    command.args(["--timeout-multiplier=3", "--minimum-test-timeout=60"]);
    // Not by options of cargo-mutants: by those the tests without any mutation would be others.
    command.args(TESTS.map(|tests| format!("--cargo-arg={tests}")));
    command
}

/// Runs cargo-mutants. Errors: it did not come to outcomes.
fn try_them(command: &mut Command) -> Result<(), Failure> {
    /// Some mutants were missed, or timed out.
    const OUTCOMES: [i32; 3] = [0, 2, 3];
    let call = process::describe(command);
    screen::line(format_args!("$ {call}"));
    let status = command
        .status()
        .map_err(|error| Failure::failed(format!("cannot start `{call}`: {error}")))?;
    if status.code().is_some_and(|code| OUTCOMES.contains(&code)) {
        return Ok(());
    }
    Err(Failure::failed(format!("`{call}` failed ({status})")))
}

/// The program of cargo-mutants below the target directory, installed if it is not there in this
/// version.
fn installed(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let root = workspace.target().join("tools");
    let program = root.join("bin/cargo-mutants");
    let version = process::capture(Command::new(&program).args(["mutants", "--version"]));
    if version.is_ok_and(|said| said.trim().ends_with(VERSION)) {
        return Ok(program);
    }
    // Hardly any of its time is its own, so it is compiled the quicker way.
    let mut command = workspace.cargo(["install", "--locked", "--debug", "--force", "--root"]);
    command.arg(&root).arg(format!("cargo-mutants@{VERSION}"));
    process::run(&mut command)?;
    Ok(program)
}

/// The mutants that cargo-mutants names, with the lines of the tree that they are in.
fn mutants(text: &str, tree: &Path) -> Result<Vec<Mutant>, Failure> {
    let mut source = |file: &str, line: usize| -> io::Result<String> {
        let text = fs::read_to_string(tree.join(file))?;
        let line = text.lines().nth(line.saturating_sub(1));
        Ok(line.unwrap_or_default().trim().to_owned())
    };
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| Mutant::parse(line, &mut source))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_list_can_be_read_and_is_of_the_code_that_is_mutated() {
        let workspace = Workspace::find().expect("cargo test runs inside the workspace");
        let accepted = accepted::read(&workspace.root().join(LIST)).expect("the list is whole");
        for entry in accepted {
            let shown = entry.to_string();
            assert!(
                MUTATED
                    .iter()
                    .any(|glob| shown.starts_with(glob.trim_end_matches("**"))),
                "{shown}"
            );
        }
    }

    #[test]
    fn the_call_names_the_sample_the_code_and_the_tests() {
        let place = Path::new("/m");
        let default = call(
            Path::new("cargo-mutants"),
            place,
            place,
            &Options::default(),
        );
        let default = process::describe(&default);
        for word in [
            "--shard 0/40",
            "durable-core/src/state/**",
            "durable-testkit/src/memory/**",
            "--cargo-arg=--test=memory",
        ] {
            assert!(default.contains(word), "{default}");
        }
        let options = Options {
            shard: Some("3/9".to_owned()),
            files: Some("durable-core/src/state/retry.rs".to_owned()),
        };
        let chosen = process::describe(&call(Path::new("cargo-mutants"), place, place, &options));
        assert!(chosen.contains("--shard 3/9"), "{chosen}");
        assert!(
            chosen.contains("--file durable-core/src/state/retry.rs"),
            "{chosen}"
        );
        assert!(!chosen.contains("memory/**"), "{chosen}");
    }

    #[test]
    fn a_mutant_is_known_by_the_line_that_it_is_in() {
        let scratch = Scratch::new("mutants-source");
        scratch.file("a.rs", "fn f() {\n    x - y\n}\n");
        let text = "a.rs:2:7: replace - with + in f\n\n";
        let found = mutants(text, scratch.path()).expect("the file is there");
        let sources: Vec<_> = found.iter().map(Mutant::source).collect();
        assert_eq!(sources, ["x - y"]);
        assert!(mutants("b.rs:1:1: replace f with ()", scratch.path()).is_err());
    }

    #[test]
    fn a_survivor_that_is_not_listed_fails_and_is_named_with_its_line() {
        let mut source = |_: &str, _| Ok("x - y".to_owned());
        let mutant = Mutant::parse("a.rs:2:7: replace - with + in f", &mut source);
        let missed = [mutant.expect("it is whole")];
        let Err(failure) = settle(accepted::compare(&[], &missed, &[])) else {
            panic!("it survived");
        };
        let said = failure.to_string();
        assert!(
            said.contains("a.rs:2:7") && said.contains("x - y"),
            "{said}"
        );
        assert_eq!(settle(accepted::compare(&[], &[], &missed)), Ok(()));
    }
}
