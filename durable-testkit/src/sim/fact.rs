//! What happened, as the timeline tells it and the invariants judge it.

use std::{fmt, time::Duration};

use durable_core::{
    db::NULL_TOPIC,
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    state::Status,
};

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
    },
    /// An executor's life began.
    Joined {
        /// The executor.
        executor: ExecutorId,
        /// Its life.
        life: i64,
    },
    /// A workflow went back onto its queue.
    Requeued(WorkflowId),
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
    /// Somebody was told a workflow's end.
    Told {
        /// The workflow.
        workflow: WorkflowId,
        /// The end, in words.
        end: String,
    },
    /// Something that a scenario or a user's code says.
    Note(String),

    /// The process died.
    Crashed {
        /// How long it will be down; zero: for ever.
        down: Duration,
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
    /// There are no faults any more.
    Calm,
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
        /// The message's id.
        message: Option<String>,
    },
    /// A value was published, with its record.
    Event {
        /// The record's number.
        number: i32,
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

impl Written {
    /// The number of the operation that is recorded with it.
    pub fn number(&self) -> Option<i32> {
        match self {
            Self::Step { number, .. }
            | Self::Child { number, .. }
            | Self::Send { number }
            | Self::Receive { number, .. }
            | Self::Event { number } => Some(*number),
            Self::Outcome { .. } | Self::DeadLetter => None,
        }
    }
}

impl Fact {
    /// Whether it is a decision against the boring run: what a timeline marks.
    pub(super) fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Crashed { .. } | Self::Paused { .. } | Self::Failed { .. } | Self::Hint(_)
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
            Self::Requeued(_) => "put back onto its queue",
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
            Self::Paused { .. } => "pause",
            Self::Skipped(_) => "idle time skipped",
            Self::Replayed { .. } => "operation replayed",
            Self::Dropped { .. } => "operation dropped",
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

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inserted {
                owner,
                queue,
                parent,
            } => {
                write!(f, "{} inserted", owner.workflow)?;
                match queue {
                    Some((queue, 0)) => write!(f, " on queue {queue}")?,
                    Some((queue, priority)) => write!(f, " on queue {queue}, priority {priority}")?,
                    None => write!(f, ", token {}", owner.token)?,
                }
                match parent {
                    Some(parent) => write!(f, ", child of {parent}"),
                    None => Ok(()),
                }
            }
            Self::Taken {
                owner,
                executor,
                queue,
                from,
                ..
            } => {
                let (workflow, token) = (&owner.workflow, &owner.token);
                match (queue, from) {
                    (Some(queue), _) => {
                        write!(
                            f,
                            "{executor} claims {workflow} from queue {queue}, token {token}"
                        )
                    }
                    (None, Some(from)) => {
                        write!(f, "{executor} adopts {workflow} from {from}, token {token}")
                    }
                    (None, None) => write!(f, "{executor} adopts {workflow}, token {token}"),
                }
            }
            Self::Joined { executor, life } => write!(f, "{executor} joins, life {life}"),
            Self::Requeued(workflow) => write!(f, "{workflow} put back onto its queue"),
            Self::Cancelled(workflow) => write!(f, "{workflow} cancelled"),
            Self::Resumed(workflow) => write!(f, "{workflow} resumed"),
            Self::Written { owner, what, .. } => {
                write!(f, "{}: {what}, token {}", owner.workflow, owner.token)
            }
            Self::Refused { owner, call } => {
                write!(
                    f,
                    "{}: {call} refused, token {}",
                    owner.workflow, owner.token
                )
            }
            Self::Sent { message, to, topic } => {
                write!(f, "message {message} for {to}, topic {topic:?}")
            }
            Self::Applied { workflow, number } => {
                write!(f, "{workflow}: transaction of step {number} committed")
            }
            Self::Waits { owner, what, .. } => write!(f, "{} waits for {what}", owner.workflow),
            Self::Failed {
                call,
                happened: true,
            } => write!(f, "answer of {call} lost"),
            Self::Failed {
                call,
                happened: false,
            } => write!(f, "request {call} lost"),
            _ => self.tell_of_process(f),
        }
    }
}

impl Fact {
    /// What an engine, a scenario or the world says.
    fn tell_of_process(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execution { owner, attempt } => write!(
                f,
                "{}: execution {attempt} begins, token {}",
                owner.workflow, owner.token
            ),
            Self::Body {
                owner,
                number,
                name,
                attempt,
            } => {
                write!(f, "{}: body of step {number} {name:?}", owner.workflow)?;
                if *attempt > 1 {
                    write!(f, ", attempt {attempt}")?;
                }
                Ok(())
            }
            Self::Replayed { owner, number } => {
                write!(f, "{}: operation {number} replayed", owner.workflow)
            }
            Self::Acknowledged { owner, number } => {
                write!(f, "{}: operation {number} acknowledged", owner.workflow)
            }
            Self::Woke { owner, number } => write!(f, "{}: sleep {number} is over", owner.workflow),
            Self::Dropped { owner, number } => {
                write!(f, "{}: operation {number} dropped", owner.workflow)
            }
            Self::Finished(owner) => write!(f, "{}: end acknowledged", owner.workflow),
            Self::Stopped { owner, reason } => write!(
                f,
                "{}: execution stopped, token {}: {reason}",
                owner.workflow, owner.token
            ),
            Self::Started(workflow) => write!(f, "start of {workflow} acknowledged"),
            Self::Told { workflow, end } => write!(f, "told that {workflow} ended: {end}"),
            Self::Note(text) => f.write_str(text),
            Self::Crashed { down } if down.is_zero() => f.write_str("CRASH, for good"),
            Self::Crashed { down } => write!(f, "CRASH, back after {down:?}"),
            Self::Restarted => f.write_str("starts again"),
            Self::Paused { lasting } => write!(f, "stands still for {lasting:?}"),
            Self::WokenUp => f.write_str("goes on"),
            Self::Skipped(by) => write!(f, "nothing happens for {by:?}"),
            Self::Hint(what) => f.write_str(what),
            Self::Calm => f.write_str("no faults from here on"),
            // The database's facts are told by `Display` itself.
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Awaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(topic) if topic == NULL_TOPIC => f.write_str("a message without a topic"),
            Self::Message(topic) => write!(f, "a message, topic {topic:?}"),
            Self::Event(workflow, key) => write!(f, "event {key:?} of {workflow}"),
            Self::End(workflow) => write!(f, "the result of {workflow}"),
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { number, name, .. } => write!(f, "operation {number} {name:?} recorded"),
            Self::Child { number, child } => {
                write!(f, "operation {number}: start of child {child} recorded")
            }
            Self::Send { number } => write!(f, "operation {number}: send recorded"),
            Self::Receive {
                number,
                message: Some(message),
            } => {
                write!(f, "operation {number}: message {message} taken")
            }
            Self::Receive {
                number,
                message: None,
            } => {
                write!(f, "operation {number}: no message came")
            }
            Self::Event { number } => write!(f, "operation {number}: event published"),
            Self::Outcome {
                success: true,
                text,
            } => write!(f, "succeeds with {text}"),
            Self::Outcome {
                success: false,
                text,
            } => write!(f, "fails with {text}"),
            Self::DeadLetter => f.write_str("dead-lettered"),
        }
    }
}
