//! One execution of a workflow, as its operations see it.

use std::{
    collections::BTreeMap,
    panic::Location,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Awaited, Engine, Event,
    interrupt::{Interrupt, Interruption},
    order::Order,
    replay::Rehearsal,
    slot::ResultSlot,
    witnesses::Unneeded,
};
use crate::{
    Error,
    ctx::{SLEEP, place_of, sequence::Sequence},
    db::{Claimed, DbError, Lost, Recorded, StepRecord, StepResult, StepStamp},
    ids::{Owner, WorkflowId, WorkflowKey},
    names,
    payload::Encoded,
    sabotage::Bug,
    time::Timestamp,
};

/// One execution: its identity, its history, and the state of its operations.
pub(crate) struct Execution {
    pub(crate) engine: Arc<Engine>,
    pub(crate) owner: Owner,
    pub(crate) key: WorkflowKey,
    /// How many executions were dispatched, this one included.
    pub(crate) attempt: i64,
    /// How many of them count as crashes, with this one.
    pub(super) counted: i64,
    pub(crate) deadline: Option<Timestamp>,
    /// Tells this workflow from an earlier, deleted one of its id.
    pub(crate) incarnation: String,
    pub(crate) slot: Arc<ResultSlot>,
    pub(crate) interrupt: Interrupt,
    pub(crate) sequence: Sequence,
    pub(crate) order: Order,
    /// Where this is a replay that must do nothing new.
    pub(crate) rehearsal: Option<Rehearsal>,
    history: BTreeMap<i32, StepRecord>,
    /// Why an enqueue or a send in a transaction's closure failed last: the closure gives it as an error of its own.
    outbox_trouble: Mutex<Option<DbError>>,
    /// The operation that gave an error last.
    failed: Mutex<Option<Failed>>,
    /// Witnesses of steps that are recorded.
    pub(super) unneeded: Unneeded,
}

/// An operation that gave an error: its number, its name, and the error.
type Failed = (i32, String, Encoded);

/// What the code calls at an operation's place, to be compared with what is recorded there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) number: i32,
    pub(crate) name: &'a str,
    /// Whether the operation starts or awaits a child workflow.
    pub(crate) child: bool,
    pub(crate) place: &'static Location<'static>,
}

impl Execution {
    pub(super) fn new(
        engine: Arc<Engine>,
        owner: Owner,
        claimed: &Claimed,
        history: Vec<StepRecord>,
        slot: Arc<ResultSlot>,
    ) -> Self {
        let row = &claimed.row;
        let order = Order::default();
        let ended = history.iter().filter(|step| step.name != SLEEP);
        order.begins_at(ended.map(|step| (place_of(step).at, step.number)).max());
        Self {
            engine,
            owner,
            key: row.key.clone(),
            attempt: row.attempts,
            counted: claimed.counted(),
            deadline: row.deadline,
            incarnation: row.incarnation(),
            unneeded: Unneeded::default(),
            slot,
            interrupt: Interrupt::default(),
            sequence: Sequence::default(),
            order,
            rehearsal: None,
            history: history
                .into_iter()
                .map(|step| (step.number, step))
                .collect(),
            outbox_trouble: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// The same as a replay that does nothing new.
    pub(super) fn rehearsed(mut self) -> Self {
        self.rehearsal = Some(Rehearsal::default());
        self
    }

    pub(crate) fn id(&self) -> &WorkflowId {
        &self.owner.workflow
    }

    /// Keeps, or takes out, why an enqueue or a send in a transaction's closure failed last.
    pub(crate) fn swap_outbox_trouble(&self, trouble: Option<DbError>) -> Option<DbError> {
        let mut held = self
            .outbox_trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, trouble)
    }

    /// The record of an operation, if it has one, whatever it is of.
    pub(crate) fn recorded_as(&self, number: i32) -> Option<&StepRecord> {
        self.history.get(&number)
    }

    /// Whether anything is recorded: this execution goes on with what an earlier one began.
    pub(super) fn has_history(&self) -> bool {
        !self.history.is_empty()
    }

    /// Keeps that an operation gave an error, if it did.
    fn keep_failed(&self, number: i32, name: &str, result: &StepResult) {
        if let StepResult::Error(error) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            *failed = Some((number, name.to_owned(), error.clone()));
        }
    }

    /// The operation that gave an error last, in this execution.
    pub(super) fn failed_operation(&self) -> Option<Failed> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.clone()
    }

    /// What is recorded under numbers that the code has not come to. What it has built and dropped is not among it: it may have lost a
    /// race, as it did when it was recorded.
    pub(super) fn unused(&self) -> impl Iterator<Item = &StepRecord> {
        let next = self.sequence.last().saturating_add(1);
        self.history.range(next..).map(|(_, step)| step)
    }

    /// The record of an operation, if it has one. A record of something else stops the execution. Does not return without a record
    /// where nothing new must be done.
    pub(crate) async fn replay(&self, call: Call<'_>) -> Option<&StepRecord> {
        if let Some(rehearsal) = &self.rehearsal
            && !rehearsal.asks(call.number, self.history.contains_key(&call.number))
        {
            std::future::pending::<()>().await;
        }
        let record = self.history.get(&call.number)?;
        // A child's start that was refused is recorded without a child.
        let refused = call.child && matches!(record.result, StepResult::Error(_));
        let fits = record.child.is_some() == call.child || refused;
        if !names::is_record_of(call.name, record) || !fits {
            return self.refuse(self.unexpected(record, call)).await;
        }
        self.keep_failed(record.number, &record.name, &record.result);
        self.engine.observe(&Event::StepReplayed {
            workflow: self.id(),
            execution: &self.owner.token,
            number: call.number,
            name: call.name,
        });
        Some(record)
    }

    fn unexpected(&self, record: &StepRecord, call: Call<'_>) -> Error {
        let kind = |child: bool, name: &str| {
            if child {
                format!("child workflow {name:?}")
            } else {
                format!("{name:?}")
            }
        };
        Error::UnexpectedStep {
            workflow: self.id().to_string(),
            number: call.number,
            recorded: kind(record.child.is_some(), &record.name),
            called: kind(call.child, call.name),
            place: call.place.to_string(),
        }
    }

    /// Records an operation. Does not return if this execution has lost its workflow.
    ///
    /// Errors: the database does not take the record, so that this is what the operation comes to, and is to be recorded instead.
    pub(crate) async fn record(
        &self,
        stamp: &StepStamp,
        result: StepResult,
        child: Option<WorkflowId>,
    ) -> Result<(), Error> {
        let stamp = self.settled(stamp.clone());
        self.record_stamped(&stamp, result, child).await
    }

    /// As [`record`](Self::record), with the stamp as it is.
    pub(crate) async fn record_stamped(
        &self,
        stamp: &StepStamp,
        result: StepResult,
        child: Option<WorkflowId>,
    ) -> Result<(), Error> {
        let record = stamp.record(result, child);
        if Bug::AcknowledgesEarly.is_planted() {
            self.record_later(stamp, record);
            return Ok(());
        }
        let answer = self.engine.db.record_step(&self.owner, &record).await;
        self.recorded(stamp, &record.result, answer).await
    }

    /// Records an operation's error where something else could not be, under a name that every database takes. Does not return if the
    /// database does not take that either.
    pub(crate) async fn record_instead(&self, stamp: &StepStamp, error: StepResult) {
        let stamp = StepStamp {
            name: names::stand_in(&stamp.name).into_owned(),
            ..stamp.clone()
        };
        if let Err(lasting) = self.record(&stamp, error, None).await {
            self.refuse::<()>(lasting).await;
        }
    }

    /// What no engine must do: see [`Bug::AcknowledgesEarly`].
    fn record_later(&self, stamp: &StepStamp, record: StepRecord) {
        let (db, owner) = (Arc::clone(&self.engine.db), self.owner.clone());
        self.observe_recorded(stamp, true);
        let later = async move {
            let _ = db.record_step(&owner, &record).await;
        };
        self.engine
            .runtime
            .spawn("workflow", Box::pin(later))
            .detach();
    }

    /// Takes the answer to a recording write. Does not return unless it is written, or (the error) a value is what cannot be.
    pub(crate) async fn recorded(
        &self,
        stamp: &StepStamp,
        result: &StepResult,
        answer: Result<Recorded, DbError>,
    ) -> Result<(), Error> {
        match self.valid(answer).await? {
            Recorded::Lost(_) if Bug::TakesLostForWritten.is_planted() => {
                self.observe_recorded(stamp, true);
            }
            Recorded::Written => {
                self.keep_failed(stamp.number, &stamp.name, result);
                self.observe_recorded(stamp, !matches!(result, StepResult::Error(_)));
            }
            Recorded::Lost(lost) => self.lost::<()>(lost).await,
            Recorded::Conflict(other) => {
                let error = Error::UnexpectedStep {
                    workflow: self.id().to_string(),
                    number: stamp.number,
                    recorded: format!("{:?} with another result", other.name),
                    called: format!("{:?}", stamp.name),
                    place: "a concurrent operation of the same execution".to_owned(),
                };
                self.refuse::<()>(error).await;
            }
        }
        Ok(())
    }

    /// Tells that an operation is recorded.
    pub(crate) fn observe_recorded(&self, stamp: &StepStamp, success: bool) {
        self.engine.observe(&Event::StepRecorded {
            workflow: self.id(),
            execution: &self.owner.token,
            number: stamp.number,
            name: &stamp.name,
            success,
        });
    }

    /// Forgets an operation that has begun and is dropped. Where the code did that, and not the end of this execution, that is told.
    pub(crate) fn dropped(&self, number: i32) {
        self.sequence.forget(number);
        self.order.forget(number);
        if self.sequence.check_place().is_err() {
            // By another task, or with all the rest. What waited for it may go on.
            return self.interrupt.wake();
        }
        if !self.interrupt.is_signalled() {
            self.engine.observe(&Event::OperationDropped {
                workflow: self.id(),
                execution: &self.owner.token,
                number,
            });
        }
    }

    /// Tells that an operation waits for what others do.
    pub(crate) fn observe_waits(&self, number: i32, awaited: Awaited<'_>) {
        self.engine.observe(&Event::Waits {
            workflow: self.id(),
            execution: &self.owner.token,
            number,
            awaited,
        });
    }

    /// The database's time by this process's estimate. What is recorded has no say in it: it may be
    /// of a clock that was ahead.
    pub(crate) fn now(&self) -> Timestamp {
        self.engine.clock.now()
    }

    /// The begin of a record, with this moment as its beginning.
    pub(crate) fn stamp(&self, number: i32, name: &str) -> StepStamp {
        let now = self.now();
        StepStamp {
            number,
            name: names::recordable(name).into_owned(),
            started_at: now,
            completed_at: now,
        }
    }

    /// The stamp of an operation that is done: from now on it has its place among those that end.
    pub(crate) fn settled(&self, mut stamp: StepStamp) -> StepStamp {
        stamp.completed_at = self.order.settle(stamp.number, stamp.completed_at);
        stamp
    }

    /// The answer of the database. Does not return if it broke a promise: that is no outcome of a workflow.
    pub(crate) async fn ok<T>(&self, answer: Result<T, DbError>) -> T {
        match answer {
            Ok(value) => value,
            Err(error) => self.refuse(error.into()).await,
        }
    }

    /// As [`ok`](Self::ok), where it may be a value of this very operation that the database does not take: that is its error.
    pub(crate) async fn valid<T>(&self, answer: Result<T, DbError>) -> Result<T, Error> {
        match answer {
            Err(error) if error.is_about_arguments() && !Bug::StopsAtBadValues.is_planted() => {
                Err(error.into())
            }
            answer => Ok(self.ok(answer).await),
        }
    }

    /// Goes on only if nothing has stopped this execution.
    pub(crate) async fn gate(&self) {
        if self.interrupt.is_signalled() {
            std::future::pending::<()>().await;
        }
    }

    /// Stops this execution because its workflow belongs to another now; never returns.
    pub(crate) async fn lost<T>(&self, lost: Lost) -> T {
        self.interrupt.signal(Interruption::Lost(lost));
        std::future::pending().await
    }

    /// Stops this execution, its workflow unfinished and recoverable; never returns.
    pub(crate) async fn refuse<T>(&self, error: Error) -> T {
        if let Some(rehearsal) = &self.rehearsal {
            rehearsal.refused();
        }
        self.interrupt.signal(Interruption::Refused(error));
        std::future::pending().await
    }
}
