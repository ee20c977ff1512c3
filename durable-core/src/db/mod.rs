//! What the engine needs of a database: the [`SystemDb`] trait, cut by concern.
//!
//! A method is what the engine means ("claim up to n from this queue for this executor"), not a table access, and is
//! atomic: all of it is committed before it answers, or none of it happened. Losing a race is a value ([`Lost`]), a
//! broken promise is a [`DbError`]. After [`DbError::Unavailable`] the call **may have happened**; every method says how
//! asking again is safe. A call with a text that no database takes is [`DbError::InvalidArgument`] ([`texts`]), also where several
//! callers share it: they are told apart by asking in parts. Nothing here names a driver or a table; nothing in a backend decides what a workflow does.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{state::Status, time::Timestamp};

mod calls;
mod events;
mod executors;
mod hub;
mod messages;
pub(crate) mod outage;
mod queues;
mod retrying;
mod steps;
pub mod texts;
mod versions;
mod waits;
mod workflows;

pub use events::Events;
pub use executors::{
    Abandoned, AbandonedQuery, Adoption, Executors, Joined, Serves, Serving, WantedExecutor,
};
pub use hub::HintHub;
pub use messages::{Message, Messages, NULL_TOPIC, Received, Sent};
pub use queues::{ClaimRequest, Claimed, Queues, WaitingCount};
pub use retrying::Retrying;
pub use steps::{History, Recorded, StepRecord, StepResult, StepStamp, Steps};
pub use versions::{Unrunnable, VersionCount, Versions};
pub use waits::{Hint, Waits, Wakes};
pub use workflows::{
    ChildInserted, Existing, Inserted, Listed, NewWorkflow, Placement, Resumed, Timing, Workflows,
    Write,
};

/// A database that holds the DBOS system tables, as the engine sees it.
#[async_trait]
pub trait SystemDb:
    Workflows + Steps + Queues + Messages + Events + Versions + Executors + fmt::Debug + 'static
{
    /// Brings the schema to the version that this library needs; does nothing if it is there.
    async fn migrate(&self) -> Result<()>;

    /// Checks that the schema is there and is one that this library can work with; changes nothing.
    ///
    /// Errors: `Refused` says what is missing and which command brings it.
    async fn verify(&self) -> Result<()>;

    /// The database's clock: the one that deadlines, delays and `created_at` are written in and compared with.
    async fn now(&self) -> Result<Timestamp>;

    /// Looks once for everything that the given waiters wait for, in one query.
    async fn poll(&self, waits: &Waits) -> Result<Wakes>;

    /// Wake-ups from now on. They may be lost, late or doubled: nothing is correct because of them, only faster.
    fn hints(&self) -> BoxStream<'static, Hint>;
}

/// What a call to the database gives.
pub type Result<T, E = DbError> = std::result::Result<T, E>;

/// Why a call to the database failed.
///
/// `{:?}` is the message and the kind in one line, as a `main` that returns it prints it; `{:#?}` shows the fields.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// It could not be reached, was busy too long or broke off. The call may have happened; asking again is safe.
    #[error("the database is not available while trying to {doing}: {source}")]
    Unavailable {
        /// What was asked, as in "record a step".
        doing: &'static str,
        /// What the driver said.
        source: Cause,
    },
    /// It holds what it must not, or refused what it must accept; asking again does not help.
    #[error("the database broke a promise while trying to {doing}: {source}")]
    Broken {
        /// What was asked, as in "record a step".
        doing: &'static str,
        /// What is wrong.
        source: Cause,
    },
    /// The call cannot be served as it was made.
    #[error("{0}")]
    Refused(String),
    /// It does not take a value that it was given, and never will: a text with a NUL, one that its encoding lacks or its indexes are too
    /// small for. Nothing was done, and other calls are not concerned.
    #[error("the database does not take a value that it was given to {doing}: {source}")]
    InvalidArgument {
        /// What was asked, as in "record a step".
        doing: &'static str,
        /// What is wrong with the value.
        source: Cause,
    },
}

impl DbError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// A promise broken by the database's content.
    pub fn broken(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Broken {
            doing,
            source: Cause::new(source),
        }
    }

    /// A value that the database does not take.
    pub fn invalid_argument(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::InvalidArgument {
            doing,
            source: Cause::new(source),
        }
    }

    /// Whether a value of this very call is what the database does not take.
    pub fn is_about_arguments(&self) -> bool {
        matches!(self, Self::InvalidArgument { .. })
    }

    /// A failure that may pass.
    pub fn unavailable(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            doing,
            source: Cause::new(source),
        }
    }
}

impl fmt::Debug for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, fields) = match self {
            Self::Unavailable { doing, source } => ("Unavailable", Ok((doing, source))),
            Self::Broken { doing, source } => ("Broken", Ok((doing, source))),
            Self::InvalidArgument { doing, source } => ("InvalidArgument", Ok((doing, source))),
            Self::Refused(why) => ("Refused", Err(why)),
        };
        match fields {
            _ if !f.alternate() => write!(f, "{self} [{kind}]"),
            Ok((doing, source)) => f
                .debug_struct(kind)
                .field("doing", doing)
                .field("source", source)
                .finish(),
            Err(why) => f.debug_tuple(kind).field(why).finish(),
        }
    }
}

/// The error behind a [`DbError`], shared so that all writers of one batch can be given it.
#[derive(Clone)]
pub struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl Cause {
    /// Wraps what a driver or a check said.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into().into())
    }

    /// What it wraps.
    pub fn get_ref(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Two causes are equal when they say the same.
impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// A write was refused because the row holds another owner token, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How the row stands now; `None`: it was deleted.
    pub status: Option<Status>,
}
