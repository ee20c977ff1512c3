//! The Python environment of the tests, which holds the real package `dbos` for them to compare with.
//!
//! What lives where:
//!
//! - here: which interpreter the tests get
//! - [`environment`]: the environment below `target`, made once
//! - [`base`]: the Python that it is made of

use std::{
    cell::OnceCell,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{failure::Failure, screen, workspace::Workspace};

mod base;
mod environment;

use environment::Environment;

/// The environment variable that gives the tests the interpreter.
pub(crate) const VARIABLE: &str = "DURABLE_TEST_PYTHON";

/// The packages whose tests call Python.
const PACKAGES: [&str; 4] = [
    "durable",
    "durable-sqlite",
    "durable-pg-sqlx",
    "durable-pg-diesel",
];

/// The Python environment of a run of the tests.
#[derive(Debug)]
pub(crate) struct TestPython {
    state: PathBuf,
    needed: bool,
    interpreter: OnceCell<PathBuf>,
}

impl TestPython {
    /// One that is not looked for yet, and will not be if no package of the workspace needs it.
    pub(crate) fn new(workspace: &Workspace) -> Result<Self, Failure> {
        let packages = workspace.packages()?;
        Ok(Self {
            state: workspace.target().join("python"),
            needed: is_needed(&packages),
            interpreter: OnceCell::new(),
        })
    }

    /// Whether there are tests that need it.
    pub(crate) fn is_needed(&self) -> bool {
        self.needed
    }

    /// Has it there.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        if self.interpreter.get().is_some() {
            return Ok(());
        }
        let interpreter = match given(env::var_os(VARIABLE)) {
            Some(interpreter) => named(interpreter)?,
            None => Environment::below(&self.state).make()?,
        };
        // It was empty above, and nobody else fills it.
        let _ = self.interpreter.set(interpreter);
        Ok(())
    }

    /// The interpreter, once the environment is there.
    pub(crate) fn interpreter(&self) -> Option<&Path> {
        self.interpreter.get().map(PathBuf::as_path)
    }

    /// One that is there already, for tests of what is told about it.
    #[cfg(test)]
    pub(crate) fn at(interpreter: Option<&str>) -> Self {
        let ready = OnceCell::new();
        if let Some(interpreter) = interpreter {
            let _ = ready.set(PathBuf::from(interpreter));
        }
        Self {
            state: PathBuf::new(),
            needed: interpreter.is_some(),
            interpreter: ready,
        }
    }
}

/// The interpreter that the variable names, if it names one.
fn given(value: Option<OsString>) -> Option<PathBuf> {
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// An interpreter of somebody else's, used as it is.
///
/// Errors: it does not find the packages.
fn named(interpreter: PathBuf) -> Result<PathBuf, Failure> {
    if !environment::has_packages(&interpreter) {
        return Err(Failure::failed(format!(
            "{VARIABLE} names {}, which does not find dbos {} and psycopg: install them there, or unset {VARIABLE}",
            interpreter.display(),
            environment::DBOS
        )));
    }
    screen::line(format_args!("Using the interpreter that {VARIABLE} names."));
    Ok(interpreter)
}

/// Whether one of these packages has tests that call Python.
fn is_needed(packages: &[String]) -> bool {
    packages
        .iter()
        .any(|name| PACKAGES.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_is_needed_only_by_the_packages_that_are_compared_with_it() {
        let with = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            is_needed(&names)
        };
        assert!(with(&["durable", "durable-sqlite"]));
        assert!(with(&["durable-pg-sqlx"]));
        assert!(!with(&["durable-core", "durable-pg", "xtask"]));
    }

    #[test]
    fn an_interpreter_without_the_packages_is_refused_and_one_that_is_not_named_is_none() {
        assert_eq!(given(None), None);
        assert_eq!(given(Some(OsString::new())), None);
        let python = given(Some("no-such-python".into())).expect("it is named");
        let text = named(python).expect_err("it is not there").to_string();
        for word in ["no-such-python", VARIABLE, "dbos 3.4.0"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
