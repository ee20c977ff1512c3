//! What the Postgres backends of `durable` share: everything but the driver.
//!
//! A driver crate implements [`Driver`] and gives users its own [`PgSystemDb`]. Every statement, its parameters and its rows are here;
//! what a workflow does is decided in `durable_core::state`. Where things are:
//!
//! - `driver`, `value`, `error`: what crosses a driver, and what it may say; `course`: which errors
//!   last, and which pass
//! - `connect`: the URL, its servers, our own pool, and the check of a pooler's mode
//! - `options`, `system_db`, `core`: opening a database, the handle, and what all operations work with
//! - `text`: statements, for the schema in use
//! - `lane`: the writers, which put all writes of workflows that wait into one commit
//! - `transaction`, `changes`: everything rarer, around the state machine of `durable_core`
//! - `session`, `leases`, `hints`: who lives, and wake-ups between processes
//! - `source`: transactions of the application, with checkpoints or witnesses
//! - `schema`: the system tables, and bringing a database to them
//! - one file per concern of `SystemDb`: `workflows`, `steps`, `queues`, `messages`, `events`, `versions`, `executors`, `waits`
//! - `attempts`: which executions of a workflow count as crashes
//! - `rows`: what columns mean
//! - `hot`: the statements, for tests of their plans

mod attempts;
mod changes;
mod connect;
mod core;
mod course;
mod driver;
mod error;
mod events;
mod executors;
mod hints;
#[doc(hidden)]
pub mod hot;
mod lane;
mod leases;
mod messages;
mod options;
mod queues;
mod room;
mod rows;
mod schema;
mod session;
mod source;
mod steps;
mod system_db;
mod text;
mod transaction;
mod value;
mod versions;
mod waits;
mod workflows;

pub use connect::{
    Certificate, Checkout, Connect, Host, OwnPool, Password, Roots, Servers, Target, Tls,
};
pub use driver::{Connection, Driver, Listener, Notification};
pub use error::DriverError;
pub use options::{PgOptions, PoolSettings};
#[doc(hidden)]
pub use schema::NEEDED as NEEDED_COLUMNS;
pub use schema::{FoundSchema, Migration, MigrationReport};
pub use source::{PgDataSource, PgDataSourceOptions};
pub use system_db::PgSystemDb;
pub use value::{Cell, Param, Row};
