//! Mailboxes.

use async_trait::async_trait;

use super::{Lost, Result, StepStamp};
use crate::{
    ids::{Owner, WorkflowId},
    payload::Encoded,
};

/// The topic that a message without one is stored under.
pub const NULL_TOPIC: &str = "__null__topic__";

/// The mailboxes of workflows.
#[async_trait]
pub trait Messages: Send + Sync {
    /// Puts a message into a workflow's mailbox; a message whose id is there already is left alone.
    ///
    /// With `step`, the sending workflow's step is recorded in the same commit, without a result. Asking again is safe.
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent>;

    /// Takes the oldest unconsumed message of a topic from the owner's own mailbox and records it as the result of `step`, in one commit.
    ///
    /// If there is none: records `otherwise` if given, else writes nothing and answers [`Received::Empty`]. A step that is recorded already
    /// answers its record, so asking again is safe.
    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received>;
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id: a second message with it is ignored.
    pub id: String,
    /// The workflow it is for.
    pub destination: WorkflowId,
    /// Its topic; [`NULL_TOPIC`] for none.
    pub topic: String,
    /// The encoded value.
    pub payload: Encoded,
}

/// What came of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the mailbox.
    Delivered,
    /// There is no such workflow; nothing was written.
    NoDestination,
    /// The sender's token is lost; nothing was written.
    Lost(Lost),
}

/// What came of a receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message, now recorded as the step's result.
    Message(Encoded),
    /// No message, and the given value is recorded instead.
    Otherwise,
    /// No message; nothing was written.
    Empty,
    /// The receiver's token is lost; nothing was written.
    Lost(Lost),
}
