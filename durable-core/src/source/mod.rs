//! Data sources: the application's own tables, written together with checkpoints.
//!
//! A step's body runs at least once: a process that dies between the body's effect and its checkpoint leaves the effect, and the body
//! runs again. A **transactional step** closes that gap for effects that are rows of a database: its writes and its checkpoint are
//! committed together, so they happen exactly once.
//!
//! ```ignore
//! let moved = bank.transaction(&ctx, "move money", async |tx| {
//!     sqlx::query("UPDATE accounts SET cents = cents - $1 WHERE id = $2").bind(cents).bind(&from).execute(&mut *tx).await?;
//!     sqlx::query("UPDATE accounts SET cents = cents + $1 WHERE id = $2").bind(cents).bind(&to).execute(&mut *tx).await?;
//!     Ok::<_, BankError>(cents)
//! }).await?;
//! ```
//!
//! `tx` is the driver's own connection inside an open transaction; a transaction that is begun on it is a savepoint.
//!
//! # Two layouts
//!
//! - **The tables are in the system database** (`database.data_source()` on the backend's handle). The owner check and the checkpoint are
//!   the last statements before COMMIT, so that the closure's own statements never run under the workflow's row lock. One commit.
//! - **The tables are in another database** (`DataSource::connect(url)` or `from_pool(pool)` of the driver's crate). A *witness* row, in
//!   the table `durable_transactions` of that database, is committed with the closure's writes; then the checkpoint is recorded in the
//!   system database. A process that dies in between finds the witness and does not run the closure again. Two executions at once: the
//!   witness's key lets one win, and the other takes the winner's result.
//!
//! # What the closure must keep to
//!
//! It may be called again (what it wrote is rolled back first), so it must not give away what it captures. It must not end the
//! transaction itself, nor change its session beyond it (`SET LOCAL`, not `SET`). It should not wait for what needs the system database:
//! on SQLite, which has one writer, nothing else of this process is written meanwhile. A call of
//! this library that needs that writer is refused inside the closure; one that is hidden in a task
//! of its own would wait for ever. A closure that has the writer for more than 5 s is told as a
//! warning, and [`health`](crate::App::health) names it.
//!
//! # What becomes of an error
//!
//! The closure's error rolls back and is recorded as the step's result; so is a panic. A serialization failure or a deadlock is no
//! result: all is rolled back and the closure is called again, up to [`max_attempts`](crate::Transaction::max_attempts). While the
//! database is away it is called again for as long as it takes. As the closure turns the driver's error into an error of its own, the
//! engine finds out what it was: by the state of the connection and of the transaction, by the error's chain of
//! [`source`](std::error::Error::source)s, which should hold the driver's error, and, once the transaction is broken off, by its message
//! and those of its sources ([`AnyError`](crate::AnyError) keeps these as text, and so does a variant that holds
//! `error.to_string()`). An error that keeps neither needs [`retry_if`](crate::Transaction::retry_if).

use std::{borrow::Cow, fmt, panic::Location, sync::Arc};

use crate::{
    Ctx, WorkflowError,
    ctx::{SendAsyncFn, Transaction},
    workflow::Payload,
};

mod backend;
mod outbox;
pub(crate) mod writer;

pub use backend::{
    Backend, Checkpoint, Condition, Layout, Opened, Still, Trouble, Witness, WitnessKey,
};
pub use outbox::{Enqueue, Scope};
pub use writer::held_around;

/// A database whose tables transactional steps write, with the driver's connection type `C`. Cheap to clone.
///
/// A backend's handle gives one for the system database itself, its crate one for another database; see the [module](self).
pub struct DataSource<C> {
    backend: Arc<dyn Backend<C>>,
}

impl<C: Send + 'static> DataSource<C> {
    /// A data source over what a backend does.
    pub fn new(backend: impl Backend<C>) -> Self {
        Self {
            backend: Arc::new(backend),
        }
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend<C>> {
        &self.backend
    }

    /// Builds a transactional step of this name; awaiting it runs `body` in a transaction, or gives what is recorded.
    ///
    /// `body` is `async |tx| { … }`, may borrow, and gives a `Result<T, E>`. By default the transaction is serializable and is tried
    /// up to 20 times when it meets another one. Errors, besides the body's own, as `durable::Error` in its type: `StepPanicked`,
    /// `StepTimeout`, `TransactionConflict` when others were always first, `TransactionRefused` when the database does not commit it,
    /// `Encode`, `Nested` and `ForeignTask`.
    #[track_caller]
    pub fn transaction<'a, T, E, F>(
        &self,
        ctx: &Ctx,
        name: impl Into<Cow<'static, str>>,
        body: F,
    ) -> Transaction<'a, C, T, E>
    where
        T: Payload,
        E: WorkflowError,
        F: Send + Sync + 'a,
        for<'t> F:
            AsyncFn(&'t mut C) -> Result<T, E> + SendAsyncFn<&'t mut C, Result<T, E>, Fut: Send>,
    {
        Transaction::new(self.clone(), ctx, name.into(), body, Location::caller())
    }
}

impl<C> Clone for DataSource<C> {
    fn clone(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
        }
    }
}

impl<C> fmt::Debug for DataSource<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DataSource").field(&self.backend).finish()
    }
}

/// How much a transaction sees of others that run at the same time. SQLite has one writer, and all its transactions are serializable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what is committed before it: what was read may have changed by the time of a write that depends on it.
    ReadCommitted,
    /// All statements see one state; a write to a row that has changed since is a serialization failure, and the closure runs again.
    RepeatableRead,
    /// As if transactions ran one after another; otherwise a serialization failure, and the closure runs again.
    #[default]
    Serializable,
}

/// How a transaction is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// How much it sees of others.
    pub isolation: Isolation,
    /// Whether it may not write.
    pub read_only: bool,
}
