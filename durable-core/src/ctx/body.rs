//! User code inside a step: called and polled where it must do no durable operation, and where a panic is a value.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    engine::execution::Execution,
    panics::{caught, discard},
    runtime::BoxFuture,
};

/// A body that is called at its first poll. Gives what it gives, or what its panic said.
pub(super) struct InBody<'e, 'f, F, T> {
    execution: &'e Execution,
    step: &'e str,
    call: Option<F>,
    future: Option<BoxFuture<'f, T>>,
}

impl<'e, 'f, F, T> InBody<'e, 'f, F, T>
where
    F: FnOnce() -> BoxFuture<'f, T>,
{
    /// The body of this step, which `call` begins.
    pub(super) fn new(execution: &'e Execution, step: &'e str, call: F) -> Self {
        Self {
            execution,
            step,
            call: Some(call),
            future: None,
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
        let polled = caught(|| {
            if let Some(call) = this.call.take() {
                this.future = Some(call());
            }
            match &mut this.future {
                Some(future) => future.as_mut().poll(cx),
                None => Poll::Pending,
            }
        });
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

impl<F, T> Drop for InBody<'_, '_, F, T> {
    fn drop(&mut self) {
        // Dropping a body runs user code, which may panic; what the body came to is known by then.
        discard(self.future.take());
    }
}
