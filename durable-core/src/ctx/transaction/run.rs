//! A transactional step from its first poll to its result.

use std::{borrow::Cow, error::Error as StdError, future::Future, sync::Arc};

use futures_util::future::{Either, select};

use super::{
    super::{
        body::InBody,
        sleep::place_of,
        step::{encode, gave_up, panicked, record, recorded_result, timed_out},
    },
    Plan,
};
use crate::{
    Error,
    any_error::WorkflowError,
    db::{Cause, DbError, Lost, Recorded, StepRecord, StepResult, StepStamp, outage::Kind},
    engine::{
        Event,
        execution::{Call, Execution},
    },
    names::Name,
    runtime::Timer,
    sabotage::Bug,
    source::{
        Backend, Checkpoint, Condition, Layout, Opened, Trouble, Witness, WitnessKey,
        writer::{Held, Holder, LONG, holding},
    },
    state::Status,
    workflow::Payload,
};

pub(super) async fn run<C, T, E>(
    execution: Arc<Execution>,
    call: Call<'static>,
    name: Cow<'static, str>,
    plan: Plan<'_, C, T, E>,
) -> Result<T, E>
where
    C: Send + 'static,
    T: Payload,
    E: WorkflowError,
{
    let call = Call {
        name: &name,
        ..call
    };
    if let Some(record) = execution.replay(call).await {
        if plan.source.backend().layout() == Layout::Other && !plan.options.read_only {
            // The execution that recorded it may not have come to this.
            execution.witness_unneeded(plan.source.backend(), call.number);
        }
        return recorded_result(&execution, record).await;
    }
    let mut run = Run {
        execution: &execution,
        backend: plan.source.backend(),
        call,
        plan: &plan,
        stamp: execution.stamp(call.number, call.name),
        attempt: 1,
        earlier: Vec::new(),
        outages: 0,
        renewals: 0,
        unsure: false,
    };
    loop {
        if let Next::Done(result) = run.once().await {
            return result;
        }
    }
}

/// How often a transaction is run again at once on another connection: a pool may hold as many that
/// are of no use any more.
const RENEWALS: u32 = 30;

/// A transactional step on its way.
struct Run<'r, 'a, C, T, E> {
    execution: &'r Execution,
    backend: &'r Arc<dyn Backend<C>>,
    call: Call<'r>,
    plan: &'r Plan<'a, C, T, E>,
    stamp: StepStamp,
    /// Attempts that met others, this one included.
    attempt: u32,
    /// What those said.
    earlier: Vec<String>,
    /// How often the database was away.
    outages: u32,
    /// How often another connection was needed.
    renewals: u32,
    /// Whether a commit may have happened whose answer was lost.
    unsure: bool,
}

enum Next<T, E> {
    Done(Result<T, E>),
    Again,
}

/// What the closure came to.
enum Ran<T, E> {
    Value(T),
    /// An error of its own, which may hide one of the database.
    Failed(E),
    /// A panic or a timeout.
    Broken(E),
}

impl<C, T, E> Run<'_, '_, C, T, E>
where
    C: Send + 'static,
    T: Payload,
    E: WorkflowError,
{
    /// One transaction.
    async fn once(&mut self) -> Next<T, E> {
        self.execution.gate().await;
        if let Err(error) = Name::Step.check(self.call.name) {
            return self.fail(E::from_durable(error)).await;
        }
        if let Some(before) = self.settled().await {
            return Next::Done(self.known(&before).await);
        }
        let mut tx = match self.backend.begin(self.plan.options).await {
            Ok(tx) => tx,
            Err(trouble) => return self.trouble(trouble).await,
        };
        let held = tx.holds().map(|key| Held::new(key, self.call.name));
        let execution = self.execution;
        let _holder = held.as_ref().map(|_| {
            execution.engine.holders.add(Holder {
                since: execution.engine.runtime.elapsed(),
                workflow: execution.id().to_string(),
                step: self.call.name.to_owned(),
            })
        });
        match self.witness(&mut *tx).await {
            Ok(None) => {}
            Ok(Some(witness)) => {
                tx.rollback().await;
                return Next::Done(self.adopt(witness).await);
            }
            Err(trouble) => {
                tx.rollback().await;
                return self.trouble(trouble).await;
            }
        }
        let ran = match tx.connection() {
            Ok(connection) => self.body(connection, held).await,
            Err(trouble) => return self.trouble(trouble).await,
        };
        if self.execution.interrupt.is_signalled() {
            // Nothing may stay locked while the execution waits for its end.
            tx.rollback().await;
            self.execution.gate().await;
            return Next::Again;
        }
        match ran {
            Ran::Value(value) => {
                self.stamp.completed_at = self.execution.now();
                let earlier = self.earlier.clone();
                let (result, stored) = encode(self.execution, self.call, Ok(value), earlier);
                match result {
                    Ok(value) => self.commit(tx, value, stored).await,
                    Err(error) => {
                        tx.rollback().await;
                        self.fail(error).await
                    }
                }
            }
            Ran::Broken(error) => {
                tx.rollback().await;
                self.fail(error).await
            }
            Ran::Failed(error) => {
                let condition = tx.condition().await;
                let hidden = self.hidden_in(&error, condition);
                if let Some(Trouble::Stale(_)) = hidden {
                    // Its connection is not used again.
                    drop(tx);
                } else {
                    tx.rollback().await;
                }
                self.failed(error, hidden).await
            }
        }
    }

    /// What is recorded already, if a commit's answer may be lost. Waits until the system database is back.
    async fn settled(&mut self) -> Option<StepRecord> {
        if !self.unsure || self.backend.layout() == Layout::Other {
            return None;
        }
        let (owner, number) = (&self.execution.owner, self.call.number);
        let outage = &self.execution.engine.outage;
        let look = || self.backend.settled(owner, number);
        let settled = outage.retry(Kind::Write, Some(&owner.workflow), look).await;
        match self.execution.ok(settled).await {
            Ok(found) => {
                self.unsure = false;
                if found.is_none() {
                    self.execution.order.unsettle(number);
                }
                found
            }
            Err(lost) => self.lost(lost).await,
        }
    }

    fn key(&self) -> WitnessKey {
        let execution = self.execution;
        let incarnation = if Bug::ForgetsWitness.is_planted() {
            execution.owner.token.to_string()
        } else {
            execution.incarnation.clone()
        };
        WitnessKey {
            workflow: execution.id().clone(),
            incarnation,
            number: self.call.number,
        }
    }

    async fn witness(&self, tx: &mut dyn Opened<C>) -> Result<Option<Witness>, Trouble> {
        if self.backend.layout() == Layout::System || self.plan.options.read_only {
            return Ok(None);
        }
        tx.witness(&self.key()).await
    }

    /// Calls the closure, which may have the database's only writer.
    async fn body(&self, connection: &mut C, held: Option<Held>) -> Ran<T, E> {
        let (execution, call) = (self.execution, self.call);
        execution.engine.observe(&Event::StepStarted {
            workflow: execution.id(),
            execution: &execution.owner.token,
            number: call.number,
            name: call.name,
            attempt: self.attempt,
        });
        if let Some(error) = execution.injected(call, self.attempt) {
            return Ran::Failed(error);
        }
        let _running = execution.interrupt.body();
        execution.swap_outbox_trouble(None);
        let timeout = self.plan.timeout;
        let body = InBody::new(execution, call.name, timeout, || {
            self.plan.body.call(connection)
        });
        let body = Box::pin(self.watched(held, body));
        let ended = match timeout {
            None => body.await,
            Some(timeout) => {
                let timer = execution.engine.runtime.sleep(timeout, Timer::Work);
                match select(body, timer).await {
                    Either::Left((ended, _)) => ended,
                    Either::Right(((), _)) => {
                        return Ran::Broken(timed_out(execution, call, self.attempt, timeout));
                    }
                }
            }
        };
        match ended {
            Ok(Ok(value)) => Ran::Value(value),
            Ok(Err(error)) => Ran::Failed(error),
            Err(panic) => Ran::Broken(panicked(execution, call, self.attempt, panic)),
        }
    }

    /// Says it when a closure that has the database's only writer takes long.
    async fn watched<R>(&self, held: Option<Held>, body: impl Future<Output = R> + Unpin) -> R {
        if held.is_none() {
            return body.await;
        }
        let body = Box::pin(holding(held, body));
        let timer = self.execution.engine.runtime.sleep(LONG, Timer::Work);
        match select(body, timer).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), body)) => {
                tracing::warn!(
                    workflow = %self.execution.id(),
                    step = self.call.name,
                    "the closure of a transactional step has had the database's only writer for \
                     {LONG:?}: nothing else of this process is written until it ends; if it waits \
                     for something that writes, both wait for ever"
                );
                body.await
            }
        }
    }

    /// Commits the closure's writes, with the checkpoint or with a witness of it.
    async fn commit(&mut self, tx: Box<dyn Opened<C>>, value: T, stored: StepResult) -> Next<T, E> {
        if self.plan.options.read_only || Bug::CommitsApart.is_planted() {
            return match tx.commit().await {
                Ok(()) => self.record(Ok(value), stored).await,
                Err(trouble) => self.trouble(trouble).await,
            };
        }
        match self.backend.layout() {
            Layout::System => self.commit_checkpoint(tx, value, stored).await,
            Layout::Other => self.commit_witness(tx, value, stored).await,
        }
    }

    async fn commit_checkpoint(
        &mut self,
        mut tx: Box<dyn Opened<C>>,
        value: T,
        stored: StepResult,
    ) -> Next<T, E> {
        self.stamp = self.execution.settled(self.stamp.clone());
        let record = self.stamp.record(stored, None);
        match tx.checkpoint(&self.execution.owner, &record).await {
            Ok(Checkpoint::Written) => {}
            Ok(Checkpoint::Known(before)) => {
                tx.rollback().await;
                return Next::Done(self.known(&before).await);
            }
            Ok(Checkpoint::Lost(lost)) => {
                tx.rollback().await;
                return self.lost(lost).await;
            }
            Err(trouble) => {
                tx.rollback().await;
                return self.trouble(trouble).await;
            }
        }
        match tx.commit().await {
            Ok(()) => {
                self.execution.observe_recorded(&self.stamp, true);
                Next::Done(Ok(value))
            }
            Err(trouble) => self.trouble(trouble).await,
        }
    }

    async fn commit_witness(
        &mut self,
        mut tx: Box<dyn Opened<C>>,
        value: T,
        stored: StepResult,
    ) -> Next<T, E> {
        if let Some(lost) = self.overtaken().await {
            tx.rollback().await;
            return self.lost(lost).await;
        }
        let StepResult::Output(output) = &stored else {
            // Only a value comes here, and a value is stored as an output.
            tx.rollback().await;
            return self.record(Ok(value), stored).await;
        };
        let witness = Witness {
            name: self.call.name.to_owned(),
            output: output.clone(),
        };
        match tx.leave_witness(&self.key(), &witness).await {
            Ok(true) => {}
            Ok(false) => {
                // Another execution was first; what it left is read at the beginning of the next transaction.
                tx.rollback().await;
                return Next::Again;
            }
            Err(trouble) => {
                tx.rollback().await;
                return self.trouble(trouble).await;
            }
        }
        if let Err(trouble) = tx.commit().await {
            return self.trouble(trouble).await;
        }
        let next = self.record(Ok(value), stored).await;
        self.recorded();
        next
    }

    /// The checkpoint of what a witness tells is written.
    fn recorded(&self) {
        self.execution
            .witness_unneeded(self.backend, self.call.number);
    }

    /// Whether this execution has lost its workflow. Asked right before a commit in another database, where no lock can keep it so.
    async fn overtaken(&self) -> Option<Lost> {
        let owner = &self.execution.owner;
        let found = self.execution.engine.db.workflow(&owner.workflow).await;
        let row = self.execution.ok(found).await;
        let ours = row.as_ref().is_some_and(|row| {
            row.status == Status::Pending && row.owner.as_ref() == Some(&owner.token)
        });
        (!ours).then(|| Lost {
            status: row.map(|row| row.status),
        })
    }

    /// Takes the result that a witness keeps.
    async fn adopt(&mut self, witness: Witness) -> Result<T, E> {
        self.stamp.completed_at = self.execution.now();
        let found = StepStamp {
            name: witness.name,
            ..self.stamp.clone()
        };
        let found = found.record(StepResult::Output(witness.output), None);
        if found.name != self.call.name {
            return self.other(found).await;
        }
        let result = recorded_result(self.execution, &found).await;
        let result = record(self.execution, self.call, &self.stamp, result, found.result).await;
        self.recorded();
        result
    }

    /// Takes the result that is recorded already.
    async fn known(&self, before: &StepRecord) -> Result<T, E> {
        if before.name != self.call.name || before.child.is_some() {
            return self.other(before.clone()).await;
        }
        let order = &self.execution.order;
        order.known(self.call.number, place_of(before));
        self.execution.observe_recorded(&self.stamp, true);
        recorded_result(self.execution, before).await
    }

    /// Stops: the number is taken by another operation.
    async fn other(&self, found: StepRecord) -> Result<T, E> {
        let conflict = Recorded::Conflict(Box::new(found));
        let none = StepResult::Nothing;
        let recorded = self.execution.recorded(&self.stamp, &none, Ok(conflict));
        if let Err(error) = recorded.await {
            return self.execution.refuse(error).await;
        }
        std::future::pending().await
    }

    /// Stops: the token is lost. A source of another database than the engine's looks like that, too, and is told apart.
    async fn lost<R>(&self, lost: Lost) -> R {
        if lost.status.is_none() && self.overtaken().await.is_none() {
            let error = Error::Invalid(format!(
                "step {:?} of workflow {:?} uses the data source of a system database that does not hold this workflow; make it of the \
                 handle that the application was launched with, or, for tables in another database, by `DataSource::connect`",
                self.call.name,
                self.execution.id().as_str(),
            ));
            return self.execution.refuse(error).await;
        }
        self.execution.lost(lost).await
    }

    /// What becomes of the closure's error.
    async fn failed(&mut self, error: E, hidden: Option<Trouble>) -> Next<T, E> {
        match hidden {
            Some(Trouble::Away(away)) => self.away(&away).await,
            Some(Trouble::Engine(bad)) if bad.is_about_arguments() => self.fail(error).await,
            Some(Trouble::Stale(stale)) if self.renewals < RENEWALS => self.stale(&stale).await,
            // A closure that prepares statements itself makes stale ones itself.
            Some(Trouble::Stale(_)) | None => self.fail(error).await,
            Some(Trouble::Engine(broken)) => self.execution.refuse(broken.into()).await,
            Some(_) => self.contended(error).await,
        }
    }

    /// The trouble of the database behind the closure's error, if there is one.
    fn hidden_in(&self, error: &E, condition: Condition) -> Option<Trouble> {
        if condition == Condition::Gone {
            let source = format!("the connection broke: {}", error.message());
            let away = DbError::unavailable("run a transactional step", source);
            return Some(Trouble::Away(away));
        }
        if let Some(trouble) = self.execution.swap_outbox_trouble(None) {
            return Some(self.trouble_of(trouble));
        }
        if self.plan.retry_if.as_ref().is_some_and(|is| is(error)) {
            return Some(Trouble::Contended(error.message()));
        }
        let mut next = error.as_std();
        while let Some(link) = next {
            if let Some(trouble) = self.trouble_in(link) {
                return Some(trouble);
            }
            next = link.source();
        }
        // What a sound transaction's error says is the application's own words.
        if condition == Condition::Sound {
            return None;
        }
        let texts = error.texts();
        texts
            .iter()
            .find_map(|text| self.backend.trouble_worded(text, self.plan.options))
    }

    /// What it means that a statement of the engine's failed inside the closure.
    fn trouble_of(&self, error: DbError) -> Trouble {
        let cause = match &error {
            DbError::Unavailable { source, .. } | DbError::Broken { source, .. } => Some(source),
            DbError::Refused(_) | DbError::InvalidArgument { .. } => None,
        };
        match cause.and_then(|cause| self.trouble_in(cause)) {
            Some(trouble) => trouble,
            None if error.is_retryable() => Trouble::Away(error),
            None => Trouble::Engine(error),
        }
    }

    fn trouble_in(&self, link: &(dyn StdError + 'static)) -> Option<Trouble> {
        let cause = link.downcast_ref::<Cause>().map(Cause::get_ref);
        let link = cause.map_or(link, |cause| cause as &(dyn StdError + 'static));
        self.backend.trouble_in(link, self.plan.options)
    }

    async fn trouble(&mut self, trouble: Trouble) -> Next<T, E> {
        let (workflow, number) = (self.execution.id().to_string(), self.call.number);
        let step = self.call.name.to_owned();
        match trouble {
            Trouble::Away(error) => self.away(&error).await,
            Trouble::Stale(error) => self.stale(&error).await,
            Trouble::Contended(message) => {
                let attempts = self.attempt;
                self.contended(E::from_durable(Error::TransactionConflict {
                    workflow,
                    number,
                    step,
                    attempts,
                    message,
                }))
                .await
            }
            Trouble::Refused(message) => {
                self.fail(E::from_durable(Error::TransactionRefused {
                    workflow,
                    number,
                    step,
                    message,
                }))
                .await
            }
            // Rolled back by now: it cannot be recorded as it is, and never will.
            Trouble::Engine(error) if error.is_about_arguments() => {
                self.fail(E::from_durable(error.into())).await
            }
            Trouble::Engine(error) => self.execution.refuse(error.into()).await,
        }
    }

    /// The database is away: again, for as long as it takes.
    async fn away(&mut self, error: &DbError) -> Next<T, E> {
        self.outages = self.outages.saturating_add(1);
        self.unsure = true;
        // Of the system database the outage tells, once for all who wait.
        if self.outages == 1 && self.backend.layout() == Layout::Other {
            tracing::warn!(%error, workflow = %self.execution.id(), step = self.call.name, "a transaction broke off; it is tried until its database is back");
        }
        self.execution.engine.outage.pause(self.outages).await;
        Next::Again
    }

    /// The connection could not be used any more: at once on another one. Where that goes on,
    /// nothing is won by haste.
    async fn stale(&mut self, error: &DbError) -> Next<T, E> {
        // Nothing is committed.
        self.execution.order.unsettle(self.call.number);
        self.renewals = self.renewals.saturating_add(1);
        if self.renewals > RENEWALS {
            return self.away(error).await;
        }
        tracing::debug!(
            %error,
            workflow = %self.execution.id(),
            step = self.call.name,
            "a transaction is run again on another connection"
        );
        Next::Again
    }

    /// Others were in the way: again, unless that has been enough.
    async fn contended(&mut self, error: E) -> Next<T, E> {
        // Nothing is committed.
        self.execution.order.unsettle(self.call.number);
        let attempt = self.attempt;
        if !self.plan.retry.allows_after(attempt) {
            let error = gave_up(self.execution, self.call, attempt, error);
            return self.fail(error).await;
        }
        let message = error.message();
        let engine = &self.execution.engine;
        let wait = self.plan.retry.wait_after(attempt, engine.runtime.random());
        engine.observe(&Event::StepRetried {
            workflow: self.execution.id(),
            execution: &self.execution.owner.token,
            number: self.call.number,
            name: self.call.name,
            attempt,
            error: &message,
            wait,
        });
        self.earlier.push(message);
        engine.runtime.sleep(wait, Timer::Work).await;
        self.attempt = attempt.saturating_add(1);
        Next::Again
    }

    /// Records an error as the result; what the transaction did is rolled back by now.
    async fn fail(&mut self, error: E) -> Next<T, E> {
        self.execution.gate().await;
        self.stamp.completed_at = self.execution.now();
        let earlier = std::mem::take(&mut self.earlier);
        let (result, stored) = encode(self.execution, self.call, Err(error), earlier);
        self.record(result, stored).await
    }

    /// Records what the step came to.
    async fn record(&mut self, result: Result<T, E>, stored: StepResult) -> Next<T, E> {
        Next::Done(record(self.execution, self.call, &self.stamp, result, stored).await)
    }
}
