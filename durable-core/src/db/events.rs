//! Values that a workflow publishes under a key.

use async_trait::async_trait;

use super::{Recorded, Result, StepStamp};
use crate::{
    ids::{Owner, WorkflowId},
    payload::Encoded,
};

/// The published values of workflows.
#[async_trait]
pub trait Events: Send + Sync {
    /// Publishes a value, keeps it in the key's history under the step's number, and records the step, in one commit.
    ///
    /// Asking again is safe: the recorded step answers [`Recorded::Written`].
    async fn set_event(
        &self,
        owner: &Owner,
        key: &str,
        value: &Encoded,
        step: &StepStamp,
    ) -> Result<Recorded>;

    /// The value that a workflow last published under a key; `None` if there is none, also if there is no such workflow.
    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>>;
}
