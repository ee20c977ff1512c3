//! The errors of the library's own operations.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    db::{Cause, DbError},
    ids::WorkflowId,
};

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
        "step {step:?} (number {number} of workflow {workflow:?}) did not end within {timeout:?}{}; give it more with `.timeout(…)`",
        nth(*attempt)
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
        /// Which attempt it was, from 1: the last one when retries are exhausted.
        #[serde(default = "first")]
        attempt: u32,
    },
    /// A step's body panicked.
    #[error(
        "step {step:?} (number {number} of workflow {workflow:?}) panicked{}: {message}",
        nth(*attempt)
    )]
    StepPanicked {
        /// The workflow.
        workflow: String,
        /// The step's number.
        number: i32,
        /// The step's name.
        step: String,
        /// What it panicked with.
        message: String,
        /// Which attempt it was, from 1: the last one when retries are exhausted.
        #[serde(default = "first")]
        attempt: u32,
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
    /// A call of the application inside a workflow, where it is not recorded.
    #[error("{call} in the body of {place} is refused: {advice}", place = body(workflow, step.as_deref()))]
    InsideWorkflow {
        /// The workflow.
        workflow: String,
        /// The step whose body makes the call; `None`: the workflow's own body does.
        step: Option<String>,
        /// The call.
        call: String,
        /// Why it is refused, and what to do instead.
        advice: String,
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
    /// The awaited workflow has not ended, and goes on later: the wait for it is over, as its execution here was stopped, or as nothing is
    /// waited for here any more.
    #[error("workflow {workflow:?} is unfinished and goes on when {}: {cause}", cause.mended())]
    Unfinished {
        /// The awaited workflow.
        workflow: String,
        /// Why the wait for it is over.
        cause: Box<Error>,
        /// Read from a record, so that it is the outcome of whatever recorded it.
        #[doc(hidden)]
        #[serde(skip, default = "yes")]
        recorded: bool,
    },
    /// This execution was stopped before its workflow ended; the workflow goes on elsewhere or later.
    #[error("this execution of workflow {workflow:?} was stopped ({reason})")]
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
    /// The tokio runtime in which the application was launched has ended, and with it all that
    /// serves its calls.
    #[error(
        "the tokio runtime in which this application was launched has ended, and with it what \
        serves its calls; keep that runtime for as \
         long as the application is used, and launch one in each runtime that uses one, as each \
         `#[tokio::test]` is"
    )]
    RuntimeEnded,
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
        /// Read from a record, so that it is the outcome of whatever recorded it.
        #[doc(hidden)]
        #[serde(skip, default = "yes")]
        recorded: bool,
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
            Self::InsideWorkflow { .. } => "DURABLE_INSIDE_WORKFLOW",
            Self::UnexpectedStep { .. } => "DURABLE_UNEXPECTED_STEP",
            Self::Unordered { .. } => "DURABLE_UNORDERED",
            Self::MissingState { .. } => "DURABLE_MISSING_STATE",
            Self::Unfinished { cause, .. } => cause.code(),
            Self::Stopped { .. } => "DURABLE_STOPPED",
            Self::ShuttingDown => "DURABLE_SHUTTING_DOWN",
            Self::InvalidName { .. } => "DURABLE_INVALID_NAME",
            Self::RuntimeEnded => "DURABLE_RUNTIME_ENDED",
            Self::Invalid(_) => "DURABLE_INVALID",
            Self::Database { .. } => "DURABLE_DATABASE",
        }
    }

    /// Whether the same call may succeed when it is made again without a change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unfinished { cause, .. } => cause.is_retryable(),
            _ => matches!(
                self,
                Self::StepTimeout { .. }
                    | Self::TransactionConflict { .. }
                    | Self::Stopped { .. }
                    | Self::ShuttingDown
            ),
        }
    }

    /// Returns `true` if a workflow may have come to this, and `false` if it tells only of this
    /// process or of its database.
    ///
    /// `false` are [`Unfinished`](Self::Unfinished), which
    /// [`Handle::result`](crate::Handle::result) gives when the workflow goes on later;
    /// [`ShuttingDown`](Self::ShuttingDown), [`RuntimeEnded`](Self::RuntimeEnded) and
    /// [`Stopped`](Self::Stopped), as a start gives them; and trouble of the database that this
    /// process has met. What is read from a record is `true`, but for these last three in an error
    /// type of your own: they look the same there. Match on [`NotFound`](Self::NotFound).
    ///
    /// An error type of your own asks the library's error that it holds:
    ///
    /// ```
    /// # #[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
    /// # enum ShopError {
    /// #     #[error("declined")]
    /// #     Declined,
    /// #     #[error(transparent)]
    /// #     Durable(#[from] durable_core::Error),
    /// # }
    /// # fn settled(result: Result<u32, ShopError>) -> bool {
    /// match result {
    ///     // It goes on in another process, or in the next run of this one: its result is there later, by its id.
    ///     Err(ShopError::Durable(error)) if !error.is_outcome() => false,
    ///     // It has ended, well or badly.
    ///     Ok(_) | Err(_) => true,
    /// }
    /// # }
    /// ```
    pub fn is_outcome(&self) -> bool {
        match self {
            Self::Unfinished { recorded, .. } | Self::Database { recorded, .. } => *recorded,
            Self::ShuttingDown | Self::RuntimeEnded | Self::Stopped { .. } => false,
            _ => true,
        }
    }

    /// What the wait for a workflow gives: that there is none or can be none, or that it is unfinished because of this.
    pub(crate) fn ends_wait_for(self, workflow: &WorkflowId) -> Self {
        match self {
            Self::NotFound { .. } | Self::InvalidName { .. } | Self::Unfinished { .. } => self,
            cause => Self::Unfinished {
                workflow: workflow.to_string(),
                cause: Box::new(cause),
                recorded: false,
            },
        }
    }

    /// The same, read of what a live error shows of itself.
    pub(crate) fn not_recorded(mut self) -> Self {
        if let Self::Unfinished { recorded, .. } | Self::Database { recorded, .. } = &mut self {
            *recorded = false;
        }
        self
    }

    /// When a workflow goes on whose execution this has stopped.
    fn mended(&self) -> &'static str {
        match self {
            Self::Stopped { .. } | Self::ShuttingDown => "an executor recovers it",
            Self::NotRegistered { .. } | Self::MissingState { .. } => {
                "a process takes it over that has what is missing"
            }
            Self::UnexpectedStep { .. }
            | Self::Unordered { .. }
            | Self::Decode { .. }
            | Self::UnknownFormat { .. } => {
                "a process takes it over whose code fits what is recorded"
            }
            _ => "an executor takes it over after this was put right",
        }
    }
}

/// Which attempt it was, where there were several.
fn nth(attempt: u32) -> String {
    if attempt <= 1 {
        return String::new();
    }
    format!(" in attempt {attempt}")
}

/// Of errors that were recorded before attempts were counted in them.
fn first() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// Whose body it is, in words.
fn body(workflow: &str, step: Option<&str>) -> String {
    match step {
        Some(step) => format!("step {step:?} of workflow {workflow:?}"),
        None => format!("workflow {workflow:?}"),
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
        Self::Database {
            message,
            source,
            recorded: false,
        }
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
    fn what_ends_a_wait_says_that_the_workflow_goes_on_and_when() {
        let workflow = WorkflowId::from("order-7");
        let causes = [
            Error::ShuttingDown,
            Error::Invalid("no folder".to_owned()),
            Error::MissingState {
                type_name: "Bank".to_owned(),
            },
            Error::UnexpectedStep {
                workflow: "order-7".to_owned(),
                number: 1,
                recorded: "a".to_owned(),
                called: "b".to_owned(),
                place: "here".to_owned(),
            },
        ];
        for cause in causes {
            let error = cause.clone().ends_wait_for(&workflow);
            let said = error.to_string();
            assert!(
                said.starts_with(r#"workflow "order-7" is unfinished and goes on when "#)
                    && said.ends_with(&cause.to_string()),
                "{said}"
            );
            assert_eq!(error.code(), cause.code());
            assert!(!error.is_outcome());
            // One that is recorded is what the step or the workflow came to that recorded it.
            let text = serde_json::to_string(&error).unwrap();
            assert!(!text.contains("recorded\":true"), "{text}");
            let read: Error = serde_json::from_str(&text).unwrap();
            assert!(read.is_outcome());
        }
        let missing = Error::NotFound {
            workflow: "order-7".to_owned(),
        };
        assert_eq!(missing.clone().ends_wait_for(&workflow), missing);
    }

    #[test]
    fn what_tells_of_this_process_alone_is_no_outcome_wherever_it_comes_from() {
        let away = DbError::unavailable("start a workflow", "gone");
        let refused = DbError::Refused("no tables".to_owned());
        let live = [
            Error::ShuttingDown,
            Error::RuntimeEnded,
            Error::Stopped {
                workflow: "order-7".to_owned(),
                reason: "a shutdown".to_owned(),
            },
            away.into(),
            refused.into(),
        ];
        for error in live {
            assert!(!error.is_outcome(), "{error:?}");
        }
        // Recorded, it is what a step met and its workflow came to.
        let met = Error::from(DbError::Refused("no tables".to_owned()));
        let text = serde_json::to_string(&met).unwrap();
        let read: Error = serde_json::from_str(&text).unwrap();
        assert!(read.is_outcome() && !text.contains("recorded"), "{text}");
        let ended = Error::Cancelled {
            workflow: "order-7".to_owned(),
        };
        assert!(ended.is_outcome());
    }

    #[test]
    fn an_error_of_before_attempts_were_counted_is_read() {
        let text = r#"{"StepPanicked":{"workflow":"w","number":1,"step":"s","message":"no"}}"#;
        let error: Error = serde_json::from_str(text).unwrap();
        assert!(matches!(error, Error::StepPanicked { attempt: 1, .. }));
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
