//! Code held against a recorded history: every operation is answered by its record, and nothing new is done.
//!
//! An operation without a record waits for ever, before its body and before any write, so that what races with it is answered as it was.
//! Recorded sleeps are over. When nothing can go on, the history ends there. Not for direct use: `durable_testkit::replay` judges what comes out.

mod launched;
mod rehearsal;
mod sealed;

use std::{future::poll_fn, panic::Location, sync::Arc, task::Poll, time::Duration};

use futures_util::future::{Either, select};

use super::{
    AppBuilder, Engine,
    clock::DbClock,
    driver::Driver,
    execution::Execution,
    interrupt::Interruption,
    launch::assemble,
    run::{Driven, call, failure},
    slot::ResultSlot,
};
use crate::{
    Error,
    db::{Claimed, Joined, Retrying, StepRecord},
    ids::{ExecutorId, Owner, OwnerToken, WorkflowKey},
    panics::caught,
    payload::{Encoded, Outcome},
    runtime::{BoxFuture, Timer},
    state::WorkflowRow,
};
pub(crate) use rehearsal::Rehearsal;
use sealed::Sealed;

/// How long a replay waits for what is no durable operation.
const PATIENCE: Duration = Duration::from_secs(10);

/// Replays workflows of an application that is never launched.
#[derive(Debug)]
pub struct Replayer {
    engine: Arc<Engine>,
}

/// A workflow as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its row.
    pub row: WorkflowRow,
    /// Its arguments.
    pub input: Option<Encoded>,
    /// Its operations.
    pub steps: Vec<StepRecord>,
}

/// What came of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Where it ended.
    pub end: End,
    /// All calls that were made, in the order of their numbers.
    pub calls: Vec<MadeCall>,
    /// The number of the operation at which the execution was stopped, if it was and that is known.
    pub stopped_at: Option<i32>,
    /// Messages, events and other values from outside that were not of the type asked for: the operation that read one, and the error that
    /// the code got.
    pub unreadable: Vec<(Option<i32>, Error)>,
}

/// A durable operation that the code has built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeCall {
    /// Its number.
    pub number: i32,
    /// How many numbers it holds: a wait's second is that of its timeout.
    pub count: i32,
    /// Its name.
    pub name: String,
    /// Where the code builds it.
    pub place: &'static Location<'static>,
    /// Whether it was awaited and has looked for its record.
    pub asked: bool,
}

/// Where a replay ended.
#[derive(Clone, Debug)]
pub enum End {
    /// The workflow is not registered.
    NotRegistered,
    /// Its arguments cannot be read; `outcome` is what a first execution would make of that.
    Input {
        /// Why not.
        error: Error,
        /// The failure with this error.
        outcome: Outcome,
    },
    /// The code returned; what would be recorded.
    Returned(Outcome),
    /// The code panicked.
    Panicked {
        /// What it panicked with.
        message: String,
        /// What would be recorded.
        outcome: Outcome,
    },
    /// The code waits for these operations, and they have no record.
    HistoryEnds(Vec<MadeCall>),
    /// The execution was stopped: the code does not fit the history.
    Stopped(Error),
    /// The code waits for something that is no durable operation.
    Stuck,
}

impl Replayer {
    /// Takes what is registered, the codecs, the state and the runtime; the database and the observer of the builder are not used.
    ///
    /// Errors: `Invalid` for what was given to the builder.
    pub fn new(mut builder: AppBuilder) -> Result<Self, Error> {
        if let Some(error) = builder.failed.take() {
            return Err(error);
        }
        Ok(Self::assembled(builder))
    }

    fn assembled(mut builder: AppBuilder) -> Self {
        builder.observer = None;
        let runtime = builder.runtime_or_tokio();
        let db = Retrying::new(Arc::new(Sealed), Arc::clone(&runtime));
        let clock = DbClock::unset(Arc::clone(&runtime));
        let joined = Joined {
            id: ExecutorId::from("replay"),
            incarnation: 0,
        };
        Self {
            engine: Arc::new(assemble(builder, db, runtime, clock, joined)),
        }
    }

    /// Whether the workflow is registered.
    pub fn knows(&self, key: &WorkflowKey) -> bool {
        self.engine.registry.get(key).is_some()
    }

    /// Runs the code against the recording, to where the history ends.
    pub async fn replay(&self, recording: &Recording) -> Replayed {
        let execution = Arc::new(self.execution(recording));
        let end = run(&execution, recording.input.as_ref()).await;
        let none = Rehearsal::default();
        execution.rehearsal.as_ref().unwrap_or(&none).ended(end)
    }

    /// Reads an outcome as the types of the workflow. Errors: it cannot be read, `NotRegistered`.
    pub fn read_outcome(&self, key: &WorkflowKey, outcome: &Outcome) -> Result<(), Error> {
        let registered = self.engine.registry.get(key);
        let registered = registered.ok_or_else(|| Error::NotRegistered {
            workflow: key.to_string(),
        })?;
        // Reading runs user code, which may panic.
        let read = caught(|| registered.read(&self.engine.codecs, outcome));
        read.unwrap_or_else(|message| {
            Err(Error::WorkflowPanicked {
                workflow: key.to_string(),
                message,
            })
        })
    }

    /// The JSON text of a stored value; `what` names it in errors. Errors: `UnknownFormat`, `Decode`.
    pub fn json(&self, what: &str, stored: &Encoded) -> Result<String, Error> {
        let json = self.engine.codecs.open(&what, stored)?;
        Ok(json.into_owned())
    }

    fn execution(&self, recording: &Recording) -> Execution {
        let owner = Owner {
            workflow: recording.row.id.clone(),
            token: OwnerToken::from("replay"),
        };
        let claimed = Claimed {
            row: recording.row.clone(),
            input: None,
            excused: 0,
        };
        Execution::new(
            Arc::clone(&self.engine),
            owner,
            &claimed,
            recording.steps.clone(),
            Arc::new(ResultSlot::new()),
        )
        .rehearsed()
    }
}

/// One replay from its call to its end.
async fn run(execution: &Arc<Execution>, input: Option<&Encoded>) -> End {
    let engine = &execution.engine;
    let Some(registered) = engine.registry.get(&execution.key).cloned() else {
        return End::NotRegistered;
    };
    let driven = match call(execution, &registered, input) {
        Ok(Ok(future)) => {
            let limit = engine.runtime.sleep(PATIENCE, Timer::Work);
            match select(Box::pin(drive(execution, future)), limit).await {
                Either::Left((Some(driven), _)) => driven,
                Either::Left((None, _)) => {
                    let rehearsal = execution.rehearsal.as_ref();
                    return End::HistoryEnds(rehearsal.map(Rehearsal::missed).unwrap_or_default());
                }
                Either::Right(_) => return End::Stuck,
            }
        }
        Ok(Err(error)) => {
            let outcome = failure(execution, &error);
            return End::Input { error, outcome };
        }
        Err(panic) => Driven::Panicked(panic),
    };
    match driven {
        Driven::Returned(outcome) => End::Returned(outcome),
        Driven::Panicked(message) => {
            let error = Error::WorkflowPanicked {
                workflow: execution.id().to_string(),
                message: message.clone(),
            };
            let outcome = failure(execution, &error);
            End::Panicked { message, outcome }
        }
        Driven::Interrupted(Interruption::Refused(error)) => End::Stopped(error),
        Driven::Interrupted(reason) => End::Stopped(Error::Stopped {
            workflow: execution.id().to_string(),
            reason: reason.reason(),
        }),
    }
}

/// Polls the workflow until it ends, or until only operations without a record are left to wait for (`None`).
async fn drive(execution: &Arc<Execution>, future: BoxFuture<'static, Outcome>) -> Option<Driven> {
    let mut driver = Driver::new(future);
    let mut turns = driver.turns();
    let driven = poll_fn(|cx| {
        if let Poll::Ready(driven) = driver.poll(execution, cx) {
            return Poll::Ready(Some(driven));
        }
        let rehearsal = execution.rehearsal.as_ref();
        let waits = rehearsal.is_some_and(|rehearsal| !rehearsal.missed().is_empty());
        if !waits || driver.is_asked() || driver.wakes() {
            turns.forget();
        } else if turns.have_come() && turns.end() {
            return Poll::Ready(None);
        }
        // Once more: what only gave way to others has moved by then.
        if waits && !driver.wakes() && !turns.are_taken() {
            turns.take();
        }
        Poll::Pending
    })
    .await;
    driver.end();
    driven
}
