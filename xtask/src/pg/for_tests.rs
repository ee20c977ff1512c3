//! The server of a run of the tests.

use std::{
    cell::{OnceCell, RefCell},
    env,
    path::{Path, PathBuf},
};

use super::{
    Major, VARIABLE, Wanted, binaries, cluster::Lifetime, guard::Guard, state, up, wanted,
};
use crate::{failure::Failure, screen, workspace::Workspace};

/// The packages whose tests need a server.
const PACKAGES: [&str; 2] = ["durable-pg-sqlx", "durable-pg-diesel"];

/// The environment variable that gives the tests the server's URL.
pub(crate) const TEST_VARIABLE: &str = "DURABLE_TEST_PG_URL";

/// The environment variable that names the directory of a server's programs to the tests, for those that run servers of their own.
pub(crate) const BINARIES: &str = "DURABLE_TEST_PG_BIN";

/// The server of a run of the tests. If it was started for that run, it is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct TestServer {
    state: PathBuf,
    needed: bool,
    ready: OnceCell<Ready>,
    /// Stop further servers when they are dropped.
    guards: RefCell<Vec<Guard>>,
}

/// A server that takes connections.
#[derive(Debug)]
struct Ready {
    url: String,
    /// The directory of the installed server's programs.
    binaries: PathBuf,
    // Stops the server when it is dropped.
    _guard: Option<Guard>,
}

impl TestServer {
    /// A server that is not started yet, and will not be if no package of the workspace needs one.
    pub(crate) fn new(workspace: &Workspace) -> Result<Self, Failure> {
        let packages = workspace.packages()?;
        Ok(Self {
            state: state(workspace),
            needed: is_needed(&packages),
            ready: OnceCell::new(),
            guards: RefCell::default(),
        })
    }

    /// Whether there are tests that need it.
    pub(crate) fn is_needed(&self) -> bool {
        self.needed
    }

    /// Has it run.
    pub(crate) fn start(&self) -> Result<(), Failure> {
        if self.ready.get().is_some() {
            return Ok(());
        }
        let ready = match wanted(None, env::var_os(VARIABLE))? {
            Wanted::Given(url) => {
                screen::line(format_args!("Using the server that {VARIABLE} names."));
                Ready {
                    url,
                    binaries: binaries()?,
                    _guard: None,
                }
            }
            wanted => {
                // The guard goes first: from the first moment on there is somebody to stop the server.
                let guard = Guard::start()?;
                let url = up(&self.state, &wanted, Lifetime::OfTests)?;
                screen::line(format_args!("Using {url}"));
                Ready {
                    url,
                    binaries: binaries()?,
                    _guard: Some(guard),
                }
            }
        };
        // It was empty above, and nobody else fills it.
        let _ = self.ready.set(ready);
        Ok(())
    }

    /// Has a server of this version run beside it, downloaded, until this is dropped; its URL.
    pub(crate) fn start_version(&self, major: Major) -> Result<String, Failure> {
        // Somebody must be there to stop it, and the server that is named by the environment needs nobody.
        let guard = Guard::start()?;
        let url = up(&self.state, &Wanted::Downloaded(major), Lifetime::OfTests)?;
        self.guards.borrow_mut().push(guard);
        screen::line(format_args!("Using {url}"));
        Ok(url)
    }

    /// The server's URL, once it is started.
    pub(crate) fn url(&self) -> Option<&str> {
        self.ready.get().map(|ready| ready.url.as_str())
    }

    /// The directory of the installed server's programs, once it is known.
    pub(crate) fn binaries(&self) -> Option<&Path> {
        self.ready.get().map(|ready| ready.binaries.as_path())
    }

    /// A server that runs already, for tests of what is told about it.
    #[cfg(test)]
    pub(crate) fn running_at(url: Option<&str>) -> Self {
        let ready = OnceCell::new();
        if let Some(url) = url {
            let url = url.to_owned();
            let binaries = PathBuf::from("/pg/bin");
            let _ = ready.set(Ready {
                url,
                binaries,
                _guard: None,
            });
        }
        Self {
            state: PathBuf::new(),
            needed: url.is_some(),
            ready,
            guards: RefCell::default(),
        }
    }
}

/// Whether one of these packages has tests that need a server.
fn is_needed(packages: &[String]) -> bool {
    packages
        .iter()
        .any(|name| PACKAGES.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_needed_only_by_the_packages_that_talk_to_one() {
        let with = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            is_needed(&names)
        };
        assert!(with(&["durable", "durable-pg-sqlx"]));
        assert!(with(&["durable-pg-diesel", "xtask"]));
        assert!(!with(&["durable", "durable-pg", "durable-sqlite"]));
        assert!(!with(&[]));
    }
}
