//! Encoded values as they cross the [`SystemDb`](crate::db::SystemDb) trait: text and the name of its format.

use crate::ids::Format;

/// An encoded value: what a payload column holds, and what its `serialization` column says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The text as stored.
    pub text: String,
    /// The format's name; `None` where another SDK stored none.
    pub format: Option<Format>,
}

impl Encoded {
    /// `text` in the format of this name.
    pub fn new(text: impl Into<String>, format: impl Into<Format>) -> Self {
        Self {
            text: text.into(),
            format: Some(format.into()),
        }
    }
}

/// How a workflow ended by itself: with its value, or with its error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned `Ok`: the encoded value.
    Success(Encoded),
    /// It returned `Err` or panicked: the encoded error.
    Failure(Encoded),
}

/// How a finished workflow stands in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It ran to its end.
    Outcome(Outcome),
    /// It was cancelled, by a call or by its deadline.
    Cancelled,
    /// It was dead-lettered: too many executions began and none finished.
    DeadLettered,
    /// There is no such workflow: it never was, or it was deleted.
    Missing,
}
