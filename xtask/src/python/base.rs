//! The Python that the environment is made of: one that is installed, or that is installed now.

use std::path::Path;

use super::environment::python;
use crate::{apt, failure::Failure, process, screen};

/// What it may be called, best first. The first on `PATH` may be one without what it takes, unlike the system's.
const NAMES: [&str; 3] = ["python3", "python", "/usr/bin/python3"];

/// What it takes: the version that dbos asks for, environments, and a pip to put into them.
const SUITABLE: &str = "import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 10))";

/// What is installed where that can be done. A pip of its own is not needed: the environment gets one.
const PACKAGES: [&str; 1] = ["python3-venv"];

/// A Python of which an environment can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    program: &'static str,
}

impl Base {
    /// The installed one, or one that is installed now.
    ///
    /// Errors: there is none; then with how to get it.
    pub(super) fn find() -> Result<Self, Failure> {
        if let Some(base) = Self::among(is_suitable) {
            return Ok(base);
        }
        if apt::is_usable() {
            screen::line(format_args!(
                "No suitable Python is installed: installing {} by apt-get.",
                PACKAGES.join(" and ")
            ));
            apt::update();
            apt::install(&PACKAGES)
                .map_err(|failure| Failure::failed(format!("{failure}\n{}", missing())))?;
        }
        Self::among(is_suitable).ok_or_else(|| Failure::failed(missing()))
    }

    /// The best that is suitable.
    fn among(is_suitable: impl Fn(&str) -> bool) -> Option<Self> {
        let program = NAMES.into_iter().find(|name| is_suitable(name))?;
        Some(Self { program })
    }

    /// Makes an empty environment in this directory.
    pub(super) fn make_environment(&self, directory: &Path) -> Result<(), Failure> {
        let mut command = python(Path::new(self.program));
        process::run(command.args(["-m", "venv"]).arg(directory))
    }
}

/// Whether an environment can be made of it.
fn is_suitable(program: &str) -> bool {
    process::answers(python(Path::new(program)).args(["-c", SUITABLE]))
}

/// What is missing, what for, and how to get it.
fn missing() -> String {
    format!(
        "Python 3.10 or newer with its modules venv and ensurepip is missing: tests compare with the Python package dbos
  Debian, Ubuntu: sudo apt-get install python3-venv
  Fedora:         sudo dnf install python3
  Alpine:         sudo apk add python3
  macOS:          brew install python
  or name an interpreter that has dbos and psycopg: {}=/path/to/python cargo xtask test",
        super::VARIABLE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_suitable_is_taken() {
        let with = |suitable: &'static [&str]| {
            Base::among(|name| suitable.contains(&name)).map(|base| base.program)
        };
        assert_eq!(with(&["/usr/bin/python3", "python3"]), Some("python3"));
        assert_eq!(with(&["/usr/bin/python3"]), Some("/usr/bin/python3"));
        assert_eq!(with(&[]), None);
        assert!(!is_suitable("no-such-python"));
    }

    #[test]
    fn what_is_missing_is_named_with_every_way_to_get_it() {
        let text = missing();
        for way in [
            "3.10",
            "apt-get install python3-venv",
            "DURABLE_TEST_PYTHON=",
        ] {
            assert!(text.contains(way), "{text}");
        }
    }
}
