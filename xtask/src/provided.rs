//! What the tests are provided with: what stands ready before they start, and is named to them.

use std::process::Command;

use crate::{
    failure::Failure,
    pg::{
        Major,
        for_tests::{self, TestServer},
    },
    pooler::{self, TestPooler},
    python::{self, TestPython},
    stages::Stage,
    workspace::Workspace,
};

/// What the tests are provided with. What was started for them is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Provided {
    server: TestServer,
    pooler: TestPooler,
    python: TestPython,
}

impl Provided {
    /// What the packages of the workspace need; nothing of it is there yet.
    pub(crate) fn new(workspace: &Workspace) -> Result<Self, Failure> {
        Ok(Self {
            server: TestServer::new(workspace)?,
            pooler: TestPooler::default(),
            python: TestPython::new(workspace)?,
        })
    }

    /// The stages that have it there.
    pub(crate) fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages = Vec::new();
        if self.server.is_needed() {
            stages.push(Stage::new("postgres", || self.server.start()));
            stages.push(Stage::new("pgbouncer", || self.pooler.prepare()));
        }
        if self.python.is_needed() {
            stages.push(Stage::new("python", || self.python.prepare()));
        }
        stages
    }

    /// Whether there are tests that need a Postgres server.
    pub(crate) fn has_server(&self) -> bool {
        self.server.is_needed()
    }

    /// Names it to the tests that are called, with a server of this version instead.
    pub(crate) fn tell_version(&self, command: &mut Command, major: Major) -> Result<(), Failure> {
        let url = self.server.start_version(major)?;
        self.tell(command);
        command.env(for_tests::TEST_VARIABLE, url);
        Ok(())
    }

    /// Names it to the tests that are called.
    pub(crate) fn tell(&self, command: &mut Command) {
        if let Some(url) = self.server.url() {
            command.env(for_tests::TEST_VARIABLE, url);
        }
        if let Some(binaries) = self.server.binaries() {
            command.env(for_tests::BINARIES, binaries);
        }
        if let Some(program) = self.pooler.program() {
            command.env(pooler::VARIABLE, program);
        }
        if let Some(interpreter) = self.python.interpreter() {
            command.env(python::VARIABLE, interpreter);
        }
    }

    /// What is there already, for tests of what is told about it.
    #[cfg(test)]
    pub(crate) fn ready(url: Option<&str>, interpreter: Option<&str>) -> Self {
        Self {
            server: TestServer::running_at(url),
            pooler: TestPooler::default(),
            python: TestPython::at(interpreter),
        }
    }
}
