//! Stops the server of a run of the tests when that run has ended, in whatever way.
//!
//! A run that is interrupted or killed cannot do so itself. So it starts this program a second time, in a process group
//! of its own that Ctrl-C does not reach. That second process, the guard, waits for the end of its stdin, which comes
//! with the end of the run; and it stops the server then, unless another run still uses it.

use std::{
    env,
    fs::TryLockError,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    files::{self, cannot},
    home::{self, Home},
};
use crate::{failure::Failure, screen};

/// The file that each guard has locked with others while its run lasts, and alone while it stops servers.
const USERS: &str = "users";

/// What a guard says when the server is safe from the guards of other runs.
const READY: &str = "ready";

/// What the guard does: says that it is ready, waits for the end of its stdin, and stops what nobody uses any more.
pub(super) fn run(state: &Path) -> Result<(), Failure> {
    files::make_directory(state)?;
    let path = state.join(USERS);
    let users = files::open_lock(&path)?;
    let failed = |error: io::Error| cannot("lock", &path, &error);
    users.lock_shared().map_err(failed)?;
    // A run that has ended before this is told by the end of stdin too.
    let _ = writeln!(io::stdout(), "{READY}");
    let _ = io::stdin().read_to_end(&mut Vec::new());
    users.unlock().map_err(failed)?;
    match users.try_lock() {
        Ok(()) => retire(state),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Stops all servers that were started for tests.
fn retire(state: &Path) -> Result<(), Failure> {
    let _lock = home::lock(state)?;
    let home = Home::known(state);
    home.remove_remains();
    for cluster in home.clusters() {
        if cluster.retire()? {
            screen::line(format_args!(
                "Postgres {}: stopped, as it was started for the tests only",
                cluster.name()
            ));
        }
    }
    home.leave_if_empty(state)
}

/// The guard of this process.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
}

impl Guard {
    /// Starts it, and waits until no guard of another run stops the server any more.
    pub(super) fn start() -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format!(
                "cannot start the process that stops Postgres after the tests: {error}"
            ))
        };
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command
            .args(["pg", "guard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut guard = Self {
            process: command.spawn().map_err(failed)?,
        };
        let mut said = String::new();
        if let Some(stdout) = guard.process.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut said)
                .map_err(failed)?;
        }
        if said.trim() == READY {
            Ok(guard)
        } else {
            Err(failed(io::Error::other("it has ended at once")))
        }
    }
}

impl Drop for Guard {
    /// Lets it stop the server, and waits until that is done.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It has said itself what went wrong, if something did.
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn only_what_was_made_for_tests_is_removed_after_them() {
        let scratch = Scratch::new("pg-guard");
        scratch.file("14/data/PG_VERSION", "14");
        scratch.file("15/passing", "made");
        scratch.file("16-npm/passing", "started");
        retire(scratch.path()).expect("nothing runs");
        let left: Vec<String> = Home::known(scratch.path())
            .clusters()
            .iter()
            .map(|cluster| cluster.name().to_string())
            .collect();
        assert_eq!(left, ["14", "16-npm"]);
        assert!(!scratch.path().join("16-npm/passing").exists());
    }
}
