//! The parameters of the statement: a column for each field of each kind of write.

use std::ops::Range;

use durable_core::{
    db::{StepResult, Timing},
    ids::{ExecutorId, Format, OwnerToken, WorkflowId},
    payload::{Encoded, Outcome},
    state::Status,
    time::Timestamp,
};

use super::write::{Finish, Start, Step};
use crate::Param;

type Texts<'a> = Vec<Option<&'a str>>;
type Numbers = Vec<Option<i64>>;

/// The columns, in the order of the statement's parameters.
pub(super) struct Columns<'a> {
    owners: Texts<'a>,
    step: StepColumns<'a>,
    finish: FinishColumns<'a>,
    start: StartColumns<'a>,
    caller: CallerColumns<'a>,
}

/// Defines a struct of columns; `of` makes them with room for a number of writes.
macro_rules! columns {
    ($name:ident<$a:lifetime> { $($column:ident: $kind:ty),+ $(,)? }) => {
        struct $name<$a> {
            $($column: $kind),+
        }

        impl $name<'_> {
            fn of(count: usize) -> Self {
                Self {
                    $($column: Vec::with_capacity(count)),+
                }
            }
        }
    };
}

columns!(StepColumns<'a> {
    workflow: Texts<'a>,
    token: Texts<'a>,
    number: Numbers,
    name: Texts<'a>,
    output: Texts<'a>,
    error: Texts<'a>,
    format: Texts<'a>,
    child: Texts<'a>,
    started: Numbers,
    completed: Numbers,
});

columns!(FinishColumns<'a> {
    workflow: Texts<'a>,
    token: Texts<'a>,
    status: Texts<'a>,
    payload: Texts<'a>,
    format: Texts<'a>,
});

columns!(StartColumns<'a> {
    id: Texts<'a>,
    status: Texts<'a>,
    name: Texts<'a>,
    class: Texts<'a>,
    config: Texts<'a>,
    application: Texts<'a>,
    version: Texts<'a>,
    executor: Texts<'a>,
    owner: Texts<'a>,
    creator: Texts<'a>,
    attempts: Numbers,
    queue: Texts<'a>,
    priority: Numbers,
    timeout: Numbers,
    deadline: Numbers,
    parent: Texts<'a>,
    format: Texts<'a>,
    input: Texts<'a>,
    floor: Numbers,
    place: Numbers,
});

columns!(CallerColumns<'a> {
    workflow: Texts<'a>,
    token: Texts<'a>,
    number: Numbers,
    step: Texts<'a>,
    began: Numbers,
    ended: Numbers,
});

/// The parameters of steps, of steps and outcomes, of starts that no workflow makes, and of everything.
pub(super) const OF_STEPS: Range<usize> = 0..11;
pub(super) const OF_ENDS: Range<usize> = 0..16;
pub(super) const OF_STARTS: Range<usize> = 16..36;
pub(super) const ALL: Range<usize> = 0..42;

impl<'a> Columns<'a> {
    /// Columns with room for these numbers of writes.
    pub(super) fn of(owners: Texts<'a>, steps: usize, finishes: usize, starts: usize) -> Self {
        Self {
            owners,
            step: StepColumns::of(steps),
            finish: FinishColumns::of(finishes),
            start: StartColumns::of(starts),
            caller: CallerColumns::of(starts),
        }
    }

    pub(super) fn step(&mut self, step: &'a Step) {
        let (owner, record) = (&step.owner, &step.record);
        let (output, error) = payloads(&record.result);
        let to = &mut self.step;
        to.workflow.push(Some(owner.workflow.as_str()));
        to.token.push(Some(owner.token.as_str()));
        to.number.push(Some(record.number.into()));
        to.name.push(Some(&record.name));
        to.output.push(output.map(|value| value.text.as_str()));
        to.error.push(error.map(|value| value.text.as_str()));
        to.format.push(output.or(error).and_then(format));
        to.child.push(record.child.as_ref().map(WorkflowId::as_str));
        to.started.push(record.started_at.map(Timestamp::as_millis));
        to.completed
            .push(record.completed_at.map(Timestamp::as_millis));
    }

    pub(super) fn finish(&mut self, finish: &'a Finish) {
        let (status, payload) = ending(&finish.outcome);
        let to = &mut self.finish;
        to.workflow.push(Some(finish.owner.workflow.as_str()));
        to.token.push(Some(finish.owner.token.as_str()));
        to.status.push(Some(status.as_str()));
        to.payload.push(Some(&payload.text));
        to.format.push(format(payload));
    }

    /// `place`: on a queue, the earliest `created_at` and how many of the batch go there before it.
    pub(super) fn start(&mut self, start: &'a Start, place: Option<(Option<i64>, i64)>) {
        let row = &start.row;
        let to = &mut self.start;
        to.id.push(Some(row.id.as_str()));
        to.status.push(Some(row.status.as_str()));
        to.name.push(Some(&row.key.name));
        to.class.push(row.key.class.as_deref());
        to.config.push(row.key.config.as_deref());
        to.application.push(row.application.as_deref());
        to.version.push(row.version.as_deref());
        to.executor
            .push(row.executor.as_ref().map(ExecutorId::as_str));
        to.owner.push(row.owner.as_ref().map(OwnerToken::as_str));
        to.creator
            .push(row.creator.as_ref().map(OwnerToken::as_str));
        to.attempts.push(Some(row.attempts));
        to.queue.push(row.queue.as_deref());
        to.priority.push(Some(row.priority.into()));
        to.timeout.push(row.timeout_ms);
        to.deadline.push(inherited(start.new.timing));
        to.parent.push(row.parent.as_ref().map(WorkflowId::as_str));
        to.format.push(row.format.as_ref().map(Format::as_str));
        to.input.push(Some(&start.input));
        to.floor.push(place.and_then(|(floor, _)| floor));
        to.place.push(Some(place.map_or(0, |(_, before)| before)));
        let caller = start.parent.as_ref();
        let to = &mut self.caller;
        to.workflow
            .push(caller.map(|(owner, _)| owner.workflow.as_str()));
        to.token.push(caller.map(|(owner, _)| owner.token.as_str()));
        to.number.push(caller.map(|(_, stamp)| stamp.number.into()));
        to.step.push(caller.map(|(_, stamp)| stamp.name.as_str()));
        to.began
            .push(caller.map(|(_, stamp)| stamp.started_at.as_millis()));
        to.ended
            .push(caller.map(|(_, stamp)| stamp.completed_at.as_millis()));
    }

    /// The parameters, from `$1` on.
    pub(super) fn parameters(&self) -> [Param<'_>; ALL.end] {
        let (step, finish) = (&self.step, &self.finish);
        let (start, caller) = (&self.start, &self.caller);
        [
            (&self.owners).into(),
            (&step.workflow).into(),
            (&step.token).into(),
            (&step.number).into(),
            (&step.name).into(),
            (&step.output).into(),
            (&step.error).into(),
            (&step.format).into(),
            (&step.child).into(),
            (&step.started).into(),
            (&step.completed).into(),
            (&finish.workflow).into(),
            (&finish.token).into(),
            (&finish.status).into(),
            (&finish.payload).into(),
            (&finish.format).into(),
            (&start.id).into(),
            (&start.status).into(),
            (&start.name).into(),
            (&start.class).into(),
            (&start.config).into(),
            (&start.application).into(),
            (&start.version).into(),
            (&start.executor).into(),
            (&start.owner).into(),
            (&start.creator).into(),
            (&start.attempts).into(),
            (&start.queue).into(),
            (&start.priority).into(),
            (&start.timeout).into(),
            (&start.deadline).into(),
            (&start.parent).into(),
            (&start.format).into(),
            (&start.input).into(),
            (&start.floor).into(),
            (&start.place).into(),
            (&caller.workflow).into(),
            (&caller.token).into(),
            (&caller.number).into(),
            (&caller.step).into(),
            (&caller.began).into(),
            (&caller.ended).into(),
        ]
    }
}

/// The output and the error of a step.
pub(crate) fn payloads(result: &StepResult) -> (Option<&Encoded>, Option<&Encoded>) {
    match result {
        StepResult::Output(value) => (Some(value), None),
        StepResult::Error(value) => (None, Some(value)),
        StepResult::Nothing => (None, None),
    }
}

/// The status that an outcome ends a workflow with, and its payload.
pub(crate) fn ending(outcome: &Outcome) -> (Status, &Encoded) {
    match outcome {
        Outcome::Success(value) => (Status::Success, value),
        Outcome::Failure(error) => (Status::Error, error),
    }
}

/// The deadline that a workflow has from the one that starts it.
pub(crate) fn inherited(timing: Timing) -> Option<i64> {
    match timing {
        Timing::Inherited(deadline) => Some(deadline.as_millis()),
        Timing::Unbounded | Timing::Timeout(_) => None,
    }
}

pub(crate) fn format(value: &Encoded) -> Option<&str> {
    value.format.as_ref().map(Format::as_str)
}
