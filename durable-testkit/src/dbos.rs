//! The real package `dbos` for Python, to see that it and a backend read the same tables the same way.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// The environment variable that names an interpreter which finds the package.
pub const VARIABLE: &str = "DURABLE_TEST_PYTHON";

/// A Python interpreter that finds the package.
#[derive(Clone, Debug)]
pub struct Dbos {
    interpreter: PathBuf,
}

impl Dbos {
    /// The one that [`VARIABLE`] names.
    ///
    /// Panics if it is not set: a test that compares with the package has passed only if it did so.
    #[allow(clippy::new_without_default, reason = "no default is worth a panic")]
    pub fn new() -> Self {
        let interpreter = env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let interpreter = interpreter.unwrap_or_else(|| {
            panic!("run `cargo xtask test`, or set {VARIABLE} to a Python that finds dbos 3.4.0")
        });
        Self {
            interpreter: interpreter.into(),
        }
    }

    /// What `dbos` with these arguments prints, as a person would type them: `["workflow", "list", "--sys-db-url", url]`.
    ///
    /// Panics with what it said if it fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        self.output(&["-m", "dbos.cli.cli"], arguments)
    }

    /// What a script prints, to which these arguments are given.
    ///
    /// Panics with what it said if it fails.
    pub fn script(&self, script: &str, arguments: &[&str]) -> String {
        self.output(&["-c", script], arguments)
    }

    /// Starts a script to which these arguments are given; its standard input and output are the caller's.
    pub fn spawn(&self, script: &str, arguments: &[&str]) -> Child {
        self.command(&["-c", script], arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}", self.does_not_start(&error)))
    }

    fn command(&self, program: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.interpreter);
        command
            .args(program)
            .args(arguments)
            // What the interpreter sees is what was installed for it.
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME")
            .env_remove("DBOS_SYSTEM_DATABASE_URL");
        command
    }

    fn does_not_start(&self, error: &std::io::Error) -> String {
        format!(
            "{VARIABLE} names {}, which does not start: {error}",
            self.interpreter.display()
        )
    }

    fn output(&self, program: &[&str], arguments: &[&str]) -> String {
        let output = self
            .command(program, arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}", self.does_not_start(&error)));
        assert!(
            output.status.success(),
            "{arguments:?} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("Python prints UTF-8")
    }
}
