//! A database in memory that says what a backend means.
//!
//! What may happen to a row is decided by `durable_core::state`; here are only the maps around it. A file of this
//! folder implements one concern of `SystemDb`; `store` is the data, `process` who is connected, `dump` its text.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use durable_core::{
    db::{
        DbError, Hint, HintHub, Result, SystemDb, Waits, Wakes,
        texts::{self, Texts},
    },
    runtime::TokioRuntime,
    time::Timestamp,
};
use futures_util::stream::BoxStream;

use crate::clock::{Clock, ManualClock};

#[cfg(feature = "model-check")]
mod branch;
mod dump;
mod events;
mod executors;
mod look;
mod messages;
mod process;
mod queues;
mod steps;
mod store;
mod versions;
mod waits;
mod workflows;

#[cfg(any(feature = "pg", feature = "model-check"))]
pub(crate) use dump::timeless;
use process::Process;
use store::Store;

/// A database in memory.
///
/// A clone is one more connection of the same process to the same database; [`process`](Self::process) is another process.
/// Everything is gone when the last of them is dropped.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
    process: Arc<Process>,
}

/// What all processes of one database share.
struct Shared {
    store: Mutex<Store>,
    hints: HintHub,
    clock: Clock,
    /// Texts with this in them are not taken.
    lacking: Option<char>,
}

impl Memory {
    /// An empty database with the clock of this machine.
    pub fn new() -> Self {
        Self::over(Clock::Real(TokioRuntime::new()), None)
    }

    /// An empty database with a clock that the test moves.
    pub fn with_clock(clock: ManualClock) -> Self {
        Self::over(Clock::Manual(clock), None)
    }

    /// The same, which takes no text with this character in it, as a server whose encoding lacks it.
    pub fn lacking(character: char, clock: ManualClock) -> Self {
        Self::over(Clock::Manual(clock), Some(character))
    }

    fn over(clock: Clock, lacking: Option<char>) -> Self {
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::default()),
            hints: HintHub::new(),
            clock,
            lacking,
        });
        let process = Process::new(&shared);
        Self { shared, process }
    }

    /// The same database, as another process sees it.
    ///
    /// The executors that joined through a process die when it and its clones are dropped, or when it is [killed](Self::kill).
    pub fn process(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            process: Process::new(&self.shared),
        }
    }

    /// Ends this process: its executors are dead, and it can join none any more.
    ///
    /// Other calls through it are still served, as a database serves requests that were on their way when their sender died.
    pub fn kill(&self) {
        self.process.end();
    }

    /// Refuses a call with a text that is not taken.
    fn takes(&self, doing: &'static str, values: &[&dyn Texts]) -> Result<()> {
        texts::check(doing, values)?;
        match self.shared.lacking {
            Some(lacking) if texts::any_has(values, lacking) => Err(DbError::invalid_argument(
                doing,
                "a text has a character that the encoding lacks",
            )),
            _ => Ok(()),
        }
    }

    /// Runs one atomic operation at the database's time; its hints go out after it.
    fn commit<T>(&self, operation: impl FnOnce(&mut Store, Timestamp) -> T) -> T {
        self.shared.commit(operation)
    }
}

impl Shared {
    fn commit<T>(&self, operation: impl FnOnce(&mut Store, Timestamp) -> T) -> T {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = operation(&mut store, self.clock.now());
        let hints = store.take_hints();
        // Whoever is woken may call the database at once.
        drop(store);
        self.hints.send(hints);
        answer
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("process", &self.process.id())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SystemDb for Memory {
    async fn migrate(&self) -> Result<()> {
        Ok(())
    }

    async fn verify(&self) -> Result<()> {
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.shared.clock.now())
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        self.takes("look for what is waited for", &[&waits])?;
        self.commit(|store, _| waits::poll(store, waits))
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        self.shared.hints.subscribe()
    }
}
