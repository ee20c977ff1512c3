//! The embedded SQLite backend of `durable`: the DBOS system database in one file, with no server to run.
//!
//! [`Sqlite`] is the database; what the engine may ask of it is [`SystemDb`](durable_core::db::SystemDb). Nothing here decides what a
//! workflow does: that is `durable_core::state`. Where things are:
//!
//! - `options`, `sqlite`, `error`: opening a file, the handle, what can be wrong with a file;
//!   `course`: which errors last, and which pass; `identity`: whether the file is still there
//! - `lane`: the one writer, which puts all writes that wait into one commit
//! - `source`: transactions of the application, with checkpoints or witnesses
//! - `schema`: the tables, and whether a file's are ours
//! - `lives`: which executors are alive, by locks of the operating system
//! - `watch`: seeing that another process has committed, to wake those who wait
//! - one file per concern of `SystemDb`: `workflows` (with `starts`), `steps`, `queues`, `messages`, `events`, `versions`, `executors`, `waits`
//! - `attempts`: which executions of a workflow count as crashes
//! - `rows`: what columns mean; `readable`: leaving out the rows that mean nothing
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use durable_core::db::SystemDb;
//! use durable_sqlite::Sqlite;
//!
//! let database = Sqlite::in_memory().await?; // or Sqlite::open("shop.db")
//! database.migrate().await?;
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```

mod attempts;
mod course;
mod error;
mod events;
mod executors;
mod identity;
mod lane;
mod lives;
mod messages;
mod options;
#[cfg(test)]
mod plans;
mod queues;
mod readable;
mod rows;
mod schema;
mod source;
mod sqlite;
mod starts;
mod steps;
mod versions;
mod waits;
mod watch;
mod workflows;

pub use error::SqliteError;
pub use options::{Clock, SqliteOptions};
pub use source::DataSource;
pub use sqlite::Sqlite;
pub use sqlx;
