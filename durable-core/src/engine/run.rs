//! Drives one execution from its dispatch to its end.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tracing::Instrument as _;

use super::{
    Engine, Event,
    dispatch::Place,
    driver::Driver,
    execution::Execution,
    interrupt::Interruption,
    observer::notice,
    registry::{Registered, unencodable},
    running::Registration,
    slot::{ResultSlot, SlotState},
};
use crate::{
    Error,
    codec::encode_error,
    ctx::Ctx,
    db::{Claimed, StepRecord, Write, outage},
    ids::Owner,
    panics::caught,
    payload::{Encoded, Ended, Outcome},
    runtime::{BoxFuture, TaskHandle, Timer},
    sabotage::Bug,
    state::{Status, is_exhausted},
};

/// An execution that is known to the engine and has not begun.
pub(super) struct Dispatched {
    execution: Arc<Execution>,
    registration: Registration,
    input: Option<Encoded>,
    /// The worker's place that it holds until it ends.
    place: Option<Place>,
}

/// How the driving of a workflow's future ended.
pub(super) enum Driven {
    Returned(Outcome),
    Panicked(String),
    Interrupted(Interruption),
}

impl Engine {
    /// Makes an execution of a claimed workflow, known from now on.
    pub(super) fn dispatched(
        self: &Arc<Self>,
        claimed: Claimed,
        owner: Owner,
        history: Vec<StepRecord>,
        slot: Arc<ResultSlot>,
        place: Option<Place>,
    ) -> Dispatched {
        let execution = Arc::new(Execution::new(
            Arc::clone(self),
            owner,
            &claimed,
            history,
            slot,
        ));
        Dispatched {
            registration: self.running.add(&execution),
            execution,
            input: claimed.input,
            place,
        }
    }

    /// Runs an execution as a task of its own.
    pub(super) fn spawn_run(&self, dispatched: Dispatched) {
        self.runtime
            .spawn("workflow", Box::pin(run(dispatched)))
            .detach();
    }
}

/// Runs an execution to its end.
pub(super) async fn run(dispatched: Dispatched) {
    let Dispatched {
        execution,
        registration,
        input,
        place,
    } = dispatched;
    let unsettled = Unsettled(Arc::clone(&execution));
    let span = tracing::debug_span!(
        "workflow",
        id = %execution.id(),
        name = execution.key.name,
        attempt = execution.attempt,
    );
    let end = execute(&execution, input.as_ref()).instrument(span).await;
    let leaks = !matches!(end, SlotState::Ended(Ended::Outcome(_)));
    let place = if leaks && Bug::LeaksPlaces.is_planted() {
        std::mem::forget(place);
        None
    } else {
        place
    };
    // The place and the registration are free before anyone hears of the end.
    drop((registration, place));
    let waiters = &execution.engine.waiters;
    match &end {
        SlotState::Ended(ended @ Ended::Outcome(_)) => waiters.ended(execution.id(), ended),
        // Nothing else is final: the workflow may have been resumed, or started anew, since this execution lost it.
        SlotState::Ended(_) | SlotState::Elsewhere => {
            waiters.workflow_changed(execution.id(), Vec::new());
        }
        SlotState::Running | SlotState::Stopped(_) => {}
    }
    execution.slot.settle(end);
    drop(unsettled);
}

/// Tells the waiters when the task itself breaks off: nobody may wait for an execution that is gone.
struct Unsettled(Arc<Execution>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        // Only the first word counts, so this one is heard only where no other was said.
        self.0.slot.settle(SlotState::Stopped(Error::Stopped {
            workflow: self.0.id().to_string(),
            reason: "its task broke off".to_owned(),
        }));
    }
}

async fn execute(execution: &Arc<Execution>, input: Option<&Encoded>) -> SlotState {
    let engine = &execution.engine;
    let Some(registered) = engine.registry.get(&execution.key).cloned() else {
        // Claims and adoptions ask for registered names only, so this is a backend's mistake.
        return refused(execution, not_registered(execution));
    };
    if Bug::DecodesBeforeDeadLetter.is_planted() {
        drop(call(execution, &registered, input));
    }
    if is_exhausted(execution.counted, registered.max_recovery_attempts)
        && !Bug::NeverDeadLetters.is_planted()
    {
        return dead_letter(execution).await;
    }
    engine.observe(&Event::WorkflowStarted {
        workflow: execution.id(),
        execution: &execution.owner.token,
        name: &execution.key.name,
        attempt: execution.attempt,
    });
    let driven = match call(execution, &registered, input) {
        Ok(Ok(future)) => {
            let _deadline = watch_deadline(execution);
            outage::on_behalf_of(execution.id().clone(), drive(execution, future)).await
        }
        // Arguments that cannot be read are the caller's error, unless an earlier execution could read them.
        Ok(Err(error)) if execution.has_history() => {
            Driven::Interrupted(Interruption::Refused(error))
        }
        Ok(Err(error)) => Driven::Returned(failure(execution, &error)),
        Err(panic) => Driven::Panicked(panic),
    };
    let outcome = match driven {
        Driven::Returned(outcome) => outcome,
        Driven::Panicked(message) => failure(
            execution,
            &Error::WorkflowPanicked {
                workflow: execution.id().to_string(),
                message,
            },
        ),
        Driven::Interrupted(reason) => {
            if let Interruption::Lost(lost) = &reason
                && lost.status == Some(Status::Cancelled)
            {
                execution.forget_witnesses_of_cancelled().await;
            }
            return interrupted(execution, reason);
        }
    };
    finish(execution, outcome).await
}

fn not_registered(execution: &Execution) -> Error {
    Error::NotRegistered {
        workflow: execution.key.to_string(),
    }
}

/// Calls the workflow function with its stored arguments; reading them runs user code, which may panic.
pub(super) fn call(
    execution: &Arc<Execution>,
    registered: &Registered,
    input: Option<&Encoded>,
) -> Result<Result<BoxFuture<'static, Outcome>, Error>, String> {
    let ctx = Ctx::new(Arc::clone(execution));
    caught(|| registered.call(ctx, input))
}

/// Polls the workflow until it returns, panics or is interrupted; then it is dropped.
async fn drive(execution: &Arc<Execution>, future: BoxFuture<'static, Outcome>) -> Driven {
    let mut driver = Driver::new(future);
    let driven = poll_fn(|cx| driver.poll(execution, cx)).await;
    driver.end();
    driven
}

/// An error of the library as a workflow's outcome.
pub(super) fn failure(execution: &Execution, error: &Error) -> Outcome {
    let codecs = &execution.engine.codecs;
    let encoded = encode_error(codecs, &"the workflow's error", error, Vec::new());
    Outcome::Failure(encoded.unwrap_or_else(|error| unencodable(&error)))
}

async fn finish(execution: &Arc<Execution>, outcome: Outcome) -> SlotState {
    let engine = &execution.engine;
    engine.running.finishing(&execution.owner);
    execution.forget_witnesses().await;
    let mut outcome = outcome;
    let mut written = engine.db.finish_workflow(&execution.owner, &outcome).await;
    if let Err(error) = &written
        && error.is_about_arguments()
    {
        // What it came to cannot be stored, and never will.
        outcome = failure(execution, &error.clone().into());
        written = engine.db.finish_workflow(&execution.owner, &outcome).await;
    }
    match written {
        Ok(Write::Written) => {
            engine.observe(&Event::WorkflowFinished {
                workflow: execution.id(),
                execution: &execution.owner.token,
                outcome: &outcome,
            });
            if let Outcome::Failure(error) = &outcome {
                engine.tell_failure(execution, error);
            }
            engine.tell_unused(execution);
            SlotState::Ended(Ended::Outcome(outcome))
        }
        Ok(Write::Lost(lost)) => interrupted(execution, Interruption::Lost(lost)),
        Err(error) => refused(execution, error.into()),
    }
}

async fn dead_letter(execution: &Arc<Execution>) -> SlotState {
    notice(&format!(
        "workflow {:?} ({}) is put away: {} executions crashed and recorded no operation; find out what \
         stops it, then resume it",
        execution.id().as_str(),
        execution.key,
        execution.counted - 1,
    ));
    match execution.engine.db.dead_letter(&execution.owner).await {
        Ok(Write::Written) => SlotState::Ended(Ended::DeadLettered),
        Ok(Write::Lost(lost)) => interrupted(execution, Interruption::Lost(lost)),
        Err(error) => refused(execution, error.into()),
    }
}

/// How an interrupted execution leaves its workflow.
fn interrupted(execution: &Arc<Execution>, reason: Interruption) -> SlotState {
    match reason {
        Interruption::Lost(lost) => {
            execution.engine.observe(&Event::WorkflowStopped {
                workflow: execution.id(),
                execution: &execution.owner.token,
                reason: &Interruption::Lost(lost).reason(),
                error: None,
            });
            match lost.status {
                Some(Status::Cancelled) => SlotState::Ended(Ended::Cancelled),
                None => SlotState::Ended(Ended::Missing),
                Some(_) => SlotState::Elsewhere,
            }
        }
        Interruption::Shutdown => {
            if !execution.interrupt.was_cut_off() || Bug::ReleasesWhatWasCutOff.is_planted() {
                execution.engine.running.rested(&execution.owner);
            }
            stopped(
                execution,
                Error::Stopped {
                    workflow: execution.id().to_string(),
                    reason: Interruption::Shutdown.reason(),
                },
            )
        }
        Interruption::Refused(error) => refused(execution, error),
    }
}

/// The execution cannot go on: its workflow is unfinished, and not tried again by this process.
fn refused(execution: &Execution, error: Error) -> SlotState {
    let said = error.clone().ends_wait_for(execution.id());
    notice(&format!("{said} [{}]", said.code()));
    execution.engine.running.park(&execution.owner, &error);
    stopped(execution, error)
}

fn stopped(execution: &Execution, error: Error) -> SlotState {
    execution.engine.observe(&Event::WorkflowStopped {
        workflow: execution.id(),
        execution: &execution.owner.token,
        reason: &error.to_string(),
        error: Some(&error).filter(|error| !matches!(error, Error::Stopped { .. })),
    });
    SlotState::Stopped(error)
}

/// Cancels the workflow at its deadline, while the guard is held.
fn watch_deadline(execution: &Arc<Execution>) -> Option<TaskHandle> {
    let deadline = execution.deadline?;
    let engine = Arc::clone(&execution.engine);
    let watched = Arc::clone(execution);
    let task = async move {
        let mut pause = Duration::from_millis(20);
        while !watched.interrupt.is_signalled() {
            let left = engine.clock.until(deadline);
            if left.is_zero() {
                engine.expire_deadlines().await;
                // The database's clock decides, and may be a little behind our estimate of it.
                engine.refresh_clock().await;
            }
            engine.runtime.sleep(left.max(pause), Timer::Work).await;
            if left.is_zero() {
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    };
    let runtime = &execution.engine.runtime;
    Some(runtime.spawn("deadline", Box::pin(task)))
}

impl Engine {
    /// Cancels what is due, and tells the executions among it.
    pub(super) async fn expire_deadlines(&self) {
        const BATCH: usize = 1000;
        let mut more = true;
        while more {
            let expired = self
                .db
                .expire_deadlines(&self.claimant.application, BATCH)
                .await;
            let expired = expired.unwrap_or_else(|error| {
                tracing::error!(%error, "deadlines could not be checked");
                Vec::new()
            });
            more = expired.len() == BATCH;
            for id in &expired {
                self.cancelled(id);
            }
        }
    }

    /// Has those look who may be concerned by a cancel of the workflow.
    ///
    /// They are not told that it is cancelled: when the answer comes it may have been resumed, and run under another token.
    pub(super) fn cancelled(&self, id: &crate::ids::WorkflowId) {
        let owners = self.running.owners_of(id);
        self.waiters.workflow_changed(id, owners);
    }
}
