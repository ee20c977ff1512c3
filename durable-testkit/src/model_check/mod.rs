//! Backends against the model: calls drawn at random from small alphabets, made on a backend and on [`Memory`](crate::Memory).
//!
//! - [`sequences`]: one call after the other, each answer compared with the model's. Which calls are made does not depend on the state, so
//!   a sequence is a plain list, and what is left of it when it is made smaller is one too
//! - [`bursts`]: several clients at the same time, whose answers must be the model's in some order
//!
//! Each draws from a fixed seed; `DURABLE_MODEL_SEED` names another one.
//!
//! - `alphabet`: which calls are drawn; `sequence`: a list of them on both databases; `concurrent`: bursts
//! - `postgres`, with the feature `pg`: what both drivers are compared by
//! - here: what a backend hands over, and how much is played

use std::{env, fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::db::SystemDb;
use tokio::runtime::{Builder, Runtime};

use crate::{
    ManualClock,
    calls::Side,
    conformance::{Factory, TestDatabase},
    effort,
};

mod alphabet;
mod concurrent;
#[cfg(feature = "pg")]
pub mod postgres;
mod sequence;

pub use concurrent::{bursts, try_bursts};
pub use sequence::{sequences, try_sequences};

/// The environment variable that names another seed than the fixed one.
const SEED: &str = "DURABLE_MODEL_SEED";

/// A database that is compared with the model. Nobody else uses it.
pub struct Subject {
    name: String,
    processes: Vec<Process>,
    clock: Option<ManualClock>,
    passes_over: bool,
    /// Kept until the end: it is removed when this is dropped.
    _database: Option<Box<dyn TestDatabase>>,
}

impl Subject {
    /// A database of this name, opened as by so many processes. With a clock that all of them go by, times are compared as well.
    pub fn new(
        name: impl Into<String>,
        processes: impl IntoIterator<Item = Arc<dyn SystemDb>>,
        clock: Option<ManualClock>,
    ) -> Self {
        Self {
            name: name.into(),
            processes: processes.into_iter().map(Process).collect(),
            clock,
            passes_over: false,
            _database: None,
        }
    }

    /// Says that claims and sweeps pass over what somebody else is just changing, and leave it to the next look.
    pub fn passing_over(self) -> Self {
        Self {
            passes_over: true,
            ..self
        }
    }

    /// A fresh database of this factory with a clock of its own, opened as by two processes.
    pub async fn of(factory: &dyn Factory) -> Self {
        let database = factory.database().await;
        let processes = [database.connect().await, database.connect().await];
        Self {
            _database: Some(database),
            ..Self::new(factory.name(), processes, None)
        }
    }
}

/// One process on the database.
struct Process(Arc<dyn SystemDb>);

#[async_trait]
impl Side for Process {
    fn db(&self) -> &dyn SystemDb {
        &*self.0
    }
}

/// What a database does not do as the model does.
#[derive(Clone, Debug)]
pub struct Found {
    /// The number of the first case that showed it, from 1.
    pub case: u32,
    why: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in case {}, {}", self.case, self.why)
    }
}

/// How many are played: in the quick run, and if `DURABLE_FULL` is set.
#[derive(Clone, Copy, Debug)]
pub struct Cases {
    /// In the quick run.
    pub quick: u32,
    /// In the full run.
    pub full: u32,
}

impl Cases {
    /// How many now; says what is left out.
    fn now(self, what: &str, name: &str) -> u32 {
        if effort::is_full() {
            return self.full;
        }
        let left = self.full.saturating_sub(self.quick);
        effort::left_out(format_args!(
            "{what} on {name}: {left} of {} that the full run plays",
            self.full
        ));
        self.quick
    }
}

/// The seed: a fixed one unless the environment names another.
fn seed() -> u64 {
    let named = env::var(SEED).ok();
    named.map_or(1, |seed| {
        seed.parse()
            .unwrap_or_else(|error| panic!("{SEED}={seed}: {error}"))
    })
}

/// Has a runtime run this with a database, and drops that inside it.
fn with_subject<T>(
    open: impl Future<Output = Subject>,
    play: impl FnOnce(&Runtime, &Subject) -> T,
) -> T {
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime is made");
    let subject = runtime.block_on(open);
    let played = play(&runtime, &subject);
    runtime.block_on(async move { drop(subject) });
    runtime.shutdown_timeout(Duration::from_secs(1));
    played
}
