//! Where a call of the application is made: outside of workflows, or inside one, where it would not be recorded.
//!
//! The driver says which workflow its thread polls. A call from a task that a workflow spawned is not seen.

use std::{cell::RefCell, sync::Arc};

use super::{Engine, execution::Execution};
use crate::{Error, ctx::sequence::Misplaced};

thread_local! {
    /// The execution whose workflow this thread polls right now.
    static POLLED: RefCell<Option<Arc<Execution>>> = const { RefCell::new(None) };
}

/// Says that this thread polls a workflow, until the guard is dropped.
pub(super) fn enter(execution: &Arc<Execution>) -> Polling {
    Polling(POLLED.replace(Some(Arc::clone(execution))))
}

/// A workflow is being polled by this thread; holds the one around it, which is none unless a body blocks on another workflow.
pub(super) struct Polling(Option<Arc<Execution>>);

impl Drop for Polling {
    fn drop(&mut self) {
        POLLED.set(self.0.take());
    }
}

/// The execution whose workflow this thread polls, and the step whose body that is.
fn inside() -> Option<(Arc<Execution>, Option<String>)> {
    let execution = POLLED.with_borrow(Option::clone)?;
    match execution.sequence.check_place() {
        Err(Misplaced::InsideStep(step)) => Some((execution, Some(step))),
        _ => Some((execution, None)),
    }
}

impl Engine {
    /// Refuses a call in a workflow's body, outside of its steps: it is not recorded, and a replay would make it again. `recorded`
    /// is the operation of the context to use instead; `None`: there is none.
    pub(crate) fn check_outside(&self, call: &str, recorded: Option<&str>) -> Result<(), Error> {
        match inside() {
            Some((execution, None)) => Err(self.unrecorded(&execution, call, recorded)),
            Some((_, Some(_))) | None => Ok(()),
        }
    }

    /// As [`check_outside`](Self::check_outside), for a start. Also refuses one without an id in the body of a step, which may run again.
    pub(crate) fn check_start(&self, call: &str, has_id: bool) -> Result<(), Error> {
        let Some((execution, Some(step))) = inside() else {
            return self.check_outside(call, Some("`ctx.start(…)`"));
        };
        if has_id {
            return Ok(());
        }
        Err(Error::InsideWorkflow {
            workflow: execution.id().to_string(),
            step: Some(step),
            call: format!("`{call}` without an id"),
            advice: "the body may run again, and would start one more workflow each time: give it an id with `.id(…)`, made of \
                     `workflow_id()` and `step_id()` of the step's context or of the data, or start it in the workflow's body with \
                     `ctx.start(…)`"
                .to_owned(),
        })
    }

    fn unrecorded(&self, execution: &Execution, call: &str, recorded: Option<&str>) -> Error {
        let is_own = std::ptr::eq(self, Arc::as_ptr(&execution.engine));
        let advice = match recorded.filter(|_| is_own) {
            Some(operation) => format!("use {operation}"),
            None => "make it in the body of a step, `ctx.step(…)`".to_owned(),
        };
        Error::InsideWorkflow {
            workflow: execution.id().to_string(),
            step: None,
            call: format!("`{call}`"),
            advice: format!("it is not recorded, so a replay would make it again: {advice}"),
        }
    }
}
