//! `cargo xtask ci`: everything that must hold before a change is merged, cheapest first.

use crate::{
    failure::Failure,
    left_out::LeftOut,
    lengths, process,
    provided::Provided,
    readme,
    stages::{self, Done, Stage},
    test,
    tools::{self, Tool},
    workspace::Workspace,
};

/// What `ci` was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Leave out the stages that `cargo xtask test` runs, because it is run beside this.
    pub(crate) skip_tests: bool,
}

/// Runs all stages up to the first that fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    tools::require(&[Tool::CCompiler, Tool::Rustfmt, Tool::Clippy, Tool::Shell])?;
    let left_out = LeftOut::new(workspace.target())?;
    let quick = test::Options::default();
    let provided = Provided::new(workspace)?;

    let mut stages = checks(workspace);
    if !options.skip_tests {
        stages.extend(test::stages(workspace, &quick, None, &left_out, &provided));
    }
    stages.push(Stage::new("README", move || readme::run(workspace)));

    let report = stages::run(stages);
    drop(provided);
    left_out.show(report.passed(test::LAST))?;
    report.show();
    report.verdict("ci")
}

/// The stages that run nothing of what they check.
fn checks(workspace: &Workspace) -> Vec<Stage<'_>> {
    let cargo =
        move |arguments: &[&str]| process::run(&mut workspace.cargo(arguments.iter().copied()));
    vec![
        Stage::new("format", move || cargo(&["fmt", "--all", "--check"])),
        Stage::new("file lengths", move || {
            lengths::check(workspace.root(), workspace.target())
        }),
        Stage::optional("dependencies", move || dependencies(workspace)),
        Stage::new("lints", move || {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ])
        }),
        Stage::new("docs", move || {
            let mut command =
                workspace.cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
            process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
        }),
        Stage::new("engine alone", move || {
            cargo(&["check", "--package", "durable", "--no-default-features"])
        }),
    ]
}

/// Licences, banned crates and sources of all dependencies, by the rules of `deny.toml`.
fn dependencies(workspace: &Workspace) -> Result<Done, Failure> {
    if !tools::cargo_has("deny") {
        return Ok(Done::LeftOut(
            "cargo-deny is not installed; to get it: cargo install --locked cargo-deny".to_owned(),
        ));
    }
    let mut command = workspace.cargo([
        "deny",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]);
    process::run(&mut command).map(|()| Done::Passed)
}
