//! The environment below `target`: made once, and again if it is not what is wanted now.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::base::Base;
use crate::{
    failure::Failure,
    files::{self, cannot},
    process, screen,
};

/// The version of the package that the tests compare with.
pub(super) const DBOS: &str = "3.4.0";

/// What is installed.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The file that is written last, with the requirements that were met.
const STAMP: &str = "durable-requirements.txt";

/// An environment, made or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Environment {
    state: PathBuf,
    directory: PathBuf,
}

impl Environment {
    /// The one that stands below this directory.
    pub(super) fn below(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            directory: state.join(format!("dbos-{DBOS}")),
        }
    }

    /// Its interpreter, after making it if it is not there whole.
    pub(super) fn make(&self) -> Result<PathBuf, Failure> {
        let _lock = files::lock(&self.state, "the Python environment")?;
        files::remove_remains(&self.state);
        let interpreter = self.interpreter();
        if self.is_stamped() && has_packages(&interpreter) {
            return Ok(interpreter);
        }
        let base = Base::find()?;
        if self.directory.exists() {
            screen::line(
                "The Python environment is not whole, or of other packages: making it anew.",
            );
            files::remove_directory(&self.directory)?;
        }
        base.make_environment(&self.directory)?;
        self.install()?;
        if !has_packages(&interpreter) {
            return Err(Failure::failed(format!(
                "pip has installed dbos {DBOS} in {}, but its interpreter does not find it; remove that directory and call \
                 this again",
                self.directory.display()
            )));
        }
        files::write(&self.directory.join(STAMP), REQUIREMENTS)?;
        Ok(interpreter)
    }

    /// Whether what is wanted now was installed to the end.
    fn is_stamped(&self) -> bool {
        fs::read_to_string(self.directory.join(STAMP)).is_ok_and(|text| text == REQUIREMENTS)
    }

    /// Where its interpreter is.
    fn interpreter(&self) -> PathBuf {
        let programs = if cfg!(windows) { "Scripts" } else { "bin" };
        let name = format!("python{}", std::env::consts::EXE_SUFFIX);
        self.directory.join(programs).join(name)
    }

    /// Installs the packages by pip, as the caller has set it up.
    fn install(&self) -> Result<(), Failure> {
        screen::line(format_args!(
            "Installing dbos {DBOS} and psycopg by pip, once: some 25 MB."
        ));
        let list = self.directory.join("requirements.txt");
        fs::write(&list, REQUIREMENTS).map_err(|error| cannot("write", &list, &error))?;
        let mut command = python(&self.interpreter());
        command
            .args(["-m", "pip", "install", "--no-input", "--quiet"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&list);
        process::run(&mut command).map_err(|failure| {
            Failure::failed(format!(
                "{failure}
dbos {DBOS} could not be installed by pip; what pip said stands above. If packages come from a mirror or through a proxy here, tell
pip so (`pip config`), or name an interpreter that has dbos {DBOS} and psycopg: {}=/path/to/python cargo xtask test",
                super::VARIABLE
            ))
        })
    }
}

/// Whether the interpreter runs, and finds the packages. They are not imported, as that takes a while.
pub(super) fn has_packages(interpreter: &Path) -> bool {
    let script = format!(
        "import importlib.metadata as m, sys; m.version('psycopg'); sys.exit(m.version('dbos') != '{DBOS}')"
    );
    process::answers(python(interpreter).args(["-c", &script]))
}

/// A call of the interpreter that sees no modules but its own.
pub(super) fn python(interpreter: &Path) -> Command {
    let mut command = Command::new(interpreter);
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_requirements_pin_every_package() {
        let packages: Vec<&str> = REQUIREMENTS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert_eq!(packages[0], format!("dbos=={DBOS}"));
        for line in &packages {
            assert!(line.contains("=="), "{line}");
        }
    }

    #[test]
    fn an_environment_counts_only_when_it_was_made_to_its_end_for_these_requirements() {
        let scratch = Scratch::new("python-stamp");
        let environment = Environment::below(scratch.path());
        assert!(!environment.is_stamped());
        let stamp = format!("dbos-{DBOS}/{STAMP}");
        scratch.file(&stamp, "dbos==3.3.0\n");
        assert!(!environment.is_stamped());
        scratch.file(&stamp, REQUIREMENTS);
        assert!(environment.is_stamped());
    }

    #[test]
    fn an_interpreter_that_is_gone_or_broken_has_no_packages() {
        let scratch = Scratch::new("python-broken");
        let interpreter = Environment::below(scratch.path()).interpreter();
        assert!(interpreter.starts_with(scratch.path()));
        assert!(!has_packages(&interpreter));
    }

    #[test]
    fn the_callers_modules_are_not_seen() {
        let command = python(Path::new("python3"));
        for name in ["PYTHONPATH", "PYTHONHOME"] {
            let removed = command
                .get_envs()
                .any(|(other, value)| other == name && value.is_none());
            assert!(removed, "{name}");
        }
    }
}
