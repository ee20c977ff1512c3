//! Claiming work from queues.

use async_trait::async_trait;

use super::Result;
use crate::{
    ids::OwnerToken,
    payload::Encoded,
    state::{WorkflowRow, claim::Claimant},
};

/// Queues as workers see them.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Claims at most `request.tokens.len()` workflows of a queue, most urgent and then oldest first; the n-th gets the n-th token.
    ///
    /// Returns them in that order; fewer than asked means that nothing else can be claimed by this executor now. Nothing is claimed
    /// for an earlier incarnation of the executor. After `Unavailable`, ask [`claimed_by`](Self::claimed_by) with the same tokens:
    /// asking `claim` again would leave the first answer's workflows to nobody.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>>;

    /// The pending workflows that one of these tokens owns: what a claim gave whose answer was lost. Asking again is safe.
    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>>;

    /// Counts the workflows of the application that wait to be claimed, or for their delay to end,
    /// by their queue and the version that they name; most first.
    async fn waiting(&self, application: &str) -> Result<Vec<WaitingCount>>;
}

/// Workflows that wait on one queue, for one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitingCount {
    /// The queue.
    pub queue: String,
    /// The version that runs them; `None`: the newest of the application.
    pub version: Option<String>,
    /// Their number.
    pub count: u64,
}

/// Asks for work.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The queue's name.
    pub queue: String,
    /// Who asks, and what it can run.
    pub claimant: Claimant,
    /// One token for each workflow that may be claimed, chosen before the claim.
    pub tokens: Vec<OwnerToken>,
}

/// A workflow that is now this executor's to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its row, after the claim.
    pub row: WorkflowRow,
    /// Its encoded arguments; `None` if it has none stored.
    pub input: Option<Encoded>,
    /// How many of its dispatches do not count as crashes: see
    /// [`Attempts`](crate::state::Attempts).
    pub excused: i64,
}

impl Claimed {
    /// How many of its dispatches count as crashes, should this one end in one.
    pub fn counted(&self) -> i64 {
        self.row.attempts.saturating_sub(self.excused)
    }
}
