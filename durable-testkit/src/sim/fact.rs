//! What happened, as the timeline tells it and the invariants judge it.

use std::time::Duration;

use durable_core::{
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    state::{Status, WorkflowRow},
    time::Timestamp,
};

mod words;

/// Something that happened at an instant in a process.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    /// When, by the world's clock.
    pub at: Duration,
    /// The process: 0 is the database, the executors are 1, 2, ….
    pub process: usize,
    /// What.
    pub fact: &'a Fact,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A workflow's row was inserted.
    Inserted {
        /// Its id, and the token of the execution to come if it runs at once.
        owner: Owner,
        /// The queue it was put on, and its priority; `None`: it runs at once.
        queue: Option<(String, i32)>,
        /// The workflow that started it.
        parent: Option<WorkflowId>,
        /// Who asked for that.
        by: Asker,
        /// What its row says besides.
        terms: Terms,
    },
    /// A workflow was taken for an execution: claimed from a queue, or adopted.
    Taken {
        /// The workflow, and its new token.
        owner: Owner,
        /// Who took it.
        executor: ExecutorId,
        /// The queue it was claimed from; `None`: it was adopted.
        queue: Option<String>,
        /// Whose it was before.
        from: Option<ExecutorId>,
        /// The life that asked for it.
        life: i64,
        /// Whose request it was.
        by: Asker,
        /// What the row says now.
        terms: Terms,
    },
    /// A process is about to join as this executor.
    Launches {
        /// The executor.
        executor: ExecutorId,
        /// The application version that it runs.
        version: String,
    },
    /// An executor's life began.
    Joined {
        /// The executor.
        executor: ExecutorId,
        /// Its life.
        life: i64,
        /// The process that it is in.
        process: usize,
    },
    /// A workflow went back onto its queue.
    Requeued {
        /// The workflow.
        workflow: WorkflowId,
        /// Whose request it was.
        by: Asker,
    },
    /// A workflow's deadline was found to be over; its cancellation follows.
    Expired(WorkflowId),
    /// A workflow was cancelled, by a call or by its deadline.
    Cancelled(WorkflowId),
    /// A workflow was resumed.
    Resumed(WorkflowId),
    /// A write of an execution was made.
    Written {
        /// The execution.
        owner: Owner,
        /// What it wrote.
        what: Written,
        /// How the row stood just before: its status and its token.
        row: Option<(Status, Option<OwnerToken>)>,
    },
    /// A wait was recorded: a sleep's, or the timeout of a wait for something else.
    Timed {
        /// The workflow.
        workflow: WorkflowId,
        /// The number of its record.
        number: i32,
        /// When it began, and when it ends, as it is recorded: milliseconds since the Unix epoch.
        span: (i64, i64),
    },
    /// A write of an execution was refused, because it has lost its workflow.
    Refused {
        /// The execution.
        owner: Owner,
        /// Which call.
        call: &'static str,
    },
    /// A message was put into a mailbox.
    Sent {
        /// Its id.
        message: String,
        /// Whose mailbox.
        to: WorkflowId,
        /// Its topic.
        topic: String,
        /// What it says, as it is stored.
        payload: String,
        /// The operation that sent it: its workflow and number; `None`: it was sent from outside of workflows.
        by: Option<(WorkflowId, i32)>,
    },
    /// The value that stands under a key after a publish.
    Stands {
        /// The workflow that published.
        workflow: WorkflowId,
        /// The key.
        key: String,
        /// The value as it is stored; `None`: there is none.
        value: Option<String>,
    },
    /// An operation of an execution waits for what others do.
    Waits {
        /// The execution.
        owner: Owner,
        /// The operation's number.
        number: i32,
        /// For what.
        what: Awaits,
    },
    /// A transaction of a step was committed: what it wrote can be seen.
    Applied {
        /// The workflow.
        workflow: WorkflowId,
        /// The step's number.
        number: i32,
    },
    /// A call's request was refused, or its answer lost, by the network or because the database is away.
    Failed {
        /// Which call.
        call: &'static str,
        /// Whether it happened all the same.
        happened: bool,
    },

    /// An execution began.
    Execution {
        /// Which.
        owner: Owner,
        /// How many were dispatched, this one included.
        attempt: i64,
    },
    /// The body of a step began.
    Body {
        /// The execution.
        owner: Owner,
        /// The step's number.
        number: i32,
        /// Its name.
        name: String,
        /// Which attempt.
        attempt: u32,
    },
    /// An operation was answered from its record.
    Replayed {
        /// The execution.
        owner: Owner,
        /// The operation's number.
        number: i32,
    },
    /// The engine was told that an operation's record is committed.
    Acknowledged {
        /// The execution.
        owner: Owner,
        /// The operation's number.
        number: i32,
    },
    /// A durable sleep ended.
    Woke {
        /// The execution.
        owner: Owner,
        /// The operation's number.
        number: i32,
    },
    /// The code dropped an operation that had begun and not ended.
    Dropped {
        /// The execution.
        owner: Owner,
        /// The operation's number.
        number: i32,
    },
    /// The engine was told that an outcome is committed.
    Finished(Owner),
    /// An execution was stopped before its workflow ended.
    Stopped {
        /// Which.
        owner: Owner,
        /// Why.
        reason: String,
    },

    /// A start was acknowledged.
    Started(WorkflowId),
    /// A send from outside of workflows was acknowledged.
    Posted {
        /// Whose mailbox.
        to: WorkflowId,
        /// What it says, as it is stored.
        payload: String,
    },
    /// Code outside of workflows waits for what they do.
    Asks {
        /// Which wait: a number of its own.
        ticket: u64,
        /// For what.
        what: Awaits,
    },
    /// Such a wait has ended.
    Answered(u64),
    /// The deadline that a workflow's code is told.
    Knows {
        /// The workflow.
        workflow: WorkflowId,
        /// Its deadline; `None`: it has none.
        deadline: Option<Timestamp>,
    },
    /// Somebody was told a workflow's end.
    Told {
        /// The workflow.
        workflow: WorkflowId,
        /// The end, in words.
        end: String,
    },
    /// Something that a scenario or a user's code says.
    Note(String),

    /// A process gave its executor id back.
    Left {
        /// The executor.
        executor: ExecutorId,
        /// The process that asked for it.
        by: Asker,
    },
    /// The process died.
    Crashed {
        /// How long it will be down; zero: for ever.
        down: Duration,
    },
    /// The process's application is shut down.
    ShutsDown {
        /// For how long bodies may go on.
        grace: Duration,
    },
    /// The process was started again.
    Restarted,
    /// The process stands still.
    Paused {
        /// For how long.
        lasting: Duration,
    },
    /// The process goes on.
    WokenUp,
    /// Idle time was skipped.
    Skipped(Duration),
    /// A hint was lost, late or doubled.
    Hint(&'static str),
    /// The database's clock is ahead by this; zero: it is right again.
    Ahead(Duration),
    /// There are no faults any more.
    Calm,
    /// Time has passed. Told to invariants only.
    Passed,
}

/// Who asked the database for something: which life of which process. The request may be served when that life is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker {
    /// The process.
    pub process: usize,
    /// Its life, from 1.
    pub life: u32,
}

/// What a workflow's row says besides whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The application version that may run it.
    pub version: Option<String>,
    /// How many executions were dispatched.
    pub attempts: i64,
    /// Its own timeout, in milliseconds.
    pub timeout_ms: Option<i64>,
    /// When it is cancelled unless it has ended.
    pub deadline: Option<Timestamp>,
}

impl From<&WorkflowRow> for Terms {
    fn from(row: &WorkflowRow) -> Self {
        Self {
            version: row.version.clone(),
            attempts: row.attempts,
            timeout_ms: row.timeout_ms,
            deadline: row.deadline,
        }
    }
}

/// What an operation waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Awaits {
    /// A message under this topic.
    Message(String),
    /// That a workflow publishes a value under a key.
    Event(WorkflowId, String),
    /// A workflow's end.
    End(WorkflowId),
}

/// What an execution wrote under its token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// An operation's record.
    Step {
        /// Its number.
        number: i32,
        /// Its name.
        name: String,
        /// The child whose result it is.
        child: Option<WorkflowId>,
        /// Until when it sleeps, if it is a sleep: milliseconds since the Unix epoch.
        until: Option<i64>,
        /// What it came to.
        result: Ends,
    },
    /// A child's start, with its record.
    Child {
        /// The record's number.
        number: i32,
        /// The child.
        child: WorkflowId,
    },
    /// A send, with its record.
    Send {
        /// The record's number.
        number: i32,
    },
    /// A message was taken, with the record; `None`: that there was none.
    Receive {
        /// The record's number.
        number: i32,
        /// The topic that was asked for.
        topic: String,
        /// The message's id.
        message: Option<String>,
    },
    /// A value was published, with its record.
    Event {
        /// The record's number.
        number: i32,
        /// The key.
        key: String,
        /// The value as it is stored.
        value: String,
    },
    /// The outcome.
    Outcome {
        /// Whether it is a success.
        success: bool,
        /// The value or the error as it is stored.
        text: String,
    },
    /// The workflow was dead-lettered.
    DeadLetter,
}

/// What an operation came to, as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ends {
    /// A value, or nothing where it has none to give.
    Value,
    /// That what it waited for did not come.
    Empty,
    /// An error.
    Error,
}

impl Written {
    /// The number of the operation that is recorded with it.
    pub fn number(&self) -> Option<i32> {
        match self {
            Self::Step { number, .. }
            | Self::Child { number, .. }
            | Self::Send { number }
            | Self::Receive { number, .. }
            | Self::Event { number, .. } => Some(*number),
            Self::Outcome { .. } | Self::DeadLetter => None,
        }
    }
}

impl Fact {
    /// Whether it is a decision against the boring run: what a timeline marks.
    pub(super) fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Crashed { .. }
                | Self::ShutsDown { .. }
                | Self::Paused { .. }
                | Self::Failed { .. }
                | Self::Hint(_)
                | Self::Ahead(_)
        )
    }

    /// What is counted over a batch of runs, as things that must happen in some.
    pub(super) fn landmark(&self) -> Option<&'static str> {
        Some(match self {
            Self::Taken { queue: Some(_), .. } => "claimed from a queue",
            Self::Taken { executor, from, .. } if Some(executor) != from.as_ref() => {
                "adopted from another executor"
            }
            Self::Taken { .. } => "adopted from an earlier life",
            Self::Requeued { .. } => "put back onto its queue",
            Self::Expired(_) => "deadline over",
            Self::Cancelled(_) => "cancelled",
            Self::Resumed(_) => "resumed",
            Self::Refused { .. } => "write of a zombie refused",
            Self::Failed {
                call: "claim",
                happened: true,
            } => "answer of a claim lost",
            Self::Failed {
                call: "adopt",
                happened: true,
            } => "answer of an adoption lost",
            Self::Failed {
                call: "record_step",
                happened: true,
            } => "answer of a checkpoint lost",
            Self::Failed {
                call: "finish_workflow",
                happened: true,
            } => "answer of an outcome lost",
            Self::Failed {
                call: "insert_workflow",
                happened: true,
            } => "answer of a start lost",
            Self::Failed {
                happened: false, ..
            } => "request lost",
            Self::Failed {
                call: "commit",
                happened: true,
            } => "answer of a commit lost",
            Self::Applied { .. } => "transaction committed",
            Self::Hint(what) => what,
            Self::Crashed { .. } => "crash",
            Self::ShutsDown { .. } => "shutdown",
            Self::Paused { .. } => "pause",
            Self::Skipped(_) => "idle time skipped",
            Self::Ahead(_) => "clock of the database set",
            Self::Replayed { .. } => "operation replayed",
            Self::Dropped { .. } => "operation dropped",
            Self::Asks {
                what: Awaits::Event(..),
                ..
            } => "event awaited from outside",
            Self::Written {
                what:
                    Written::Step {
                        result: Ends::Error,
                        child: Some(_),
                        ..
                    },
                ..
            } => "error of a child recorded",
            Self::Body { attempt, .. } if *attempt > 1 => "step retried",
            Self::Written {
                what: Written::Child { .. },
                ..
            } => "child started",
            Self::Written {
                what: Written::Receive { message, .. },
                ..
            } => {
                if message.is_some() {
                    "message taken"
                } else {
                    "wait for a message timed out"
                }
            }
            Self::Written {
                what: Written::Event { .. },
                ..
            } => "event published",
            Self::Written {
                what: Written::DeadLetter,
                ..
            } => "dead-lettered",
            Self::Written {
                what: Written::Outcome { success: false, .. },
                ..
            } => "ended with an error",
            _ => return None,
        })
    }
}
