//! `cargo xtask bench`: has the benchmarks built and run, and sees to their server and to the library that they compare with.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{failure::Failure, pg::for_tests::TestServer, process, screen, workspace::Workspace};

/// The environment variable that gives the benchmarks the server's URL.
const VARIABLE: &str = "DATABASE_URL";

/// The package that runs the load on the other library; it is a workspace of its own.
const PEER: &str = "durable-bench-peer";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Workflows started directly, beside the other library if that is wanted.
    Inline { peer: bool },
    /// The write lane alone, and the engine beside it.
    Raw,
}

/// What `bench` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What is measured.
    pub(crate) what: What,
    /// Options that the benchmarks know, such as `--seconds`, each with its number.
    pub(crate) numbers: Vec<(&'static str, u32)>,
}

/// Builds and runs the benchmarks.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let peer = match options.what {
        What::Inline { peer: true } => Some(peer(workspace)?),
        What::Inline { peer: false } | What::Raw => None,
    };
    process::run(&mut workspace.cargo(["build", "--release", "--package", "durable-bench"]))?;
    let server = TestServer::new(workspace)?;
    server.start()?;
    let mut command = call(workspace, options, peer.as_deref());
    if let Some(url) = server.url() {
        command.env(VARIABLE, url);
    }
    process::run(&mut command)
}

/// Has the other library's program built, and gives its path.
fn peer(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let target = workspace.target().join("bench-peer");
    screen::line("Building the library that it is compared with, if it is not built yet …");
    let mut command = workspace.cargo(["build", "--release", "--locked"]);
    command
        .args(["--manifest-path", "bench/peer/Cargo.toml", "--target-dir"])
        .arg(&target);
    process::run(&mut command)?;
    Ok(target.join("release").join(PEER))
}

/// The call of the benchmarks.
fn call(workspace: &Workspace, options: &Options, peer: Option<&Path>) -> Command {
    let mut command =
        workspace.cargo(["run", "--quiet", "--release", "--package", "durable-bench"]);
    command.arg("--").arg(match options.what {
        What::Inline { .. } => "inline",
        What::Raw => "raw",
    });
    if let Some(peer) = peer {
        command.args([OsStr::new("--peer"), peer.as_os_str()]);
    }
    for (name, number) in &options.numbers {
        command.arg(format!("--{name}={number}"));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmarks_are_told_what_they_were_asked_for() {
        let workspace = Workspace::find().expect("cargo test runs inside the workspace");
        let shown = |options: &Options, peer: Option<&str>| {
            process::describe(&call(&workspace, options, peer.map(Path::new)))
        };
        let common = "cargo run --quiet --release --package durable-bench --";
        let raw = Options {
            what: What::Raw,
            numbers: vec![("rounds", 3), ("seconds", 2)],
        };
        assert_eq!(
            shown(&raw, None),
            format!("{common} raw --rounds=3 --seconds=2")
        );
        let inline = Options {
            what: What::Inline { peer: true },
            numbers: Vec::new(),
        };
        assert_eq!(
            shown(&inline, Some("other")),
            format!("{common} inline --peer other")
        );
    }
}
