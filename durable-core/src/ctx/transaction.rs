//! Transactional steps: a closure's writes and the step's checkpoint, committed together. What they promise stands in [`crate::source`].

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

use super::{
    Ctx,
    operation::{Flight, Ticket},
};
use crate::{
    any_error::WorkflowError,
    runtime::BoxFuture,
    source::{DataSource, Isolation, TransactionOptions},
    state::retry::RetryPolicy,
    workflow::Payload,
};

mod run;

/// How often a transaction is tried that meets others, unless given.
const ATTEMPTS: u32 = 20;

/// An async closure whose future can move between threads: what the body of a transactional step is. Never implemented by hand.
pub trait SendAsyncFn<A, R>: AsyncFn(A) -> R + Fn(A) -> <Self as SendAsyncFn<A, R>>::Fut {
    /// Its future.
    type Fut: Future<Output = R>;
}

impl<F, A, Fut, R> SendAsyncFn<A, R> for F
where
    F: AsyncFn(A) -> R + Fn(A) -> Fut,
    Fut: Future<Output = R>,
{
    type Fut = Fut;
}

/// A closure, whatever its type.
trait Body<C, T, E>: Send + Sync {
    fn call<'t>(&'t self, connection: &'t mut C) -> BoxFuture<'t, Result<T, E>>;
}

struct Closure<F>(F);

impl<C, T, E, F> Body<C, T, E> for Closure<F>
where
    C: Send + 'static,
    T: Payload,
    E: WorkflowError,
    F: Send + Sync,
    for<'x> F: AsyncFn(&'x mut C) -> Result<T, E> + SendAsyncFn<&'x mut C, Result<T, E>, Fut: Send>,
{
    // Boxed by a plain function: by an async one the closure would be "not general enough".
    fn call<'t>(&'t self, connection: &'t mut C) -> BoxFuture<'t, Result<T, E>> {
        Box::pin((self.0)(connection))
    }
}

type Predicate<'a, E> = Box<dyn Fn(&E) -> bool + Send + Sync + 'a>;

/// A transactional step that was built and has its number: await it to run it; options are set before that.
///
/// See [`DataSource::transaction`], and [`crate::source`] for what is promised.
#[must_use = "a step does nothing unless it is awaited"]
pub struct Transaction<'a, C, T, E> {
    name: Cow<'static, str>,
    flight: Flight<'a, Result<T, E>>,
    plan: Option<Plan<'a, C, T, E>>,
}

/// What a transactional step will do.
struct Plan<'a, C, T, E> {
    source: DataSource<C>,
    body: Box<dyn Body<C, T, E> + 'a>,
    options: TransactionOptions,
    retry: RetryPolicy,
    retry_if: Option<Predicate<'a, E>>,
    timeout: Option<Duration>,
}

impl<'a, C: Send + 'static, T: Payload, E: WorkflowError> Transaction<'a, C, T, E> {
    pub(crate) fn new<F>(
        source: DataSource<C>,
        ctx: &Ctx,
        name: Cow<'static, str>,
        body: F,
        place: &'static Location<'static>,
    ) -> Self
    where
        F: Send + Sync + 'a,
        for<'x> F:
            AsyncFn(&'x mut C) -> Result<T, E> + SendAsyncFn<&'x mut C, Result<T, E>, Fut: Send>,
    {
        Self {
            flight: Flight::new(ctx.build(&name, 1, place)),
            name,
            plan: Some(Plan {
                source,
                body: Box::new(Closure(body)),
                options: TransactionOptions::default(),
                retry: RetryPolicy::attempts(ATTEMPTS)
                    .initial(Duration::from_millis(10))
                    .cap(Duration::from_secs(1))
                    .jitter(0.5),
                retry_if: None,
                timeout: None,
            }),
        }
    }
}

impl<'a, C, T, E> Transaction<'a, C, T, E> {
    /// How much it sees of others; serializable unless given.
    pub fn isolation(self, isolation: Isolation) -> Self {
        self.plan(|plan| plan.options.isolation = isolation)
    }

    /// Lets it write nothing: what it reads is of one state of the database, and only its result is recorded, after it has ended.
    pub fn read_only(self) -> Self {
        self.plan(|plan| plan.options.read_only = true)
    }

    /// How often it is tried at most when it meets others (a serialization failure, a deadlock); 20 unless given, the first included.
    pub fn max_attempts(self, n: u32) -> Self {
        self.plan(|plan| plan.retry = plan.retry.max_attempts(n))
    }

    /// How often and after which waits it is tried again when it meets others; by default up to 20 times, after 10 ms and twice as
    /// long each time, at most 1 s, spread by half. Attempts are counted in memory.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.plan(|plan| plan.retry = policy)
    }

    /// Also tries again when the closure's error satisfies `predicate`: for an error type that keeps nothing of the driver's error.
    pub fn retry_if(self, predicate: impl Fn(&E) -> bool + Send + Sync + 'a) -> Self {
        self.plan(|plan| plan.retry_if = Some(Box::new(predicate)))
    }

    /// Ends a closure that takes longer, rolls back and gives `StepTimeout`.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.plan(|plan| plan.timeout = Some(timeout))
    }

    fn plan(mut self, change: impl FnOnce(&mut Plan<'a, C, T, E>)) -> Self {
        if let Some(plan) = &mut self.plan {
            change(plan);
        }
        self
    }
}

// Nothing in it is pinned in place: the futures are boxed.
impl<C, T, E> Unpin for Transaction<'_, C, T, E> {}

impl<'a, C, T, E> Future for Transaction<'a, C, T, E>
where
    C: Send + 'static,
    T: Payload,
    E: WorkflowError,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (plan, name) = (&mut this.plan, &this.name);
        let begin = |ticket: &Ticket| match plan.take() {
            Some(plan) => {
                let call = ticket.call("", false);
                let execution = Arc::clone(&ticket.execution);
                Box::pin(run::run(execution, call, name.clone(), plan)) as BoxFuture<'a, _>
            }
            // Begun once only: the flight keeps the future.
            None => Box::pin(std::future::pending()),
        };
        this.flight
            .poll(cx, name, begin, |error| Err(E::from_durable(error)))
    }
}

impl<C, T, E> fmt::Debug for Transaction<'_, C, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transaction({:?})", self.name)
    }
}
