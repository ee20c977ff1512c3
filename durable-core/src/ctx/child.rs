//! Child workflows.

use std::{
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomData,
    panic::Location,
    sync::Arc,
};

use super::{Ctx, Operation, mailbox::record_error, operation::Built, step::recorded_result};
use crate::{
    AnyError, Error,
    any_error::WorkflowError,
    codec::{encode_args, encode_error},
    db::{Existing, NewWorkflow, StepRecord, StepResult},
    engine::{
        Awaited, Engine, decode_end,
        execution::{Call, Execution},
        slot::ResultSlot,
        start::{Insertion, StartCall, StartOptions, TimeoutChoice, start_options},
        unencodable,
    },
    ids::{WorkflowId, WorkflowKey},
    names::Name,
    payload::{Encoded, Ended, Outcome},
    runtime::BoxFuture,
    sabotage::Bug,
    state::Status,
    workflow::{MethodFn, Payload, WorkflowDef, WorkflowFn, key_of},
};

const GET_RESULT: &str = "DBOS.getResult";
const GET_STATUS: &str = "DBOS.getStatus";
const CANCEL: &str = "DBOS.cancelWorkflow";
const RESUME: &str = "DBOS.resumeWorkflow";

/// A child about to be started. It has its number; await it to start it, which gives a [`ChildHandle`].
#[must_use = "a child is started when this is awaited"]
pub struct ChildStart<D: WorkflowDef> {
    ctx: Ctx,
    built: Built,
    key: WorkflowKey,
    input: Result<Encoded, Error>,
    options: StartOptions,
    definition: PhantomData<fn() -> D>,
}

impl Ctx {
    /// Builds the start of a child workflow; options follow as methods, then `.await` gives a [`ChildHandle`].
    ///
    /// The child's row and this workflow's record of it are one commit. Its id is `{parent}-{number}` unless given; it inherits the
    /// deadline unless it gets a timeout. Errors: `Conflict` when the id belongs to another
    /// workflow, or, if it is not given, to one that this workflow has not started; `Encode`,
    /// `Invalid`, `InvalidName`. A child that is not registered stops the execution instead; the
    /// workflow goes on in a process that knows it.
    #[track_caller]
    pub fn start<D: WorkflowDef, Args>(
        &self,
        workflow: impl WorkflowFn<D, Args>,
        input: D::Input,
    ) -> ChildStart<D> {
        let _ = workflow;
        self.child(None, &input, Location::caller())
    }

    /// As [`start`](Self::start), for a workflow that is a method, on the instance registered under `instance`.
    #[track_caller]
    pub fn start_on<T, D: WorkflowDef, Args>(
        &self,
        instance: &str,
        method: impl MethodFn<T, D, Args>,
        input: D::Input,
    ) -> ChildStart<D> {
        let _ = method;
        self.child(Some(instance), &input, Location::caller())
    }

    /// Builds the call of a child workflow, its start and the wait for its result in one; options follow as methods, then `.await` gives
    /// its result.
    ///
    /// It is recorded as [`start`](Self::start) and [`ChildHandle::result`] are, as two operations, whose numbers follow each other. Built
    /// before a `join!`, several calls run at once. Errors: those of the two, in the child's error type.
    ///
    /// ```
    /// use durable_core::{AnyError, Ctx};
    /// # use durable_core::{Invocation, WorkflowDef};
    /// # struct Charge;
    /// # impl WorkflowDef for Charge {
    /// #     const NAME: &'static str = "charge";
    /// #     const CLASS: Option<&'static str> = None;
    /// #     const PARAMS: &'static [&'static str] = &["cents"];
    /// #     const BODY_HASH: u128 = 0;
    /// #     const VERSION: Option<&'static str> = None;
    /// #     const MAX_RECOVERY_ATTEMPTS: Option<u32> = None;
    /// #     type Input = u32;
    /// #     type Output = String;
    /// #     type Error = AnyError;
    /// # }
    /// # fn charge(_: Ctx, _: u32) -> Invocation<Charge> {
    /// #     Invocation::new(async { Ok(String::new()) })
    /// # }
    /// async fn pay(ctx: &Ctx, order: &str, cents: u32) -> Result<String, AnyError> {
    ///     // `charge` is an `async fn(ctx: Ctx, cents: u32) -> Result<String, AnyError>` with `#[durable::workflow]` on it.
    ///     ctx.call(charge, cents).id(format!("charge-{order}")).await
    /// }
    /// ```
    #[track_caller]
    pub fn call<D: WorkflowDef, Args>(
        &self,
        workflow: impl WorkflowFn<D, Args>,
        input: D::Input,
    ) -> ChildCall<D> {
        let _ = workflow;
        self.called(None, &input, Location::caller())
    }

    /// As [`call`](Self::call), for a workflow that is a method, on the instance registered under `instance`.
    #[track_caller]
    pub fn call_on<T, D: WorkflowDef, Args>(
        &self,
        instance: &str,
        method: impl MethodFn<T, D, Args>,
        input: D::Input,
    ) -> ChildCall<D> {
        let _ = method;
        self.called(Some(instance), &input, Location::caller())
    }

    fn called<D: WorkflowDef>(
        &self,
        config: Option<&str>,
        input: &D::Input,
        place: &'static Location<'static>,
    ) -> ChildCall<D> {
        ChildCall {
            start: self.child(config, input, place),
            result: self.build(GET_RESULT, 1, place),
        }
    }

    fn child<D: WorkflowDef>(
        &self,
        config: Option<&str>,
        input: &D::Input,
        place: &'static Location<'static>,
    ) -> ChildStart<D> {
        ChildStart {
            built: self.build(D::NAME, 1, place),
            ctx: self.clone(),
            key: key_of::<D>(config),
            input: encode_args::<D>(&self.engine().codecs, input),
            options: StartOptions::default(),
            definition: PhantomData,
        }
    }

    /// How a workflow stands now, recorded. Errors: `NotFound`.
    #[track_caller]
    pub fn status(&self, workflow: impl Into<WorkflowId>) -> Operation<'static, Status> {
        self.manage(GET_STATUS, workflow.into(), |engine, id| async move {
            engine.row(&id).await.map(|row| row.status)
        })
    }

    /// Cancels a workflow, unless it has ended; whether this call did. Its children go on. Errors: `NotFound`.
    #[track_caller]
    pub fn cancel(&self, workflow: impl Into<WorkflowId>) -> Operation<'static, bool> {
        self.manage(CANCEL, workflow.into(), |engine, id| async move {
            engine.cancel(&id).await
        })
    }

    /// Continues a cancelled or dead-lettered workflow; whether this call did. Errors: `NotFound`.
    #[track_caller]
    pub fn resume(&self, workflow: impl Into<WorkflowId>) -> Operation<'static, bool> {
        self.manage(RESUME, workflow.into(), |engine, id| async move {
            engine.resume(&id).await
        })
    }

    #[track_caller]
    fn manage<T, Fut>(
        &self,
        name: &'static str,
        workflow: WorkflowId,
        act: impl FnOnce(Arc<Engine>, WorkflowId) -> Fut + Send + 'static,
    ) -> Operation<'static, T>
    where
        T: Payload + Sync,
        Fut: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let built = self.build(name, 1, Location::caller());
        Operation::new(name, built, move |execution, call| async move {
            let call = Call { name, ..call };
            if let Some(record) = execution.replay(call).await {
                return recorded_result(&execution, record).await;
            }
            execution.gate().await;
            let mut stamp = execution.stamp(call.number, call.name);
            let result = match act(Arc::clone(&execution.engine), workflow).await {
                Err(error @ Error::Database { .. }) => return execution.refuse(error).await,
                result => result,
            };
            stamp.completed_at = execution.now();
            let codecs = &execution.engine.codecs;
            let stored = match &result {
                Ok(value) => codecs.encode(&name, value).map(StepResult::Output),
                Err(error) => encode_error(codecs, &name, error, Vec::new()).map(StepResult::Error),
            };
            let stored = stored.unwrap_or_else(|error| StepResult::Error(unencodable(&error)));
            match execution.record(&stamp, stored, None).await {
                Ok(()) => result,
                Err(error) => record_error(&execution, call, error).await,
            }
        })
    }
}

impl<D: WorkflowDef> ChildStart<D> {
    fn option(mut self, set: impl FnOnce(&mut StartOptions)) -> Self {
        set(&mut self.options);
        self
    }

    start_options!(option);

    /// Gives the child no deadline, also not its parent's.
    pub fn no_timeout(self) -> Self {
        self.option(|options| options.timeout = TimeoutChoice::Never)
    }

    fn operation(self) -> Operation<'static, ChildHandle<D::Output, D::Error>> {
        let Self {
            ctx,
            built,
            key,
            input,
            options,
            ..
        } = self;
        Operation::new(D::NAME, built, move |execution, call| async move {
            let call = Call {
                name: D::NAME,
                child: true,
                ..call
            };
            let start = input.map(|input| StartCall {
                key,
                input,
                options,
            });
            let started = start_child(&execution, call, start).await;
            started.map(|(id, slot)| ChildHandle {
                ctx,
                id,
                name: D::NAME,
                slot,
                result: PhantomData,
            })
        })
    }
}

impl<D: WorkflowDef> IntoFuture for ChildStart<D> {
    type Output = Result<ChildHandle<D::Output, D::Error>, Error>;
    type IntoFuture = Operation<'static, ChildHandle<D::Output, D::Error>>;

    fn into_future(self) -> Self::IntoFuture {
        self.operation()
    }
}

impl<D: WorkflowDef> fmt::Debug for ChildStart<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildStart({})", self.key)
    }
}

/// A child about to be called. It has its two numbers; await it to start the child and to wait for its result.
#[must_use = "a child is called when this is awaited"]
pub struct ChildCall<D: WorkflowDef> {
    start: ChildStart<D>,
    result: Built,
}

impl<D: WorkflowDef> ChildCall<D> {
    fn option(mut self, set: impl FnOnce(&mut StartOptions)) -> Self {
        set(&mut self.start.options);
        self
    }

    start_options!(option);

    /// Gives the child no deadline, also not its parent's.
    pub fn no_timeout(self) -> Self {
        self.option(|options| options.timeout = TimeoutChoice::Never)
    }
}

impl<D: WorkflowDef> IntoFuture for ChildCall<D> {
    type Output = Result<D::Output, D::Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { start, result } = self;
        Box::pin(async move {
            let child = start.await.map_err(D::Error::from_durable)?;
            awaited(result, child.id, child.slot).await
        })
    }
}

impl<D: WorkflowDef> fmt::Debug for ChildCall<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildCall({})", self.start.key)
    }
}

type Started = (WorkflowId, Option<Arc<ResultSlot>>);

/// What is to be inserted. Errors: it cannot be.
fn prepare(
    execution: &Execution,
    call: Call<'_>,
    start: Result<StartCall, Error>,
) -> Result<(StartCall, NewWorkflow), Error> {
    let start = start?;
    start.options.check()?;
    start.check_key()?;
    let id = if let Some(id) = &start.options.id {
        WorkflowId::from(id.as_str())
    } else {
        let id = WorkflowId::of_child(execution.id(), call.number);
        Name::ChildId.check(id.as_str())?;
        id
    };
    let deadline = execution
        .deadline
        .filter(|_| !Bug::ChildWithoutDeadline.is_planted());
    let parent = Some((execution.id(), deadline));
    let new = execution.engine.new_workflow(id, &start, parent)?;
    Ok((start, new))
}

/// The child's id is another workflow's.
fn conflict(execution: &Execution, new: &NewWorkflow, existing: &Existing) -> Error {
    let (mut held, mut called) = (existing.key.to_string(), new.key.to_string());
    if existing.key == new.key {
        let by = |parent: Option<&WorkflowId>| match parent {
            Some(parent) => format!(", child of {:?}", parent.as_str()),
            None => ", no child of another".to_owned(),
        };
        held += &by(existing.parent.as_ref());
        called += &by(Some(execution.id()));
    }
    Error::Conflict {
        workflow: new.id.to_string(),
        existing: held,
        called,
    }
}

/// Why the start was refused the first time.
async fn recorded_refusal(execution: &Execution, record: &StepRecord) -> Error {
    match recorded_result::<(), Error>(execution, record).await {
        Err(error) => error,
        Ok(()) => Error::NotFound {
            workflow: "the child of a start that records none".to_owned(),
        },
    }
}

async fn start_child(
    execution: &Execution,
    call: Call<'_>,
    start: Result<StartCall, Error>,
) -> Result<Started, Error> {
    if let Some(record) = execution.replay(call).await {
        // The recorded child wins over any newly given id.
        return match &record.child {
            Some(child) => Ok((child.clone(), None)),
            None => Err(recorded_refusal(execution, record).await),
        };
    }
    execution.gate().await;
    let (start, new) = match prepare(execution, call, start) {
        Ok(prepared) => prepared,
        // A gap in the application's set-up is no outcome: the workflow goes on in a process that knows the child.
        Err(error @ Error::NotRegistered { .. }) => return execution.refuse(error).await,
        Err(error) => return record_error(execution, call, error).await,
    };
    let (id, joining) = (new.id.clone(), new.clone());
    let stamp = execution.settled(execution.stamp(call.number, call.name));
    let step = Some((execution.owner.clone(), stamp.clone()));
    match execution.engine.insert(new, step).await {
        Ok(Insertion::Created(slot)) => {
            execution.observe_recorded(&stamp, true);
            Ok((id, slot))
        }
        Ok(Insertion::Exists(existing)) => {
            if !joining.joins(&existing, execution.id(), call.number) {
                let error = conflict(execution, &joining, &existing);
                return record_error(execution, call, error).await;
            }
            start.warn_of_queue(&id, &existing);
            execution.observe_recorded(&stamp, true);
            Ok((id, None))
        }
        Ok(Insertion::Lost(lost)) => execution.lost(lost).await,
        // One of its values cannot be stored, and never will.
        Err(error @ Error::Invalid(_)) => record_error(execution, call, error).await,
        // The database's trouble, or the shutdown's, is no outcome of this workflow.
        Err(error) => execution.refuse(error).await,
    }
}

/// A child workflow, as its parent holds it. Cheap to clone; belongs to the parent's own task.
///
/// Its types are those of the child's `Result`, so that a struct can hold it: `ChildHandle<Receipt, ShopError>`.
pub struct ChildHandle<T, E = AnyError> {
    ctx: Ctx,
    id: WorkflowId,
    /// The name that the child is stored under.
    name: &'static str,
    slot: Option<Arc<ResultSlot>>,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T, E> ChildHandle<T, E> {
    /// The child's id.
    pub fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// Waits for the child's end and gives its result, which is recorded: a replay gives the same.
    ///
    /// Besides the child's own error, as `durable::Error` in its type: `Cancelled`, `DeadLettered`, `NotFound`.
    #[track_caller]
    pub fn result(&self) -> Operation<'static, T, E>
    where
        T: Payload,
        E: WorkflowError,
    {
        let built = self.ctx.build(GET_RESULT, 1, Location::caller());
        awaited(built, self.id.clone(), self.slot.clone())
    }

    /// How the child stands now, recorded. Errors: `NotFound`.
    #[track_caller]
    pub fn status(&self) -> Operation<'static, Status> {
        self.ctx.status(&self.id)
    }

    /// Cancels the child, unless it has ended; whether this call did.
    #[track_caller]
    pub fn cancel(&self) -> Operation<'static, bool> {
        self.ctx.cancel(&self.id)
    }
}

/// The wait for a child's end, as the operation of this number.
fn awaited<T: Payload, E: WorkflowError>(
    built: Built,
    child: WorkflowId,
    slot: Option<Arc<ResultSlot>>,
) -> Operation<'static, T, E> {
    Operation::new(GET_RESULT, built, move |execution, call| async move {
        let call = Call {
            name: GET_RESULT,
            child: true,
            ..call
        };
        child_result(&execution, call, child, slot).await
    })
}

impl<T, E> Clone for ChildHandle<T, E> {
    fn clone(&self) -> Self {
        Self {
            ctx: self.ctx.clone(),
            id: self.id.clone(),
            name: self.name,
            slot: self.slot.clone(),
            result: PhantomData,
        }
    }
}

impl<T, E> fmt::Debug for ChildHandle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildHandle")
            .field("workflow", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

async fn child_result<T: Payload, E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    id: WorkflowId,
    slot: Option<Arc<ResultSlot>>,
) -> Result<T, E> {
    if let Some(record) = execution.replay(call).await {
        if record.child.as_ref() != Some(&id) {
            return other_child(execution, call, record, &id).await;
        }
        return recorded_result(execution, record).await;
    }
    execution.gate().await;
    let mut stamp = execution.stamp(call.number, call.name);
    execution.observe_waits(call.number, Awaited::End(&id));
    let ended = {
        let _waits = execution.interrupt.waits();
        match execution.engine.end_of(&id, slot.as_deref()).await {
            Ok(ended) => Ok(ended),
            // The child's execution here was stopped; the child goes on, and so does the wait for
            // it.
            Err(_) => execution.engine.waiters.result(&id).await,
        }
    };
    let ended = match ended {
        Ok(ended) => ended,
        // Its id came from the database, which now does not take it.
        Err(error) => return execution.refuse(error).await,
    };
    stamp.completed_at = execution.now();
    let result = decode_end(&execution.engine, &id, &ended);
    if result.is_err() && Bug::ForgetsChildErrors.is_planted() {
        return result;
    }
    let stored = child_end(execution, ended, &result);
    match execution.record(&stamp, stored, Some(id)).await {
        Ok(()) => result,
        // What the child's row holds, this one must hold too.
        Err(error) => execution.refuse(error).await,
    }
}

/// A child's end as its parent records it: its own words where it has some.
fn child_end<T, E: WorkflowError>(
    execution: &Execution,
    ended: Ended,
    result: &Result<T, E>,
) -> StepResult {
    match (ended, result) {
        (Ended::Outcome(Outcome::Success(value)), Ok(_)) => StepResult::Output(value),
        (Ended::Outcome(Outcome::Failure(error)), Err(_)) => StepResult::Error(error),
        (Ended::Cancelled, _) if Bug::RecordsCancelAsNothing.is_planted() => StepResult::Nothing,
        (_, Err(error)) => {
            let codecs = &execution.engine.codecs;
            let stored = encode_error(codecs, &"a child's error", error, Vec::new());
            StepResult::Error(stored.unwrap_or_else(|error| unencodable(&error)))
        }
        // Only an outcome decodes to a value.
        (_, Ok(_)) => StepResult::Nothing,
    }
}

async fn other_child<T>(
    execution: &Execution,
    call: Call<'_>,
    record: &StepRecord,
    id: &WorkflowId,
) -> T {
    let recorded = record.child.as_ref().map_or("none", WorkflowId::as_str);
    let error = Error::UnexpectedStep {
        workflow: execution.id().to_string(),
        number: call.number,
        recorded: format!("the result of child {recorded:?}"),
        called: format!("the result of child {:?}", id.as_str()),
        place: call.place.to_string(),
    };
    execution.refuse(error).await
}
