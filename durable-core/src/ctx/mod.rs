//! What a workflow does durably: the operations of its context.
//!
//! Every operation takes its numbers when it is built, is a future, and is answered from the history where it is recorded.
//! [`sequence`] gives the numbers and sees misplaced operations, [`operation`] is the future that all share; each kind of
//! operation has a file of its own.

mod body;
mod child;
mod events;
mod mailbox;
mod operation;
pub(crate) mod sequence;
mod sleep;
mod step;
mod transaction;

use std::{fmt, panic::Location, sync::Arc};

pub(crate) use body::OVERDUE;
pub use child::{ChildCall, ChildHandle, ChildStart};
pub use operation::Operation;
pub use step::{Step, StepBody, StepCtx};
pub use transaction::{SendAsyncFn, Transaction};

use crate::{
    Error,
    engine::{Engine, Interruption, execution::Execution},
    ids::WorkflowId,
    time::Timestamp,
};
use operation::{Built, Ticket};
use sequence::Misplaced;
pub use sleep::SLEEP;
pub(crate) use sleep::place_of;

/// The context of a running workflow. Cheap to clone; belongs to the workflow's own task.
#[derive(Clone)]
pub struct Ctx {
    execution: Arc<Execution>,
}

impl Ctx {
    pub(crate) fn new(execution: Arc<Execution>) -> Self {
        Self { execution }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.execution.engine
    }

    pub(crate) fn execution(&self) -> &Arc<Execution> {
        &self.execution
    }

    /// The workflow's id.
    pub fn workflow_id(&self) -> &WorkflowId {
        self.execution.id()
    }

    /// How many executions of this workflow were dispatched, this one included.
    pub fn attempt(&self) -> i64 {
        self.execution.attempt
    }

    /// When the workflow is cancelled unless it has ended; of the database's clock.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.execution.deadline
    }

    /// The application's state of this type.
    ///
    /// Errors: `MissingState`. It never is the workflow's outcome: what is missing is in the application's set-up, so the execution is
    /// stopped, and the workflow goes on in a process that has it.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, Error> {
        let state = self.engine().states.get();
        if let Err(error) = &state {
            let reason = Interruption::Refused(error.clone());
            self.execution.interrupt.signal(reason);
        }
        state
    }

    /// Takes the next `count` numbers for an operation. `what` names it in errors.
    fn build(&self, what: &str, count: i32, place: &'static Location<'static>) -> Built {
        let execution = &self.execution;
        if execution.interrupt.is_signalled() {
            return Built::Stalled;
        }
        match execution.sequence.take(count) {
            Ok(number) => {
                if let Some(rehearsal) = &execution.rehearsal {
                    rehearsal.built(number, count, what, place);
                }
                Built::Numbered(Ticket::new(Arc::clone(execution), number, place))
            }
            Err(Misplaced::Unordered(running)) => {
                let error = Error::Unordered {
                    workflow: execution.id().to_string(),
                    called: format!("{what:?}"),
                    place: place.to_string(),
                    running,
                };
                execution
                    .interrupt
                    .signal(crate::engine::Interruption::Refused(error));
                Built::Stalled
            }
            Err(misplaced) => Built::Refused(refusal(execution, what, misplaced)),
        }
    }
}

/// The error for an operation that is where it must not be.
fn refusal(execution: &Execution, what: &str, misplaced: Misplaced) -> Error {
    let workflow = execution.id().to_string();
    let operation = format!("{what:?}");
    match misplaced {
        Misplaced::InsideStep(step) => Error::Nested {
            workflow,
            step,
            operation,
        },
        Misplaced::ForeignTask | Misplaced::Unordered(_) => Error::ForeignTask {
            workflow,
            operation,
        },
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx")
            .field("workflow", self.workflow_id())
            .finish_non_exhaustive()
    }
}
