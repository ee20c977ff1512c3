//! Time, randomness, ids and tasks: everything that the engine takes from its surroundings, in one handle.
//!
//! Production uses [`TokioRuntime`]; a simulator brings its own and so owns every choice. Nothing else in this crate may
//! read a clock, draw a random number or spawn a task (`clippy.toml` refuses it).

use std::{fmt, future::Future, pin::Pin, time::Duration};

use crate::time::{Timestamp, millis};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the engine needs of the world besides its database.
pub trait Runtime: Send + Sync + 'static {
    /// The wall clock of this process; executors' clocks differ.
    fn now(&self) -> Timestamp;

    /// Time since some fixed instant of this process; never goes back. In-process waits use this one.
    fn elapsed(&self) -> Duration;

    /// Completes when [`elapsed`](Self::elapsed) has reached `at`.
    fn sleep_until(&self, at: Duration, kind: Timer) -> BoxFuture<'static, ()>;

    /// Runs a task beside the caller's. `name` says what it does, for reports.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle;

    /// A random number, evenly drawn.
    fn random(&self) -> u64;

    /// A new id that no other process makes.
    fn new_id(&self, kind: IdKind) -> String;

    /// Completes `after` from now.
    fn sleep(&self, after: Duration, kind: Timer) -> BoxFuture<'static, ()> {
        self.sleep_until(self.elapsed().saturating_add(after), kind)
    }
}

/// What a timer is for: a simulator may skip idle housekeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Somebody waits for it: a sleep, a timeout, a deadline, a retry.
    Work,
    /// It comes again and again: polls, heartbeats, sweeps.
    Housekeeping,
}

/// What a new id will name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// A workflow.
    Workflow,
    /// One execution of a workflow.
    Owner,
    /// A message.
    Message,
}

/// A spawned task: aborted when this is dropped, unless it is detached first.
#[must_use = "a task is aborted when its handle is dropped; detach it to let it run"]
pub struct TaskHandle(Option<Box<dyn FnOnce() + Send + Sync>>);

impl TaskHandle {
    /// A handle whose drop calls `abort`.
    pub fn new(abort: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(abort)))
    }

    /// Lets the task run to its end.
    pub fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        if let Some(abort) = self.0.take() {
            abort();
        }
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskHandle")
    }
}

/// The runtime of production: tokio's clock and tasks, the operating system's random numbers.
#[derive(Clone, Copy, Debug)]
pub struct TokioRuntime {
    origin: tokio::time::Instant,
}

impl Default for TokioRuntime {
    fn default() -> Self {
        Self::new()
    }
}

// The one place that may touch the clocks, the tasks and the random numbers of the outside world.
#[allow(clippy::disallowed_methods)]
impl TokioRuntime {
    /// A runtime whose monotonic clock starts now.
    pub fn new() -> Self {
        Self {
            origin: tokio::time::Instant::now(),
        }
    }
}

#[allow(clippy::disallowed_methods)]
impl Runtime for TokioRuntime {
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(millis(since_epoch))
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep_until(&self, at: Duration, _kind: Timer) -> BoxFuture<'static, ()> {
        match self.origin.checked_add(at) {
            Some(instant) => Box::pin(tokio::time::sleep_until(instant)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle {
        let handle = tokio::spawn(task).abort_handle();
        TaskHandle::new(move || handle.abort())
    }

    fn random(&self) -> u64 {
        // Used for jitter only, so without entropy a constant does no harm.
        getrandom::u64().unwrap_or(u64::MAX / 2)
    }

    fn new_id(&self, _kind: IdKind) -> String {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("every supported system has a source of random numbers");
        uuid_v4(bytes)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes random bytes as a UUID of version 4, which is what ids look like to other SDKs.
fn uuid_v4(random: [u8; 16]) -> String {
    // The version's four bits, and the two of the variant (RFC 9562, section 5.4).
    let version = (u128::from_be_bytes(random) & !(0xf << 76)) | (4 << 76);
    let number = (version & !(0b11 << 62)) | (0b10 << 62);
    let mut text = String::with_capacity(36);
    for (n, byte) in number.to_be_bytes().into_iter().enumerate() {
        if let 4 | 6 | 8 | 10 = n {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from(HEX[usize::from(digit)]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        assert_eq!(uuid_v4([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid_v4([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let counted = std::array::from_fn(|n| u8::try_from(n).unwrap_or_default());
        assert_eq!(uuid_v4(counted), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }

    #[test]
    fn no_two_ids_are_alike() {
        let runtime = TokioRuntime::new();
        let ids = [IdKind::Workflow; 3].map(|kind| runtime.new_id(kind));
        assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    }
}
