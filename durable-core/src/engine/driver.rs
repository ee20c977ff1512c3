//! Polls a workflow's future, and lets its operations begin and end when it is at rest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering, fence},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;
use tokio::task::coop::has_budget_remaining;

use super::{
    execution::Execution, interrupt::Interruption, observer::notice, order::Next, place,
    run::Driven, turns::Turns,
};
use crate::{
    ctx::OVERDUE,
    panics::{caught, discard},
    payload::Outcome,
    runtime::BoxFuture,
    time::Timestamp,
};

/// How often a workflow that wakes itself whenever it is polled is polled again before it counts as being at rest: it may never be.
const RESTLESS: u32 = 64;

/// A workflow's future, until it has ended.
pub(super) struct Driver {
    future: Option<BoxFuture<'static, Outcome>>,
    bell: Arc<Bell>,
    waker: Waker,
    /// What wakes the task.
    task: Arc<AtomicWaker>,
    /// Until when the workflow may have given way without being at rest.
    turns: Turns,
    /// Whether the workflow must be polled next time, whatever wakes the task.
    moves: bool,
    /// How often it has moved since it was at rest.
    restless: u32,
    /// Whether the last poll has seen to another one.
    wakes: bool,
    /// Whether the workflow had asked for the last poll.
    is_asked: bool,
}

impl Driver {
    pub(super) fn new(future: BoxFuture<'static, Outcome>) -> Self {
        let task = Arc::new(AtomicWaker::new());
        let bell = Arc::new(Bell {
            state: AtomicU8::default(),
            task: Arc::clone(&task),
        });
        Self {
            future: Some(future),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            turns: Turns::of(Arc::clone(&task)),
            task,
            moves: true,
            restless: 0,
            wakes: false,
            is_asked: false,
        }
    }

    /// Polls the workflow until it ends, is interrupted, or waits for something outside of it.
    pub(super) fn poll(&mut self, execution: &Arc<Execution>, cx: &Context<'_>) -> Poll<Driven> {
        execution.interrupt.register(cx);
        self.task.register(cx.waker());
        self.is_asked = self.bell.hears() | std::mem::take(&mut self.moves);
        if let Some(reason) = execution.interrupt.stop_now() {
            return Poll::Ready(Driven::Interrupted(reason));
        }
        let mut polls = self.is_asked || !self.turns.are_taken();
        if polls {
            execution.order.woken();
            self.restless += u32::from(self.turns.have_come());
        } else if !self.turns.have_come() {
            return self.pends(cx);
        }
        loop {
            let rests = if std::mem::replace(&mut polls, true) {
                if let Poll::Ready(driven) = self.poll_once(execution) {
                    return Poll::Ready(driven);
                }
                let rests = !self.may_have_given_way(execution);
                if !rests {
                    self.turns.take();
                }
                rests
            } else {
                self.turns.end()
            };
            let is_restless = self.restless < RESTLESS;
            // Without a budget, too, there may be branches that are not polled though they are awaited.
            if is_restless && (self.bell.is_rung() || !has_budget_remaining()) {
                self.restless += 1;
                self.moves = true;
                break;
            }
            if is_restless && !rests {
                break;
            }
            self.turns.forget();
            self.restless = 0;
            match execution.order.at_rest() {
                Next::Waits => {
                    execution.interrupt.rests(execution.sequence.begun());
                    if let Some(reason) = execution.interrupt.stop_now() {
                        return Poll::Ready(Driven::Interrupted(reason));
                    }
                    break;
                }
                Next::Wakes(wakers) => wakers.into_iter().for_each(Waker::wake),
            }
        }
        self.pends(cx)
    }

    fn pends(&mut self, cx: &Context<'_>) -> Poll<Driven> {
        self.moves |= self.bell.stops_listening();
        if self.moves {
            cx.waker().wake_by_ref();
        }
        self.wakes = self.moves || self.turns.are_taken();
        Poll::Pending
    }

    /// Whether the last poll has seen to another one, whatever else happens.
    pub(super) fn wakes(&self) -> bool {
        self.wakes
    }

    /// Whether the workflow had asked for the last poll.
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Turns of the workflow's task.
    pub(super) fn turns(&self) -> Turns {
        Turns::of(Arc::clone(&self.task))
    }

    /// Whether a branch may wait for nothing but its next poll, after `tokio::task::yield_now`, of which the bell does not know yet:
    /// something that is no operation could ring it.
    fn may_have_given_way(&self, execution: &Execution) -> bool {
        let holders = Arc::strong_count(&self.bell);
        // Whoever let go of it after ringing is heard from now on.
        fence(Ordering::Acquire);
        // The driver holds it, and the waker does.
        holders > 2 && (execution.order.kept_wakers()).is_some_and(|kept| holders > 2 + kept)
    }

    fn poll_once(&mut self, execution: &Arc<Execution>) -> Poll<Driven> {
        let Some(running) = self.future.as_mut() else {
            return Poll::Pending;
        };
        self.bell.listens();
        let begun = execution.deadline.map(|_| execution.engine.clock.now());
        let polled = {
            let _polling = (execution.sequence.enter(), place::enter(execution));
            execution.order.polls(&self.waker);
            let mut cx = Context::from_waker(&self.waker);
            caught(|| running.as_mut().poll(&mut cx))
        };
        if let (Some(begun), Some(deadline)) = (begun, execution.deadline) {
            check_poll(execution, begun, deadline);
        }
        // An operation may have met the reason to stop in this very poll.
        let reason = execution.interrupt.stop_now();
        match (polled, reason) {
            // Whatever the code made of it: a race with an operation that is refused has no winner.
            (_, Some(reason @ Interruption::Refused(_))) | (Ok(Poll::Pending), Some(reason)) => {
                Poll::Ready(Driven::Interrupted(reason))
            }
            (Ok(Poll::Ready(outcome)), _) => Poll::Ready(Driven::Returned(outcome)),
            (Err(panic), _) => Poll::Ready(Driven::Panicked(panic)),
            (Ok(Poll::Pending), None) => Poll::Pending,
        }
    }

    /// Drops the future, which runs user code, which may panic.
    pub(super) fn end(self) {
        discard(self.future);
    }
}

/// Tells of one poll, begun at this moment, that went on far beyond the workflow's deadline: nothing could end it.
fn check_poll(execution: &Execution, begun: Timestamp, deadline: Timestamp) {
    let past = execution.engine.clock.now().since(deadline);
    if begun <= deadline && past >= OVERDUE && execution.rehearsal.is_none() {
        notice(&format!(
            "workflow {:?} ({}) ran {past:.1?} past its deadline without yielding, so nothing could end it: what blocks its thread \
             belongs into a step, and there into `tokio::task::spawn_blocking`",
            execution.id().as_str(),
            execution.key,
        ));
    }
}

/// What wakes the workflow. While it is polled that is only noted: whoever polls it looks.
struct Bell {
    state: AtomicU8,
    task: Arc<AtomicWaker>,
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
            self.task.wake();
        }
    }
}
