//! The pooler in front of which tests run: PgBouncer.

use std::{cell::OnceCell, env, path::PathBuf};

use crate::{apt, failure::Failure, screen};

/// The environment variable that names it to the tests.
pub(crate) const VARIABLE: &str = "DURABLE_TEST_PGBOUNCER";

/// Its program, and its package.
const PROGRAM: &str = "pgbouncer";

/// Where packages put it, which is not on everybody's PATH.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];

/// The pooler of a run of the tests.
#[derive(Debug, Default)]
pub(crate) struct TestPooler {
    program: OnceCell<PathBuf>,
}

impl TestPooler {
    /// Has it there. Errors: it is not installed, and cannot be by us.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        let program = match find() {
            Some(program) => program,
            None => {
                install()?;
                find().ok_or_else(missing)?
            }
        };
        screen::line(format_args!("Using {}", program.display()));
        // It was empty, or holds the same.
        let _ = self.program.set(program);
        Ok(())
    }

    /// Its program, once it is there.
    pub(crate) fn program(&self) -> Option<&PathBuf> {
        self.program.get()
    }
}

fn find() -> Option<PathBuf> {
    if let Some(given) = env::var_os(VARIABLE) {
        return Some(given.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|directory| directory.join(PROGRAM))
        .find(|program| program.is_file())
}

fn install() -> Result<(), Failure> {
    if !apt::is_usable() {
        return Err(missing());
    }
    screen::line(format_args!("Installing {PROGRAM} by apt-get."));
    apt::update();
    apt::install(&[PROGRAM])
}

fn missing() -> Failure {
    Failure::failed(format!(
        "no {PROGRAM} was found, in front of which tests run: install it (sudo apt-get install {PROGRAM}, brew install {PROGRAM}), or name \
         its program by {VARIABLE}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_the_ways_to_have_it() {
        let said = missing().to_string();
        assert!(
            said.contains("apt-get install pgbouncer") && said.contains(VARIABLE),
            "{said}"
        );
    }
}
