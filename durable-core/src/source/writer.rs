//! Closures that hold a database's only writer: a call from inside that needs it would wait for the
//! closure, and the closure for the call.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a closure may hold a database's only writer before that is told.
pub(crate) const LONG: Duration = Duration::from_secs(5);

tokio::task_local! {
    static HELD: Held;
}

/// A writer that is held by a closure.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    key: usize,
    step: String,
}

impl Held {
    /// The writer of this key, held by the closure of this step.
    pub(crate) fn new(key: usize, step: &str) -> Self {
        Self {
            key,
            step: step.to_owned(),
        }
    }

    /// The one that is held where this is asked.
    pub(crate) fn here() -> Option<Self> {
        HELD.try_with(Self::clone).ok()
    }
}

/// Marks what is called while `task` is polled as called with that writer held.
pub(crate) async fn holding<T>(held: Option<Held>, task: impl Future<Output = T>) -> T {
    match held {
        Some(held) => HELD.scope(held, task).await,
        None => task.await,
    }
}

/// The step whose closure holds the writer of this key, where this is called from inside that
/// closure: what needs the writer must not wait for it there. For backends; the key is the one that
/// [`Opened::holds`](super::Opened::holds) gives.
pub fn held_around(key: usize) -> Option<String> {
    let held = |held: &Held| (held.key == key).then(|| held.step.clone());
    HELD.try_with(held).ok().flatten()
}

/// The closures of this process that hold a writer now.
#[derive(Debug, Default)]
pub(crate) struct Holders(Mutex<(u64, BTreeMap<u64, Holder>)>);

/// Who holds a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) since: Duration,
    pub(crate) workflow: String,
    pub(crate) step: String,
}

impl Holders {
    /// Adds one, until what this gives is dropped.
    pub(crate) fn add(&self, holder: Holder) -> impl Drop + Send + '_ {
        let mut state = self.lock();
        state.0 += 1;
        let ticket = state.0;
        state.1.insert(ticket, holder);
        Ticket(self, ticket)
    }

    /// Who has held one for the longest time.
    pub(crate) fn oldest(&self) -> Option<Holder> {
        let state = self.lock();
        state.1.values().min_by_key(|holder| holder.since).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Holder>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ticket<'a>(&'a Holders, u64);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.lock().1.remove(&self.1);
    }
}
