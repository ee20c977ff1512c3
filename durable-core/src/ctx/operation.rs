//! The future that all durable operations share: built with its numbers, polled inside its workflow, ended once.

use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{refusal, sequence::Misplaced, sleep};
use crate::{
    Error, WorkflowError,
    engine::execution::{Call, Execution},
    runtime::BoxFuture,
    sabotage::Bug,
};

/// What came of building an operation.
pub(super) enum Built {
    /// It has its numbers.
    Numbered(Ticket),
    /// It is where it must not be; awaiting it gives this error.
    Refused(Error),
    /// The execution is being stopped; it will never end.
    Stalled,
    /// It is no operation at all, and needs no number.
    Free,
}

/// An operation's place in its execution.
pub(super) struct Ticket {
    pub(super) execution: Arc<Execution>,
    pub(super) number: i32,
    pub(super) place: &'static Location<'static>,
    begun: bool,
    /// The round of new operations in which it was polled first.
    round: Option<u64>,
}

impl Ticket {
    pub(super) fn new(
        execution: Arc<Execution>,
        number: i32,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            execution,
            number,
            place,
            begun: false,
            round: None,
        }
    }

    /// The call as it is compared with the history.
    pub(super) fn call<'a>(&self, name: &'a str, child: bool) -> Call<'a> {
        Call {
            number: self.number,
            name,
            child,
            place: self.place,
        }
    }

    /// Says that it is polled; the first time, that it runs.
    fn enter(&mut self) -> Result<(), Misplaced> {
        let sequence = &self.execution.sequence;
        if self.begun {
            return sequence.check_place();
        }
        self.number = sequence.number_at_poll(self.number);
        sequence.begin(self.number)?;
        self.begun = true;
        Ok(())
    }

    /// Whether its future may be made: a new operation waits until nothing that is recorded can end, so that a branch that lost before a
    /// crash is dropped on the replay before it can do anything. And the branches of a join are all polled before one goes on, whatever
    /// the database's speed, so that an operation built too late is seen the first time.
    fn may_begin(&mut self, cx: &Context<'_>) -> bool {
        let order = &self.execution.order;
        match self.execution.recorded_as(self.number) {
            None if Bug::BeginsAtOnce.is_planted() => true,
            None => order.may_begin(self.number, &mut self.round, cx.waker()),
            Some(record) => order.recorded(self.number, sleep::place_of(record), cx.waker()),
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.execution.sequence.end(self.number);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.begun {
            self.execution.dropped(self.number);
        }
    }
}

/// An operation in flight: its ticket, and its future once it has begun.
pub(super) struct Flight<'a, T> {
    built: Built,
    future: Option<BoxFuture<'a, T>>,
    /// Its result, until its turn has come to end.
    result: Option<T>,
}

impl<'a, T> Flight<'a, T> {
    pub(super) fn new(built: Built) -> Self {
        Self {
            built,
            future: None,
            result: None,
        }
    }

    /// One that gives this result at once.
    fn done(result: T) -> Self {
        Self {
            built: Built::Free,
            future: None,
            result: Some(result),
        }
    }

    /// Polls it; `begin` makes its future when it begins, `refuse` its result where it cannot run. `name` is for errors.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        name: &str,
        begin: impl FnOnce(&Ticket) -> BoxFuture<'a, T>,
        refuse: impl FnOnce(Error) -> T,
    ) -> Poll<T> {
        let ticket = match &mut self.built {
            Built::Numbered(ticket) => ticket,
            Built::Stalled => return Poll::Pending,
            Built::Free => return self.result.take().map_or(Poll::Pending, Poll::Ready),
            Built::Refused(error) => {
                let error = error.clone();
                self.built = Built::Stalled;
                return Poll::Ready(refuse(error));
            }
        };
        if let Err(misplaced) = ticket.enter() {
            let error = refusal(&ticket.execution, name, misplaced);
            self.built = Built::Stalled;
            return Poll::Ready(refuse(error));
        }
        ticket.execution.order.polled(ticket.number);
        if self.result.is_none() {
            if self.future.is_none() && !ticket.may_begin(cx) {
                return Poll::Pending;
            }
            let future = self.future.get_or_insert_with(|| begin(ticket));
            match future.as_mut().poll(cx) {
                Poll::Ready(result) => self.result = Some(result),
                Poll::Pending => ticket.execution.order.pends(ticket.number, cx.waker()),
            }
        }
        match self.result.take() {
            Some(result) if ticket.execution.order.may_end(ticket.number, cx.waker()) => {
                self.ended(result)
            }
            result => {
                self.result = result;
                Poll::Pending
            }
        }
    }

    fn ended(&mut self, result: T) -> Poll<T> {
        if let Built::Numbered(ticket) = &mut self.built {
            ticket.end();
        }
        self.built = Built::Stalled;
        self.future = None;
        Poll::Ready(result)
    }
}

type Begin<'a, T> = Box<dyn FnOnce(&Ticket) -> BoxFuture<'a, T> + Send + 'a>;

/// A durable operation that was built and has its number: await it to run it. Dropped before that, it does nothing and its number
/// stays empty.
#[must_use = "an operation does nothing unless it is awaited"]
pub struct Operation<'a, T, E = Error> {
    name: String,
    flight: Flight<'a, Result<T, E>>,
    begin: Option<Begin<'a, Result<T, E>>>,
}

impl<'a, T, E> Operation<'a, T, E> {
    pub(super) fn new<Fut>(
        name: &str,
        built: Built,
        begin: impl FnOnce(Arc<Execution>, Call<'static>) -> Fut + Send + 'a,
    ) -> Self
    where
        Fut: Future<Output = Result<T, E>> + Send + 'a,
    {
        Self {
            name: name.to_owned(),
            flight: Flight::new(built),
            begin: Some(Box::new(move |ticket| {
                Box::pin(begin(Arc::clone(&ticket.execution), ticket.call("", false)))
            })),
        }
    }
}

impl<T: Send + 'static, E: Send + 'static> Operation<'static, T, E> {
    /// An operation that is none: it takes no number and gives this value.
    pub(super) fn ready(value: T, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            flight: Flight::done(Ok(value)),
            begin: None,
        }
    }
}

// Nothing in it is pinned in place: the future is boxed.
impl<T, E> Unpin for Operation<'_, T, E> {}

impl<'a, T: 'a, E: WorkflowError> Future for Operation<'a, T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let begin = &mut this.begin;
        let begin = |ticket: &Ticket| match begin.take() {
            Some(begin) => begin(ticket),
            // Begun once only: the flight keeps the future.
            None => Box::pin(std::future::pending()) as BoxFuture<'a, _>,
        };
        this.flight
            .poll(cx, &this.name, begin, |error| Err(E::from_durable(error)))
    }
}

impl<T, E> fmt::Debug for Operation<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({:?})", self.name)
    }
}
