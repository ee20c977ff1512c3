//! Calls of `SystemDb` as data, made alike on every database, and their answers as text.
//!
//! What is compared with the model is made of these: the interleavings of statements, random sequences, concurrent histories.
//!
//! - here: what a call is; `make`: how it is made, and what it answered
//! - `scene`: the names of one run, and what a process of a database can do

use std::fmt;

use durable_core::{db::Timing, time::Timestamp};

mod make;
mod scene;

#[cfg(feature = "model-check")]
pub(crate) use make::UNAVAILABLE;
pub(crate) use make::brief;
pub(crate) use scene::{KEY, Present, Scene, Side, TOPIC, WORKFLOWS};

pub(crate) const VERSION: &str = "v1";
pub(crate) const SHOP: &str = "shop";
pub(crate) const QUEUE: &str = "queue";
pub(crate) const FORMAT: &str = "portable_json";

/// The name of the token that a workflow's row holds when the call is made, and the number of an executor's present life.
pub(crate) const HELD: &str = "held";
pub(crate) const NOW: i64 = 0;

/// A call. Workflows, tokens, executors, queues and messages are named by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Starts a workflow of this id.
    Start(&'static str, New),
    /// The same, as this step of its parent's execution.
    StartChild(&'static str, New, Execution, i32),
    Workflow(&'static str),
    Record(Execution, i32, Given),
    /// Reads the steps of all workflows, as whoever takes one does.
    Histories,
    Finish(Execution, End),
    DeadLetter(Execution),
    Cancel(Few<&'static str>),
    /// Puts it on a queue again; `None`: on the internal one.
    Resume(&'static str, Option<&'static str>),
    /// Cancels at most so many that are past their deadlines.
    Sweep(usize),
    /// Claims from a queue, under these tokens.
    Claim(Claims, &'static str, Few<&'static str>),
    ClaimedBy(Few<&'static str>),
    /// Takes workflows over from the executions, under these tokens.
    Adopt(Claims, Few<Execution>, Few<&'static str>),
    /// Puts the workflows of the executions back onto their queue.
    Requeue(Claims, Few<Execution>),
    /// Says that a shutdown has ended the executions cleanly.
    Release(Few<Execution>),
    /// Sends a message from outside.
    Mail(Letter),
    /// Sends a message as this step.
    Send(Letter, Execution, i32),
    /// Receives of a topic as this step; without a message it records that there was none, if so asked.
    Receive(Execution, &'static str, i32, bool),
    /// Publishes a value under a key as this step.
    SetEvent(Execution, &'static str, i32, &'static str),
    Event(&'static str, &'static str),
    /// Registers a version of an application.
    Register(&'static str, &'static str),
    /// What waits for versions other than this one.
    Stranded(&'static str),
    /// What this executor cannot run.
    Unrunnable(Claims),
    /// Lists the living executors with what each of them serves.
    Serving,
    /// Counts what waits on each queue.
    Waiting,
    /// Begins a life of this executor, whose id was given by the user or not.
    Join(&'static str, bool),
    /// Ends it.
    Leave(&'static str),
    /// Looks for what the dead left, and maybe an earlier life of this executor: at most so many after that workflow.
    Abandoned(Claims, bool, Option<&'static str>, usize),
    /// Looks for the ends of all workflows, messages and events for them, and whether executions have lost these tokens.
    Poll(Few<&'static str>),
    /// Deletes a workflow as another SDK does.
    Delete(&'static str),
    /// Leaves a token in a workflow's row as other SDKs do, whatever its status is: it means something only while the workflow runs.
    LeaveToken(&'static str, &'static str),
}

impl Call {
    /// Whether it passes over what somebody else is just changing, and leaves it to the next look.
    pub(crate) fn is_look(self) -> bool {
        matches!(self, Self::Claim(..) | Self::Sweep(_))
    }

    /// Whether it changes nothing.
    pub(crate) fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Workflow(_)
                | Self::Histories
                | Self::ClaimedBy(_)
                | Self::Event(..)
                | Self::Stranded(_)
                | Self::Unrunnable(_)
                | Self::Serving
                | Self::Waiting
                | Self::Abandoned(..)
                | Self::Poll(_)
        )
    }
}

/// Up to three of a kind: lists that can be written down as constants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Few<T>([Option<T>; 3]);

/// One alone.
pub(crate) const fn one<T: Copy>(a: T) -> Few<T> {
    Few([Some(a), None, None])
}

/// Two, in this order.
pub(crate) const fn two<T: Copy>(a: T, b: T) -> Few<T> {
    Few([Some(a), Some(b), None])
}

/// Three, in this order.
pub(crate) const fn three<T: Copy>(a: T, b: T, c: T) -> Few<T> {
    Few([Some(a), Some(b), Some(c)])
}

impl<T> Few<T> {
    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct New {
    pub(crate) creator: &'static str,
    pub(crate) name: &'static str,
    /// The queue that it goes on, and its priority; `None`: it runs at once.
    pub(crate) queue: Option<(&'static str, i32)>,
    pub(crate) timing: Timing,
    pub(crate) application: &'static str,
    pub(crate) version: Option<&'static str>,
    pub(crate) format: &'static str,
}

/// A start that runs at once.
pub(crate) const fn here(creator: &'static str) -> New {
    New {
        creator,
        name: "work",
        queue: None,
        timing: Timing::Unbounded,
        application: SHOP,
        version: Some(VERSION),
        format: FORMAT,
    }
}

/// A start that goes on the queue.
pub(crate) const fn queued(creator: &'static str) -> New {
    New {
        queue: Some((QUEUE, 0)),
        ..here(creator)
    }
}

/// A start whose deadline has passed.
pub(crate) const fn overdue(new: New) -> New {
    New {
        timing: Timing::Inherited(Timestamp::from_millis(1)),
        ..new
    }
}

/// A start of another workflow.
pub(crate) const fn other(new: New) -> New {
    New {
        name: "other work",
        ..new
    }
}

/// Only what is not as in most.
impl fmt::Debug for New {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {}", self.name, self.creator)?;
        if let Some((queue, priority)) = self.queue {
            write!(f, " on {queue} at {priority}")?;
        }
        let usual = here(self.creator);
        if self.timing != usual.timing {
            write!(f, " {:?}", self.timing)?;
        }
        if self.application != usual.application {
            write!(f, " of {}", self.application)?;
        }
        if self.version != usual.version {
            write!(f, " for {:?}", self.version)?;
        }
        if self.format != usual.format {
            write!(f, " in {:?}", self.format)?;
        }
        Ok(())
    }
}

/// One execution: its workflow and its token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) of: &'static str,
    pub(crate) token: &'static str,
}

/// The execution of a workflow under a token.
pub(crate) const fn run(of: &'static str, token: &'static str) -> Execution {
    Execution { of, token }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.of, self.token)
    }
}

/// An executor as it takes workflows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) executor: &'static str,
    /// The number of its life; [`NOW`]: the present one.
    pub(crate) life: i64,
    pub(crate) version: &'static str,
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in ", self.executor)?;
        match self.life {
            NOW => write!(f, "its life")?,
            life => write!(f, "life {life}")?,
        }
        write!(f, " at {}", self.version)
    }
}

/// What a step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Value(&'static str),
    Error(&'static str),
    Nothing,
}

/// How an execution ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Success(&'static str),
    Failure(&'static str),
    /// With a value in a format that is not its input's.
    Foreign(&'static str),
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: &'static str,
    pub(crate) to: &'static str,
    pub(crate) topic: &'static str,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} to {} on {}", self.id, self.to, self.topic)
    }
}
