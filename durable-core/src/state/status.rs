//! The statuses of a workflow.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a workflow stands (column `status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Owned by an execution.
    Pending,
    /// On a queue, waiting to be claimed.
    Enqueued,
    /// On a queue, not to be claimed before its time.
    Delayed,
    /// Ended with a value.
    Success,
    /// Ended with an error of its own.
    Error,
    /// Cancelled by a call or by its deadline; can be resumed.
    Cancelled,
    /// Dead-lettered: too many executions began and none finished; can be resumed.
    MaxRecoveryAttemptsExceeded,
}

impl Status {
    /// Every status, in the order of a workflow's life.
    pub const ALL: [Self; 7] = [
        Self::Delayed,
        Self::Enqueued,
        Self::Pending,
        Self::Success,
        Self::Error,
        Self::Cancelled,
        Self::MaxRecoveryAttemptsExceeded,
    ];

    /// The text that the column holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Enqueued => "ENQUEUED",
            Self::Delayed => "DELAYED",
            Self::Success => "SUCCESS",
            Self::Error => "ERROR",
            Self::Cancelled => "CANCELLED",
            Self::MaxRecoveryAttemptsExceeded => "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
        }
    }

    /// Whether the workflow has ended (a cancelled or dead-lettered one may still be resumed).
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Enqueued | Self::Delayed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A status text that no SDK is known to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a workflow status; was the row written by a newer SDK?")]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}
