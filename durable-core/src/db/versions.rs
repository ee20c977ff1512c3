//! Application versions.

use async_trait::async_trait;

use super::Result;
use crate::{
    ids::{Format, WorkflowKey},
    state::claim::Claimant,
};

/// The versions of an application, and what waits for code that is not here.
#[async_trait]
pub trait Versions: Send + Sync {
    /// Makes a version known, if it is not; its place among the versions does not change by registering it again.
    ///
    /// The newest registered version also claims rows that name none. Asking again is safe. Errors: `Refused` when the version's
    /// name belongs to another application.
    async fn register_version(&self, application: &str, version: &str) -> Result<()>;

    /// How many unended workflows of the application wait for each version other than `version`, most first.
    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>>;

    /// How many unended workflows of the claimant's application and version (or of none) it cannot run: those that
    /// [`Claimant::can_run`] refuses, by name and format, most first.
    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>>;
}

/// Unended workflows of one name, whose inputs are in one format.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unrunnable {
    /// What they were started as.
    pub key: WorkflowKey,
    /// The format of their inputs.
    pub format: Option<Format>,
    /// How many.
    pub count: u64,
}

/// Unended workflows of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionCount {
    /// The version.
    pub version: String,
    /// How many.
    pub count: u64,
}
