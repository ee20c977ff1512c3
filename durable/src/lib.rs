//! Durable execution for Rust: ordinary async functions that survive crashes, with nothing but a database.
//!
//! A workflow is an async function whose steps are checkpointed in a database. After a crash, a restart or a redeploy, each
//! unfinished workflow goes on from its last finished step. The engine is this library inside your application; there is no server.
//!
//! ```
//! use durable::prelude::*;
//! use durable::sqlite::Sqlite;
//!
//! #[durable::step(max_attempts = 5, backoff = "200ms..30s")]
//! async fn charge(order: &str) -> Result<u64, AnyError> {
//!     Ok(order.len() as u64)
//! }
//!
//! #[durable::workflow]
//! async fn checkout(ctx: Ctx, order: String) -> Result<String, AnyError> {
//!     let charge = charge(&ctx, &order).await?;
//!     ctx.sleep(Duration::from_millis(10)).await?;
//!     let label = ctx
//!         .step("print label", || async { Ok::<_, AnyError>(format!("to {order}")) })
//!         .timeout(Duration::from_secs(10))
//!         .await?;
//!     Ok(format!("{label}, charge {charge}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), AnyError> {
//! let app = App::builder("shop")
//!     .backend(Sqlite::in_memory().await?) // or Sqlite::open("shop.db")
//!     .workflow(checkout)
//!     .launch() // migrates, recovers, listens
//!     .await?;
//! let handle = app.start(checkout, "Ada".to_owned()).id("order-1001").await?;
//! assert_eq!(handle.result().await?, "to Ada, charge 3");
//! app.shutdown(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - What is acknowledged is committed: `start` returns once the workflow and its input are in the database, a step returns once its
//!   result is.
//! - No execution that owns its workflow runs a recorded step again. Bodies run **at least once**: a process that dies between a body's
//!   effect and its checkpoint leaves the effect, and the body runs again. Give effects that must not happen twice an idempotency key,
//!   for example of the workflow's id and [`StepCtx::step_id`].
//! - An execution that has lost its workflow (its process was thought dead, the workflow was cancelled) writes nothing more.
//! - What is recorded can be read back: a value is read back as its own type before it is recorded, in every build, and a step gives the
//!   value that was read, which is what a replay gives. One that cannot be is [`Error::Encode`] where it is made.
//! - Trouble of the engine or the database is never a workflow's outcome. A `result()` whose wait
//!   ends before the workflow does says so: [`Error::is_outcome`].
//!
//! # What a workflow must keep to
//!
//! A workflow's body is run again from its beginning, with the recorded results, so it must make the same calls in the same order: clocks,
//! random numbers, and everything that talks to the world belong into steps. `#[durable::workflow]` refuses the usual suspects.
//! Operations are numbered when they are **built**, so `join!` over built steps is fine; a step built after an await inside one branch of a
//! `join!` is refused when it first happens. A race of operations (`select! { biased; … }`, `futures::future::select`) has the same winner on
//! every replay, as operations end in the order of their recorded times; what loses is dropped, and may have happened. A workflow goes on only in the code it was started with: the application version is a digest of
//! the registered workflows' bodies. A rebuild or a reformat keeps it, an edited body changes it; an edited step or helper does **not**.
//!
//! # Testing
//!
//! `#[durable::test]` runs an `async fn(t: TestApp)` as a test, on a database in memory and in virtual time: thirty days of sleep pass at
//! once, steps fail when the test says so, and a deadlock is named instead of waited for. `TestApp` is `durable_testkit::TestApp`, so
//! `durable-testkit` must be among the dev-dependencies; what else such a test can do stands in its module `testing`.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `sqlite` | yes | the embedded backend: `durable::sqlite::Sqlite` |
//! | `pg-sqlx` | no | Postgres through sqlx, which is re-exported: `durable::pg_sqlx::Postgres` |
//! | `pg-diesel` | no | Postgres through diesel-async and bb8, which are re-exported: `durable::pg_diesel::Postgres` |
//!
//! Features only add: one program may use all of them side by side.
//!
//! With `default-features = false` the engine stands alone, for a backend of your own ([`db::SystemDb`]).

pub use durable_core::{
    AnyError, App, AppBuilder, Awaited, ChildCall, ChildHandle, ChildStart, Codec, Ctx, DataSource,
    DatabaseHealth, Error, Event, Handle, Health, Invocation, Isolation, LaunchReport, MethodFn,
    MethodSet, Operation, PORTABLE_JSON, Parked, ParkedWorkflow, Payload, Queue, RecordedError,
    Registrar, RetryPolicy, Start, Step, StepBody, StepCtx, Transaction, WorkflowDef,
    WorkflowError, WorkflowFn, db, ids, names, payload, runtime, source, state, time,
};
pub use durable_macros::{step, test, workflow, workflows};

#[doc(hidden)]
pub use durable_core::__private;

/// The embedded SQLite backend.
#[cfg(feature = "sqlite")]
pub mod sqlite {
    pub use durable_sqlite::*;
}

/// The Postgres backend on sqlx.
#[cfg(feature = "pg-sqlx")]
pub mod pg_sqlx {
    pub use durable_pg_sqlx::*;
}

/// The Postgres backend on diesel-async, with bb8 as its pool.
#[cfg(feature = "pg-diesel")]
pub mod pg_diesel {
    pub use durable_pg_diesel::*;
}

#[cfg(feature = "pg-diesel")]
pub use durable_pg_diesel::{bb8, diesel, diesel_async};
#[cfg(feature = "pg-sqlx")]
pub use durable_pg_sqlx::sqlx;

/// What most programs use.
pub mod prelude {
    pub use std::time::Duration;

    pub use crate::{AnyError, App, Ctx, Handle, Queue, RetryPolicy, StepCtx};
}

/// The README's examples, compiled and run with the others.
#[cfg(all(doctest, feature = "sqlite", feature = "pg-sqlx"))]
#[doc = include_str!("../../README.md")]
struct Readme;
