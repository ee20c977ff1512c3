//! Steps: code that runs once, and whose result is a checkpoint.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{Either, select};
use tokio_util::sync::CancellationToken;

use super::{
    Ctx,
    body::InBody,
    operation::{Flight, Ticket},
};
use crate::{
    Error,
    any_error::WorkflowError,
    codec::{decode_error, decode_own_error, encode_error},
    db::{StepRecord, StepResult, StepStamp},
    engine::{
        Event,
        execution::{Call, Execution},
    },
    ids::WorkflowId,
    names::Name,
    payload::Encoded,
    runtime::{BoxFuture, Timer},
    sabotage::Bug,
    state::retry::RetryPolicy,
    workflow::Payload,
};

/// What a step's body may look at: which attempt it is, and whether it is asked to end early.
#[derive(Clone, Debug)]
pub struct StepCtx {
    workflow: WorkflowId,
    number: i32,
    attempt: u32,
    max_attempts: u32,
    token: CancellationToken,
}

impl StepCtx {
    /// The workflow's id.
    pub fn workflow_id(&self) -> &WorkflowId {
        &self.workflow
    }

    /// The step's number in its workflow. With the workflow's id it makes an idempotency key for calls to other services.
    pub fn step_id(&self) -> i32 {
        self.number
    }

    /// Which attempt this is, from 1; a recovered workflow begins at 1 again.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether no attempt follows if this one fails.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts
    }

    /// Whether the attempt's result is no longer wanted: the workflow was cancelled or taken over, or the attempt timed out.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Completes when [`is_cancelled`](Self::is_cancelled) becomes true.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// A token to hand to code that takes one: it is cancelled when
    /// [`is_cancelled`](Self::is_cancelled) turns true. Cancelling it yourself stops nothing else.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.token.child_token()
    }
}

/// The body of a step: a closure without argument, or with a [`StepCtx`], whose future gives a `Result`. Called once for each attempt.
#[diagnostic::on_unimplemented(
    message = "this closure cannot be the body of a step",
    note = "a step's body is `|| async {{ … }}` or `|step: StepCtx| async move {{ … }}` and gives a `Result<T, E>`; it may be called again, so it must not give away what it captures: clone inside it"
)]
pub trait StepBody<'a, Args, T, E>: Send + 'a {
    /// Calls it.
    #[doc(hidden)]
    fn call(&mut self, step: StepCtx) -> BoxFuture<'a, Result<T, E>>;
}

#[diagnostic::do_not_recommend]
impl<'a, F, Fut, T, E> StepBody<'a, (), T, E> for F
where
    F: FnMut() -> Fut + Send + 'a,
    Fut: Future<Output = Result<T, E>> + Send + 'a,
{
    fn call(&mut self, _step: StepCtx) -> BoxFuture<'a, Result<T, E>> {
        Box::pin(self())
    }
}

#[diagnostic::do_not_recommend]
impl<'a, F, Fut, T, E> StepBody<'a, (StepCtx,), T, E> for F
where
    F: FnMut(StepCtx) -> Fut + Send + 'a,
    Fut: Future<Output = Result<T, E>> + Send + 'a,
{
    fn call(&mut self, step: StepCtx) -> BoxFuture<'a, Result<T, E>> {
        Box::pin(self(step))
    }
}

type Body<'a, T, E> = Box<dyn FnMut(StepCtx) -> BoxFuture<'a, Result<T, E>> + Send + 'a>;
type Predicate<'a, E> = Box<dyn Fn(&E) -> bool + Send + Sync + 'a>;

/// A step that was built and has its number: await it to run it; options are set before that.
///
/// Its body runs at least once; its result, value or error, is recorded exactly once and comes back on every replay. An effect that
/// must not happen twice needs an idempotency key, for example of the workflow's id and [`StepCtx::step_id`].
#[must_use = "a step does nothing unless it is awaited"]
pub struct Step<'a, T, E> {
    name: Cow<'static, str>,
    flight: Flight<'a, Result<T, E>>,
    plan: Option<Plan<'a, T, E>>,
}

/// What a step will do.
struct Plan<'a, T, E> {
    body: Body<'a, T, E>,
    retry: RetryPolicy,
    retry_if: Option<Predicate<'a, E>>,
    timeout: Option<Duration>,
}

impl Ctx {
    /// Builds a step of this name; awaiting it runs `body`, or gives what is recorded.
    ///
    /// By default there is one attempt and no timeout. Errors, besides the body's own, as `durable::Error` in its type: `StepTimeout`,
    /// `StepPanicked`, `Encode` for a value that cannot be stored, `InvalidName`, `Nested` and `ForeignTask` for a step that is where it must not be.
    #[track_caller]
    pub fn step<'a, Args, T, E>(
        &self,
        name: impl Into<Cow<'static, str>>,
        mut body: impl StepBody<'a, Args, T, E>,
    ) -> Step<'a, T, E>
    where
        T: Payload,
        E: WorkflowError,
    {
        let name = name.into();
        Step {
            flight: Flight::new(self.build(&name, 1, Location::caller())),
            name,
            plan: Some(Plan {
                body: Box::new(move |step| body.call(step)),
                retry: RetryPolicy::default(),
                retry_if: None,
                timeout: None,
            }),
        }
    }
}

impl<'a, T, E> Step<'a, T, E> {
    /// Makes at most `n` attempts in all, the first included: the second 1 s after the first has failed, and each further one after twice
    /// as long.
    ///
    /// The error of the last attempt is the step's. An [`AnyError`](crate::AnyError) then names the step and the number of attempts; an
    /// error type of your own stays as it is, and a warning names them. What the attempts before said is recorded with it.
    pub fn max_attempts(self, n: u32) -> Self {
        self.plan(|plan| plan.retry = plan.retry.max_attempts(n))
    }

    /// Makes attempts by this policy. Attempts are counted in memory: a recovered workflow begins at the first again.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.plan(|plan| plan.retry = policy)
    }

    /// Retries only errors for which `predicate` is true; any other is the step's result at once.
    pub fn retry_if(self, predicate: impl Fn(&E) -> bool + Send + Sync + 'a) -> Self {
        self.plan(|plan| plan.retry_if = Some(Box::new(predicate)))
    }

    /// Ends an attempt that takes longer, with `StepTimeout`, which is retried like any other error.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.plan(|plan| plan.timeout = Some(timeout))
    }

    fn plan(mut self, change: impl FnOnce(&mut Plan<'a, T, E>)) -> Self {
        if let Some(plan) = &mut self.plan {
            change(plan);
        }
        self
    }
}

// Nothing in it is pinned in place: the futures are boxed.
impl<T, E> Unpin for Step<'_, T, E> {}

impl<'a, T: Payload, E: WorkflowError> Future for Step<'a, T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (plan, name) = (&mut this.plan, &this.name);
        let begin = |ticket: &Ticket| match plan.take() {
            Some(plan) => {
                let call = ticket.call("", false);
                let run = run(Arc::clone(&ticket.execution), call, name.clone(), plan);
                Box::pin(run) as BoxFuture<'a, _>
            }
            // Begun once only: the flight keeps the future.
            None => Box::pin(std::future::pending()),
        };
        this.flight
            .poll(cx, name, begin, |error| Err(E::from_durable(error)))
    }
}

impl<T, E> fmt::Debug for Step<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Step({:?})", self.name)
    }
}

/// A step from its first poll to its result.
async fn run<T: Payload, E: WorkflowError>(
    execution: Arc<Execution>,
    call: Call<'static>,
    name: Cow<'static, str>,
    plan: Plan<'_, T, E>,
) -> Result<T, E> {
    let call = Call {
        name: &name,
        ..call
    };
    if let Some(record) = execution.replay(call).await {
        return recorded_result(&execution, record).await;
    }
    let mut stamp = execution.stamp(call.number, call.name);
    let timed = plan.timeout.is_some();
    let (result, earlier) = match Name::Step.check(call.name) {
        Ok(()) => attempts(&execution, call, plan).await,
        Err(error) => {
            execution.gate().await;
            (Err(E::from_durable(error)), Vec::new())
        }
    };
    let forgotten = match &result {
        Err(_) if timed => Bug::ForgetsTimeouts.is_planted(),
        Err(error) => Bug::ForgetsPanics.is_planted() && error.message().contains("panicked"),
        Ok(_) => false,
    };
    if forgotten {
        return result;
    }
    stamp.completed_at = execution.now();
    let (result, stored) = encode(&execution, call, result, earlier);
    record(&execution, call, &stamp, result, stored).await
}

/// Records what a step came to. Where the database does not take that, it came to the error that says so.
pub(super) async fn record<T: Payload, E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    stamp: &StepStamp,
    result: Result<T, E>,
    stored: StepResult,
) -> Result<T, E> {
    let Err(error) = execution.record(stamp, stored, None).await else {
        return result;
    };
    let (result, stored) = encode(execution, call, Err(E::from_durable(error)), Vec::new());
    execution.record_instead(stamp, stored).await;
    result
}

/// What is recorded, as the step's types. A record that cannot be read stops the execution: the code has changed under it.
pub(super) async fn recorded_result<T: Payload, E: WorkflowError>(
    execution: &Execution,
    record: &StepRecord,
) -> Result<T, E> {
    let codecs = &execution.engine.codecs;
    let what = format!(
        "the recorded result of {:?} (operation {} of workflow {:?})",
        record.name,
        record.number,
        execution.id().as_str(),
    );
    let decoded = match &record.result {
        StepResult::Output(value) => codecs.decode(&what, value).map(Ok),
        StepResult::Error(error) => decode_own_error(codecs, &what, error).map(Err),
        StepResult::Nothing => {
            let none = Encoded::new("null", crate::codec::PORTABLE_JSON);
            codecs.decode(&what, &none).map(Ok)
        }
    };
    match decoded {
        Ok(result) => result,
        Err(error) => execution.refuse(error).await,
    }
}

/// The result as a replay will read it, and as it is stored; one that cannot be stored becomes the error that says so.
pub(super) fn encode<T: Payload, E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    result: Result<T, E>,
    earlier: Vec<String>,
) -> (Result<T, E>, StepResult) {
    let codecs = &execution.engine.codecs;
    let what = format_args!(
        "the result of step {:?} (number {} of workflow {:?})",
        call.name,
        call.number,
        execution.id().as_str(),
    );
    let result = match result {
        Ok(value) => match codecs.store(&what, &value) {
            Ok((read, stored)) => return (Ok(read), StepResult::Output(stored)),
            Err(error) => Err(E::from_durable(error)),
        },
        Err(error) => Err(error),
    };
    let encoded = match &result {
        Err(error) => encode_error(codecs, &what, error, earlier),
        Ok(_) => return (result, StepResult::Nothing),
    };
    let stored = encoded.unwrap_or_else(|error| crate::engine::unencodable(&error));
    // What a replay will read, which differs where the error cannot be stored as it is.
    let result = decode_error(codecs, &what, &stored).map_or(result, Err);
    (result, StepResult::Error(stored))
}

/// Runs attempts until one succeeds or no further follows; the last result, and what the earlier ones said.
async fn attempts<T: Payload, E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    mut plan: Plan<'_, T, E>,
) -> (Result<T, E>, Vec<String>) {
    let mut earlier = Vec::new();
    let mut attempt: u32 = 1;
    loop {
        execution.gate().await;
        let result = one_attempt(execution, call, &mut plan, attempt).await;
        execution.gate().await;
        let retried = result.as_ref().err().filter(|error| {
            let wanted = plan.retry_if.as_ref().is_none_or(|wanted| wanted(error));
            let wanted = wanted || Bug::RetriesAnyError.is_planted();
            let more = u32::from(Bug::RetriesTooOften.is_planted());
            wanted && plan.retry.allows_after(attempt.saturating_sub(more))
        });
        let Some(error) = retried else {
            let result = result.map_err(|error| gave_up(execution, call, attempt, error));
            return (result, earlier);
        };
        let message = error.message();
        let runtime = &execution.engine.runtime;
        let wait = plan.retry.wait_after(attempt, runtime.random());
        execution.engine.observe(&Event::StepRetried {
            workflow: execution.id(),
            execution: &execution.owner.token,
            number: call.number,
            name: call.name,
            attempt,
            error: &message,
            wait,
        });
        earlier.push(message);
        if !Bug::RetriesAtOnce.is_planted() {
            let _waits = execution.interrupt.waits();
            runtime.sleep(wait, Timer::Work).await;
        }
        attempt = attempt.saturating_add(1);
    }
}

/// The error of a step whose last attempt has failed. That there were several is said.
pub(super) fn gave_up<E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    attempts: u32,
    error: E,
) -> E {
    if attempts <= 1 {
        return error;
    }
    execution.tell_gave_up(call, attempts, &error);
    error.after_attempts(call.name, attempts)
}

async fn one_attempt<T: Payload, E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    plan: &mut Plan<'_, T, E>,
    attempt: u32,
) -> Result<T, E> {
    execution.engine.observe(&Event::StepStarted {
        workflow: execution.id(),
        execution: &execution.owner.token,
        number: call.number,
        name: call.name,
        attempt,
    });
    if let Some(error) = execution.injected(call, attempt) {
        return Err(error);
    }
    let token = execution.interrupt.token();
    // Nothing but a timeout stops an attempt alone.
    let token = match plan.timeout {
        Some(_) => token.child_token(),
        None => token.clone(),
    };
    let step = StepCtx {
        workflow: execution.id().clone(),
        number: call.number,
        attempt,
        max_attempts: plan.retry.limit(),
        token: token.clone(),
    };
    let _running = execution.interrupt.body();
    let body = &mut plan.body;
    let body = InBody::new(execution, call.name, plan.timeout, move || body(step));
    let Some(timeout) = plan.timeout else {
        return body
            .await
            .unwrap_or_else(|panic| Err(panicked(execution, call, attempt, panic)));
    };
    let timer = execution.engine.runtime.sleep(timeout, Timer::Work);
    match select(body, timer).await {
        Either::Left((result, _)) => {
            result.unwrap_or_else(|panic| Err(panicked(execution, call, attempt, panic)))
        }
        Either::Right(((), body)) => {
            token.cancel();
            drop(body);
            Err(timed_out(execution, call, attempt, timeout))
        }
    }
}

pub(super) fn timed_out<E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    attempt: u32,
    timeout: Duration,
) -> E {
    E::from_durable(Error::StepTimeout {
        workflow: execution.id().to_string(),
        number: call.number,
        step: call.name.to_owned(),
        timeout,
        attempt,
    })
}

pub(super) fn panicked<E: WorkflowError>(
    execution: &Execution,
    call: Call<'_>,
    attempt: u32,
    message: String,
) -> E {
    E::from_durable(Error::StepPanicked {
        workflow: execution.id().to_string(),
        number: call.number,
        step: call.name.to_owned(),
        message,
        attempt,
    })
}
