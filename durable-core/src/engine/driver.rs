//! Polls a workflow's future, and lets its operations begin and end when it is at rest.

use std::{
    future::Future as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;
use tokio::task::{coop::has_budget_remaining, yield_now};

use super::{
    execution::Execution,
    interrupt::Interruption,
    order::Next,
    run::{Driven, panic_message},
};
use crate::{payload::Outcome, runtime::BoxFuture};

/// How often a workflow that wakes itself whenever it is polled is polled again before it counts as being at rest: it may never be.
const RESTLESS: u32 = 64;

/// How often the task gives way to find out whether the workflow has done so itself. Of wakers that are put off together tokio wakes the last
/// one first, and another thread may take the task before the others are woken; not twice.
const GIVES_WAY: u8 = 2;

/// A workflow's future, until it has ended.
pub(super) struct Driver {
    future: Option<BoxFuture<'static, Outcome>>,
    bell: Arc<Bell>,
    waker: Waker,
    /// How often in a row it has woken itself.
    restless: u32,
    /// How often in a row the task gave way since the workflow was polled.
    gave_way: u8,
    /// Whether it has woken its own task when it was polled last.
    wakes: bool,
}

impl Driver {
    pub(super) fn new(future: BoxFuture<'static, Outcome>) -> Self {
        let bell = Arc::new(Bell::default());
        Self {
            future: Some(future),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            restless: 0,
            gave_way: 0,
            wakes: false,
        }
    }

    /// Polls the workflow until it ends, is interrupted, or waits for something outside of it.
    pub(super) fn poll(&mut self, execution: &Execution, cx: &mut Context<'_>) -> Poll<Driven> {
        execution.interrupt.register(cx);
        self.bell.outer.register(cx.waker());
        let is_rung = self.bell.hears();
        let gave_way = std::mem::take(&mut self.gave_way);
        // Nobody but the driver has woken the task: all that can go on in the workflow was polled.
        let mut skips = gave_way > 0 && !is_rung;
        if skips {
            self.gave_way = gave_way;
        } else {
            execution.order.woken();
            self.restless += u32::from(gave_way > 0);
        }
        self.wakes = false;
        if let Some(reason) = execution.interrupt.stop_now() {
            return Poll::Ready(Driven::Interrupted(reason));
        }
        loop {
            if !std::mem::take(&mut skips) {
                if let Poll::Ready(driven) = self.poll_once(execution) {
                    return Poll::Ready(driven);
                }
                if self.moves() {
                    self.wakes = true;
                    break;
                }
            }
            if self.may_have_given_way(execution) {
                return self.gives_way(cx);
            }
            self.gave_way = 0;
            self.restless = 0;
            match execution.order.at_rest() {
                Next::Waits => break,
                Next::Wakes(wakers) => wakers.into_iter().for_each(Waker::wake),
            }
        }
        self.wakes |= self.bell.stops_listening();
        if self.wakes {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Whether the last poll has woken its own task: another one follows, whatever else happens.
    pub(super) fn wakes(&self) -> bool {
        self.wakes
    }

    /// Whether something in the workflow wants to be polled again, now that it was.
    fn moves(&mut self) -> bool {
        // Without a budget, too, there may be branches that are not polled though they are awaited.
        let moves = self.bell.is_rung() || !has_budget_remaining();
        let is_restless = moves && self.restless < RESTLESS;
        self.restless += u32::from(is_restless);
        is_restless
    }

    /// Whether a branch may wait for nothing but its next poll, after `tokio::task::yield_now`, and the bell does not know it yet: something
    /// that is no operation could ring it.
    fn may_have_given_way(&self, execution: &Execution) -> bool {
        if self.gave_way == GIVES_WAY || self.restless >= RESTLESS || execution.order.has_rested() {
            return false;
        }
        // The driver holds the bell, and the waker does.
        Arc::strong_count(&self.bell) > 2 + execution.order.holds(&self.waker)
    }

    /// Gives way to all else that the runtime can poll, what gave way before included.
    fn gives_way(&mut self, cx: &mut Context<'_>) -> Poll<Driven> {
        let is_rung = self.bell.stops_listening();
        self.gave_way = if is_rung { 0 } else { self.gave_way + 1 };
        self.wakes = true;
        if pin!(yield_now()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn poll_once(&mut self, execution: &Execution) -> Poll<Driven> {
        let Some(running) = self.future.as_mut() else {
            return Poll::Pending;
        };
        self.bell.listens();
        let polled = {
            let _polling = execution.sequence.enter();
            execution.order.polls();
            let mut cx = Context::from_waker(&self.waker);
            catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(&mut cx)))
        };
        // An operation may have met the reason to stop in this very poll.
        let reason = execution.interrupt.stop_now();
        match (polled, reason) {
            // Whatever the code made of it: a race with an operation that is refused has no winner.
            (_, Some(reason @ Interruption::Refused(_))) | (Ok(Poll::Pending), Some(reason)) => {
                Poll::Ready(Driven::Interrupted(reason))
            }
            (Ok(Poll::Ready(outcome)), _) => Poll::Ready(Driven::Returned(outcome)),
            (Err(panic), _) => Poll::Ready(Driven::Panicked(panic_message(panic.as_ref()))),
            (Ok(Poll::Pending), None) => Poll::Pending,
        }
    }

    /// Drops the future, which runs user code, which may panic.
    pub(super) fn end(self) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.future)));
    }
}

/// What wakes the workflow. While it is polled that is only noted: whoever polls it looks.
#[derive(Default)]
struct Bell {
    state: AtomicU8,
    outer: AtomicWaker,
}

const LISTENING: u8 = 1;
const RUNG: u8 = 2;

impl Bell {
    fn listens(&self) {
        self.state.store(LISTENING, Ordering::SeqCst);
    }

    fn is_rung(&self) -> bool {
        self.state.load(Ordering::SeqCst) & RUNG != 0
    }

    /// From now on a ring is only noted; whether there was one before.
    fn hears(&self) -> bool {
        self.state.fetch_or(LISTENING, Ordering::SeqCst) & RUNG != 0
    }

    /// From now on the task is woken; whether that must be made up for.
    fn stops_listening(&self) -> bool {
        self.state.swap(0, Ordering::SeqCst) & RUNG != 0
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.state.fetch_or(RUNG, Ordering::SeqCst);
        if before & LISTENING == 0 {
            self.outer.wake();
        }
    }
}
