//! Stopping an execution from outside its workflow's code.
//!
//! An interruption is not a value: the workflow's operations never return it, so no code can swallow it. The driver drops the
//! workflow's future instead; while step bodies run it waits for them, unless the reason cannot wait.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::task::AtomicWaker;
use tokio_util::sync::CancellationToken;

use crate::{Error, db::Lost, state::Status};

/// Why an execution is stopped before its workflow ended.
#[derive(Clone, Debug)]
pub(crate) enum Interruption {
    /// The row no longer holds its token: cancelled, taken over, ended or deleted.
    Lost(Lost),
    /// The application shuts down.
    Shutdown,
    /// The code does not fit its history, or the database broke a promise: the workflow stays recoverable.
    Refused(Error),
}

impl Interruption {
    /// Whether running step bodies are dropped, too.
    fn is_immediate(&self) -> bool {
        matches!(self, Self::Shutdown | Self::Refused(_))
    }

    /// The reason in words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Lost(Lost {
                status: Some(Status::Cancelled),
            }) => "it was cancelled".to_owned(),
            Self::Lost(Lost {
                status: Some(Status::Pending | Status::Enqueued | Status::Delayed),
            }) => "another execution has taken it over".to_owned(),
            Self::Lost(Lost {
                status: Some(status),
            }) => format!("its row is {status} already"),
            Self::Lost(Lost { status: None }) => "it was deleted".to_owned(),
            Self::Shutdown => "the application is shutting down".to_owned(),
            Self::Refused(error) => error.to_string(),
        }
    }
}

/// The latch of one execution.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    reason: Mutex<Option<Interruption>>,
    /// Step bodies that are running.
    bodies: AtomicUsize,
    /// Operations that only wait: for a time, a message, an event, another workflow.
    waits: AtomicUsize,
    /// Stop as soon as nothing runs.
    draining: AtomicBool,
    /// A body ran when a shutdown stopped the execution.
    cut_off: AtomicBool,
    /// What running bodies can look at.
    token: CancellationToken,
    driver: AtomicWaker,
}

impl Interrupt {
    /// Stops the execution. The first reason stays, but one that cannot wait replaces one that can.
    pub(crate) fn signal(&self, reason: Interruption) {
        {
            let mut held = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
            let replaces = held
                .as_ref()
                .is_none_or(|held| reason.is_immediate() && !held.is_immediate());
            if replaces {
                let cuts_off = matches!(reason, Interruption::Shutdown) && self.has_bodies();
                self.cut_off.fetch_or(cuts_off, Ordering::AcqRel);
                *held = Some(reason);
            }
        }
        self.token.cancel();
        self.driver.wake();
    }

    /// Stops the execution as soon as nothing of it runs.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Stops an execution that is at rest and has begun so many operations, if it was asked to and
    /// none of them runs.
    pub(super) fn rests(&self, begun: usize) {
        let is_asked = self.draining.load(Ordering::Acquire) && !self.is_signalled();
        if is_asked && !self.has_bodies() && self.waits.load(Ordering::Acquire) == begun {
            self.signal(Interruption::Shutdown);
        }
    }

    /// Whether a shutdown stopped the execution while a body ran.
    pub(super) fn was_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Acquire)
    }

    fn has_bodies(&self) -> bool {
        self.bodies.load(Ordering::Acquire) > 0
    }

    /// Whether the execution is to stop, at the latest at its next operation.
    pub(crate) fn is_signalled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The reason, once the workflow's future is to be dropped.
    pub(super) fn stop_now(&self) -> Option<Interruption> {
        if !self.is_signalled() {
            return None;
        }
        let held = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = !self.has_bodies();
        held.as_ref()
            .filter(|reason| idle || reason.is_immediate())
            .cloned()
    }

    /// Wakes the driver at the next signal.
    pub(super) fn register(&self, cx: &std::task::Context<'_>) {
        self.driver.register(cx.waker());
    }

    /// Wakes the driver now.
    pub(super) fn wake(&self) {
        self.driver.wake();
    }

    /// Cancelled when the execution is to stop.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Says that an operation only waits, until the guard is dropped.
    pub(crate) fn waits(&self) -> WaitGuard<'_> {
        self.waits.fetch_add(1, Ordering::AcqRel);
        WaitGuard(self)
    }

    /// Says that a step body runs, until the guard is dropped.
    pub(crate) fn body(&self) -> BodyGuard<'_> {
        self.bodies.fetch_add(1, Ordering::AcqRel);
        BodyGuard(self)
    }
}

/// An operation that only waits.
#[derive(Debug)]
pub(crate) struct WaitGuard<'a>(&'a Interrupt);

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.waits.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A running step body.
#[derive(Debug)]
pub(crate) struct BodyGuard<'a>(&'a Interrupt);

impl Drop for BodyGuard<'_> {
    fn drop(&mut self) {
        self.0.bodies.fetch_sub(1, Ordering::AcqRel);
        // A body usually ends inside the driver's poll, which looks again by itself; a dropped one may not.
        if self.0.is_signalled() {
            self.0.driver.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANCELLED: Lost = Lost {
        status: Some(Status::Cancelled),
    };

    #[test]
    fn a_running_body_is_waited_for_unless_the_reason_cannot_wait() {
        let interrupt = Interrupt::default();
        let body = interrupt.body();
        interrupt.signal(Interruption::Lost(CANCELLED));
        assert!(interrupt.is_signalled());
        assert!(interrupt.stop_now().is_none());
        interrupt.signal(Interruption::Shutdown);
        assert!(matches!(interrupt.stop_now(), Some(Interruption::Shutdown)));
        drop(body);
        interrupt.signal(Interruption::Lost(CANCELLED));
        assert!(matches!(interrupt.stop_now(), Some(Interruption::Shutdown)));
    }

    #[test]
    fn who_is_asked_to_stops_once_all_that_has_begun_waits() {
        let interrupt = Interrupt::default();
        let _wait = interrupt.waits();
        interrupt.rests(1);
        assert!(!interrupt.is_signalled());
        interrupt.drain();
        interrupt.rests(2);
        let body = interrupt.body();
        interrupt.rests(1);
        assert!(!interrupt.is_signalled());
        drop(body);
        interrupt.rests(1);
        assert!(matches!(interrupt.stop_now(), Some(Interruption::Shutdown)));
        assert!(!interrupt.was_cut_off());
    }

    #[test]
    fn a_body_that_runs_at_the_end_of_the_grace_is_cut_off() {
        let interrupt = Interrupt::default();
        let body = interrupt.body();
        interrupt.signal(Interruption::Shutdown);
        drop(body);
        assert!(interrupt.was_cut_off());
    }

    #[test]
    fn nothing_stops_without_a_signal() {
        let interrupt = Interrupt::default();
        drop(interrupt.body());
        assert!(interrupt.stop_now().is_none());
    }
}
