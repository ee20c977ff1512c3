//! The programs that the commands call, looked for up front: a missing one is named with how to get it, before minutes
//! of compiling end in a linker's message.

use std::{env, ffi::OsString, process::Command};

use crate::{failure::Failure, process, workspace};

/// A program that a command cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Compiles the `SQLite` that is built in.
    CCompiler,
    /// Formats.
    Rustfmt,
    /// Lints.
    Clippy,
    /// Runs the README's commands.
    Shell,
}

impl Tool {
    /// Whether it is there.
    fn is_there(self) -> bool {
        match self {
            Self::CCompiler => c_compiler_is_there(),
            Self::Rustfmt => cargo_has("fmt"),
            Self::Clippy => cargo_has("clippy"),
            Self::Shell => process::answers(Command::new("sh").args(["-c", "exit 0"])),
        }
    }

    /// What is missing, what for, and how to get it.
    fn missing(self) -> &'static str {
        match self {
            Self::CCompiler => {
                "a C compiler is missing (`cc`, or what CC names): the SQLite inside durable-sqlite is compiled from C
  Debian, Ubuntu: sudo apt-get install gcc
  Fedora:         sudo dnf install gcc
  Alpine:         sudo apk add gcc musl-dev
  macOS:          xcode-select --install"
            }
            Self::Rustfmt => "rustfmt is missing: rustup component add rustfmt",
            Self::Clippy => "clippy is missing: rustup component add clippy",
            Self::Shell => "`sh` is missing: the README's commands are run by it",
        }
    }
}

/// Checks that all of them are there.
///
/// Errors: naming all that are not, with how to get them.
pub(crate) fn require(tools: &[Tool]) -> Result<(), Failure> {
    let missing: Vec<&str> = tools
        .iter()
        .filter(|tool| !tool.is_there())
        .map(|tool| tool.missing())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failure::failed(missing.join("\n")))
    }
}

/// Whether cargo has this subcommand.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    process::answers(Command::new(workspace::cargo()).args([subcommand, "--version"]))
}

/// Whether a C compiler answers, as build scripts would look for one.
fn c_compiler_is_there() -> bool {
    // On Windows build scripts find the compiler in the registry. A variable for one target is not second-guessed.
    let special = |(name, _): (OsString, OsString)| {
        name.to_str()
            .is_some_and(|name| name.starts_with("CC_") || name == "HOST_CC" || name == "TARGET_CC")
    };
    if cfg!(windows) || env::vars_os().any(special) {
        return true;
    }
    let named = env::var("CC").unwrap_or_default();
    // CC may hold a wrapper and options, as in "ccache gcc".
    let mut words = named.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("cc"));
    process::answers(command.args(words).arg("--version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subcommand_that_is_not_there_is_seen_to_be_missing() {
        assert!(!cargo_has("no-such-subcommand"));
    }

    #[test]
    fn every_missing_tool_is_named_with_what_to_do() {
        let all = [Tool::CCompiler, Tool::Rustfmt, Tool::Clippy, Tool::Shell];
        for tool in all {
            assert!(tool.missing().contains("missing"), "{tool:?}");
        }
        assert!(Tool::CCompiler.missing().contains("apt-get install gcc"));
    }
}
