//! Application versions.

use async_trait::async_trait;

use super::Result;

/// The versions of an application.
#[async_trait]
pub trait Versions: Send + Sync {
    /// Makes a version known, if it is not; its place among the versions does not change by registering it again.
    ///
    /// The newest registered version also claims rows that name none. Asking again is safe. Errors: `Refused` when the version's
    /// name belongs to another application.
    async fn register_version(&self, application: &str, version: &str) -> Result<()>;

    /// How many unended workflows of the application wait for each version other than `version`, most first.
    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>>;
}

/// Unended workflows of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionCount {
    /// The version.
    pub version: String,
    /// How many.
    pub count: u64,
}
