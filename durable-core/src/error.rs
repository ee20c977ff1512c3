//! The errors of the library's own operations.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::db::{Cause, DbError};

/// What an operation of the library gives when it fails.
///
/// It is serializable, so that one recorded by a step comes back as the same value on a replay. An error type of your own holds it
/// in one variant: `#[error(transparent)] Durable(#[from] durable::Error)`.
///
/// A `main` that returns it prints it with `{:?}`: that is the message and the code, in one line. `{:#?}` shows every field.
#[derive(Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An attempt of a step took longer than its timeout.
    #[error(
        "step {step:?} (number {number} of workflow {workflow:?}) did not end within {timeout:?}; give it more with `.timeout(…)`"
    )]
    StepTimeout {
        /// The workflow.
        workflow: String,
        /// The step's number.
        number: i32,
        /// The step's name.
        step: String,
        /// The timeout of one attempt.
        timeout: Duration,
    },
    /// A step's body panicked.
    #[error("step {step:?} (number {number} of workflow {workflow:?}) panicked: {message}")]
    StepPanicked {
        /// The workflow.
        workflow: String,
        /// The step's number.
        number: i32,
        /// The step's name.
        step: String,
        /// What it panicked with.
        message: String,
    },
    /// A transactional step was rolled back each time because of other transactions.
    #[error(
        "the transaction of step {step:?} (number {number} of workflow {workflow:?}) was rolled back {attempts} times because of others \
         at the same time: {message}; make it shorter, touch rows in one order, or give it more with `.max_attempts(…)`"
    )]
    TransactionConflict {
        /// The workflow.
        workflow: String,
        /// The step's number.
        number: i32,
        /// The step's name.
        step: String,
        /// How often it was tried.
        attempts: u32,
        /// What the database said last.
        message: String,
    },
    /// The database does not commit what a transactional step did.
    #[error(
        "the transaction of step {step:?} (number {number} of workflow {workflow:?}) cannot be committed: {message}"
    )]
    TransactionRefused {
        /// The workflow.
        workflow: String,
        /// The step's number.
        number: i32,
        /// The step's name.
        step: String,
        /// What the database said.
        message: String,
    },
    /// A workflow's body panicked.
    #[error("workflow {workflow:?} panicked: {message}")]
    WorkflowPanicked {
        /// The workflow.
        workflow: String,
        /// What it panicked with.
        message: String,
    },
    /// The awaited workflow was cancelled, by a call or by its deadline.
    #[error("workflow {workflow:?} was cancelled; `resume` continues it from its last checkpoint")]
    Cancelled {
        /// The awaited workflow.
        workflow: String,
    },
    /// The awaited workflow was dead-lettered.
    #[error(
        "workflow {workflow:?} was put away after too many executions that did not finish; find out what stops it, then `resume` it"
    )]
    DeadLettered {
        /// The awaited workflow.
        workflow: String,
    },
    /// There is no such workflow.
    #[error("there is no workflow {workflow:?}; was it started on another database, or deleted?")]
    NotFound {
        /// The id that was asked for.
        workflow: String,
    },
    /// The id belongs to another workflow.
    #[error(
        "workflow {workflow:?} was started as {existing} but is now called as {called}; use another id, or the same workflow"
    )]
    Conflict {
        /// The id.
        workflow: String,
        /// What holds it.
        existing: String,
        /// What was called.
        called: String,
    },
    /// An error that another program recorded, or one of a type that the reader does not know.
    #[error("{name}: {message}")]
    Recorded {
        /// Its name there.
        name: String,
        /// Its message.
        message: String,
        /// Its code, if it has one.
        code: Option<serde_json::Value>,
        /// Its data, if it has any.
        data: Option<serde_json::Value>,
    },
    /// A value cannot be written as JSON.
    #[error("{what} cannot be stored: {reason}")]
    Encode {
        /// Which value.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A stored value is not of the type that is asked for.
    #[error(
        "{what} cannot be read as {type_name}: {reason}; was the type changed, or the value written by another program?"
    )]
    Decode {
        /// Which value.
        what: String,
        /// The type asked for.
        type_name: String,
        /// Why not.
        reason: String,
    },
    /// A stored value is in a format that this program cannot read.
    #[error(
        "{what} is stored as {format:?}, which this program cannot read; ask the writer for `portable_json` (in Python and TypeScript a setting of the call), or register its codec"
    )]
    UnknownFormat {
        /// Which value.
        what: String,
        /// The format's name.
        format: String,
    },
    /// The workflow is not registered with this application.
    #[error(
        "workflow {workflow} is not registered with this application; add `.workflow(…)` (for a method `.instance(…)`) to the builder"
    )]
    NotRegistered {
        /// What was called.
        workflow: String,
    },
    /// A durable operation inside a step's body.
    #[error(
        "{operation} inside the body of step {step:?} of workflow {workflow:?}: a step is one checkpoint and cannot hold another; call it in the workflow's body, or make the step a child workflow"
    )]
    Nested {
        /// The workflow.
        workflow: String,
        /// The step around it.
        step: String,
        /// The refused operation.
        operation: String,
    },
    /// A durable operation in a task that is not the workflow's.
    #[error(
        "{operation} of workflow {workflow:?} was used outside the workflow's own task (in a spawned task or thread, or after the workflow ended), where its order cannot be recorded; use it in the workflow's body, with `join!` for concurrency, or start a child workflow"
    )]
    ForeignTask {
        /// The workflow.
        workflow: String,
        /// The refused operation.
        operation: String,
    },
    /// The history has another operation at this place: the workflow's code is not what it was, or not deterministic.
    #[error(
        "workflow {workflow:?} has recorded {recorded} as operation {number}, but its code now calls {called} (at {place}); it stays unfinished and recoverable: restore the code, or start it under a new version and finish it with the old one"
    )]
    UnexpectedStep {
        /// The workflow.
        workflow: String,
        /// The operation's number.
        number: i32,
        /// What the history says.
        recorded: String,
        /// What the code calls.
        called: String,
        /// Where the code calls it.
        place: String,
    },
    /// An operation whose number would depend on timing.
    #[error(
        "workflow {workflow:?} builds {called} (at {place}) while operation {running} is still running and another one has finished meanwhile, so its number would depend on timing; build all operations before the `join!`, or give each branch a child workflow"
    )]
    Unordered {
        /// The workflow.
        workflow: String,
        /// What the code calls.
        called: String,
        /// Where the code calls it.
        place: String,
        /// The operation that is still running.
        running: i32,
    },
    /// The application has no state of this type.
    #[error("the application has no state of type {type_name}; add `.state(…)` to the builder")]
    MissingState {
        /// The type asked for.
        type_name: String,
    },
    /// This execution was stopped before its workflow ended; the workflow goes on elsewhere or later.
    #[error(
        "this execution of workflow {workflow:?} was stopped ({reason}); the workflow is unfinished and goes on when an executor recovers it"
    )]
    Stopped {
        /// The workflow.
        workflow: String,
        /// Why.
        reason: String,
    },
    /// The application is shutting down.
    #[error("the application is shutting down; nothing new is started")]
    ShuttingDown,
    /// A name that cannot be used, refused before anything was done: of a step, an event, a topic, a queue, a workflow, …
    #[error("{what} {name:?} cannot be used: {reason}")]
    InvalidName {
        /// What it is the name of.
        what: String,
        /// The name, or its beginning.
        name: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A setting or an argument that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The database broke a promise, or refused the call.
    #[error("{message}")]
    Database {
        /// What happened.
        message: String,
        /// The driver's error, where it happened in this process.
        #[serde(skip)]
        source: Option<Cause>,
    },
}

impl Error {
    /// A stable code, to match on in logs and monitoring.
    pub fn code(&self) -> &'static str {
        match self {
            Self::StepTimeout { .. } => "DURABLE_STEP_TIMEOUT",
            Self::StepPanicked { .. } => "DURABLE_STEP_PANICKED",
            Self::TransactionConflict { .. } => "DURABLE_TRANSACTION_CONFLICT",
            Self::TransactionRefused { .. } => "DURABLE_TRANSACTION_REFUSED",
            Self::WorkflowPanicked { .. } => "DURABLE_WORKFLOW_PANICKED",
            Self::Cancelled { .. } => "DURABLE_CANCELLED",
            Self::DeadLettered { .. } => "DURABLE_DEAD_LETTERED",
            Self::NotFound { .. } => "DURABLE_NOT_FOUND",
            Self::Conflict { .. } => "DURABLE_CONFLICT",
            Self::Recorded { .. } => "DURABLE_RECORDED",
            Self::Encode { .. } => "DURABLE_ENCODE",
            Self::Decode { .. } => "DURABLE_DECODE",
            Self::UnknownFormat { .. } => "DURABLE_UNKNOWN_FORMAT",
            Self::NotRegistered { .. } => "DURABLE_NOT_REGISTERED",
            Self::Nested { .. } => "DURABLE_NESTED",
            Self::ForeignTask { .. } => "DURABLE_FOREIGN_TASK",
            Self::UnexpectedStep { .. } => "DURABLE_UNEXPECTED_STEP",
            Self::Unordered { .. } => "DURABLE_UNORDERED",
            Self::MissingState { .. } => "DURABLE_MISSING_STATE",
            Self::Stopped { .. } => "DURABLE_STOPPED",
            Self::ShuttingDown => "DURABLE_SHUTTING_DOWN",
            Self::InvalidName { .. } => "DURABLE_INVALID_NAME",
            Self::Invalid(_) => "DURABLE_INVALID",
            Self::Database { .. } => "DURABLE_DATABASE",
        }
    }

    /// Whether the same call may succeed when it is made again without a change.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::StepTimeout { .. }
                | Self::TransactionConflict { .. }
                | Self::Stopped { .. }
                | Self::ShuttingDown
        )
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        let message = error.to_string();
        let source = match error {
            DbError::Unavailable { source, .. } | DbError::Broken { source, .. } => Some(source),
            DbError::Refused(_) => None,
            DbError::InvalidArgument { .. } => return Self::Invalid(message),
        };
        Self::Database { message, source }
    }
}

/// The message, what it leaves out, and the [code](Error::code); `{:#?}`: the fields, as JSON.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate()
            && let Ok(fields) = serde_json::to_string_pretty(self)
        {
            return f.write_str(&fields);
        }
        write!(f, "{self}")?;
        if let Self::Recorded { code, data, .. } = self {
            for (name, value) in [("code", code), ("data", data)] {
                if let Some(value) = value {
                    write!(f, ", {name} {value}")?;
                }
            }
        }
        write!(f, " [{}]", self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_main_prints_of_an_error_is_its_message_and_its_code() {
        let refused = DbError::Refused(r#"schema "dbos" holds no system tables"#.to_owned());
        assert_eq!(
            format!("{refused:?}"),
            r#"schema "dbos" holds no system tables [Refused]"#
        );
        let error = Error::from(refused);
        assert_eq!(
            format!("{error:?}"),
            r#"schema "dbos" holds no system tables [DURABLE_DATABASE]"#
        );
    }

    #[test]
    fn what_differs_is_shown_to_differ() {
        let recorded = |code: i32, data: &str| Error::Recorded {
            name: "Declined".to_owned(),
            message: "no".to_owned(),
            code: Some(code.into()),
            data: Some(data.into()),
        };
        assert_eq!(
            format!("{:?}", recorded(7, "card")),
            r#"Declined: no, code 7, data "card" [DURABLE_RECORDED]"#
        );
        for other in [recorded(8, "card"), recorded(7, "cash")] {
            assert_ne!(format!("{:?}", recorded(7, "card")), format!("{other:?}"));
            assert_ne!(format!("{:#?}", recorded(7, "card")), format!("{other:#?}"));
        }
    }

    #[test]
    fn every_field_is_shown_where_that_is_asked_for() {
        let error = Error::NotFound {
            workflow: "order-7".to_owned(),
        };
        let shown = format!("{error:#?}");
        assert!(
            shown.contains("NotFound") && shown.contains(r#""workflow": "order-7""#),
            "{shown}"
        );
    }
}
