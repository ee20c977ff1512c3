//! User code inside a step: called and polled where it must do no durable operation, and where a panic is a value.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    engine::{execution::Execution, observer::notice},
    panics::{caught, discard},
    runtime::BoxFuture,
};

/// From how long past its timeout on a body that blocks its thread is told: less may be the machine's doing.
pub(crate) const OVERDUE: Duration = Duration::from_millis(100);

/// A body that is called at its first poll. Gives what it gives, or what its panic said.
pub(super) struct InBody<'e, 'f, F, T> {
    execution: &'e Execution,
    step: &'e str,
    call: Option<F>,
    future: Option<BoxFuture<'f, T>>,
    /// Its timeout, and when that ends.
    limit: Option<(Duration, Duration)>,
}

impl<'e, 'f, F, T> InBody<'e, 'f, F, T>
where
    F: FnOnce() -> BoxFuture<'f, T>,
{
    /// The body of this step, which `call` begins. Whoever polls it ends it at the timeout, if it has one; it tells where that comes too late.
    pub(super) fn new(
        execution: &'e Execution,
        step: &'e str,
        timeout: Option<Duration>,
        call: F,
    ) -> Self {
        let now = execution.engine.runtime.elapsed();
        Self {
            execution,
            step,
            call: Some(call),
            future: None,
            limit: timeout.map(|timeout| (timeout, now.saturating_add(timeout))),
        }
    }
}

// Nothing in it is pinned in place: the future is boxed.
impl<F, T> Unpin for InBody<'_, '_, F, T> {}

impl<'f, F, T> Future for InBody<'_, 'f, F, T>
where
    F: FnOnce() -> BoxFuture<'f, T>,
{
    type Output = Result<T, String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _inside = this.execution.sequence.enter_body(this.step);
        let begun = this.limit.map(|_| this.execution.engine.runtime.elapsed());
        let polled = caught(|| {
            if let Some(call) = this.call.take() {
                this.future = Some(call());
            }
            match &mut this.future {
                Some(future) => future.as_mut().poll(cx),
                None => Poll::Pending,
            }
        });
        if let Some(begun) = begun {
            this.check_poll(begun);
        }
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

impl<F, T> InBody<'_, '_, F, T> {
    /// Tells of one poll, begun at this moment, that went on far beyond the timeout: nothing could end it.
    fn check_poll(&self, begun: Duration) {
        let Some((timeout, limit)) = self.limit else {
            return;
        };
        let now = self.execution.engine.runtime.elapsed();
        let past = now.saturating_sub(limit);
        if begun <= limit && past >= OVERDUE {
            notice(&format!(
                "step {:?} of workflow {:?} ran {past:.1?} past its timeout of {timeout:?} without yielding, so nothing could end it: \
                 what blocks its thread belongs into `tokio::task::spawn_blocking`",
                self.step,
                self.execution.id().as_str(),
            ));
        }
    }
}

impl<F, T> Drop for InBody<'_, '_, F, T> {
    fn drop(&mut self) {
        // Dropping a body runs user code, which may panic; what the body came to is known by then.
        discard(self.future.take());
    }
}
