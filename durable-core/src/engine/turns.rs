//! Whether all that gave way to the runtime in a poll goes on already.
//!
//! `tokio::task::yield_now` leaves its waker with the thread that polls it, which wakes all that were left with it when it has polled what
//! else is ready. So whoever wants to know takes a turn: a waker of its own, left with the same thread. Tokio wakes the last that was left
//! first, but the thread goes on with the task only when it has woken all. Another thread may take the task before that, which then takes one
//! more turn: a doubt remains only where the first is held up between two wakes for longer than that.

use std::{
    future::Future as _,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    thread::{self, ThreadId},
};

use futures_util::task::AtomicWaker;
use tokio::task::yield_now;

/// The turns that a task waits for.
pub(super) struct Turns {
    task: Arc<AtomicWaker>,
    taken: Vec<Arc<Turn>>,
    /// Whether the ones before have come and left a doubt.
    again: bool,
}

struct Turn {
    /// The thread with which it was left.
    thread: ThreadId,
    has_come: AtomicBool,
    task: Arc<AtomicWaker>,
}

impl Turns {
    /// None, of the task that is woken so.
    pub(super) fn of(task: Arc<AtomicWaker>) -> Self {
        Self {
            task,
            taken: Vec::new(),
            again: false,
        }
    }

    /// Takes one, after a poll on this thread.
    pub(super) fn take(&mut self) {
        self.again = false;
        self.taken.retain(|turn| !turn.has_come());
        let thread = thread::current().id();
        // One that this thread has still to wake is as good.
        if self.taken.iter().any(|turn| turn.thread == thread) {
            return;
        }
        let turn = Arc::new(Turn {
            thread,
            has_come: AtomicBool::new(false),
            task: Arc::clone(&self.task),
        });
        self.taken.push(Arc::clone(&turn));
        let waker = Waker::from(turn);
        let mut cx = Context::from_waker(&waker);
        if pin!(yield_now()).poll(&mut cx).is_ready() {
            waker.wake();
        }
    }

    pub(super) fn are_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Whether there are some, and all have come.
    pub(super) fn have_come(&self) -> bool {
        self.are_taken() && self.taken.iter().all(Turn::has_come)
    }

    /// Whether all that gave way was woken, now that all turns have come; otherwise one more is taken.
    pub(super) fn end(&mut self) -> bool {
        let here = thread::current().id();
        let is_here = self.taken.iter().all(|turn| turn.thread == here);
        self.taken.clear();
        let ends = is_here || self.again;
        if ends {
            self.again = false;
        } else {
            // Another thread may be about to wake the others: by the next turn it has.
            self.take();
            self.again = true;
        }
        ends
    }

    /// Waits for none.
    pub(super) fn forget(&mut self) {
        self.taken.clear();
        self.again = false;
    }
}

impl Turn {
    /// Whether it was woken, or dropped by a runtime that has ended.
    fn has_come(self: &Arc<Self>) -> bool {
        self.has_come.load(Ordering::SeqCst) || Arc::strong_count(self) == 1
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Ordering::SeqCst);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Turns {
        Turns::of(Arc::default())
    }

    #[test]
    fn a_turn_outside_of_a_runtime_comes_at_once() {
        let mut turns = none();
        assert!(!turns.have_come());
        turns.take();
        assert!(turns.have_come());
        assert!(turns.end());
        assert!(!turns.are_taken());
    }

    #[test]
    fn a_turn_comes_when_what_gave_way_before_was_woken() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            let mut turns = none();
            let mut before = pin!(yield_now());
            assert!(futures_util::poll!(&mut before).is_pending());
            turns.take();
            turns.take();
            assert_eq!(turns.taken.len(), 1);
            assert!(!turns.have_come());
            yield_now().await;
            assert!(turns.have_come());
            assert!(turns.end());
        });
    }

    #[test]
    fn a_turn_that_a_runtime_has_dropped_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let mut turns = none();
        runtime.expect("a runtime").block_on(async { turns.take() });
        assert!(turns.have_come());
    }

    #[test]
    fn a_turn_that_another_thread_has_woken_leaves_a_doubt_once() {
        let mut turns = none();
        thread::scope(|scope| {
            scope.spawn(|| turns.take());
        });
        assert!(turns.have_come());
        assert!(!turns.end());
        assert!(turns.have_come());
        assert!(turns.end());
    }
}
