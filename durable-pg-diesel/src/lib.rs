//! The Postgres backend of `durable` on diesel-async, with bb8 as its pool.
//!
//! [`Postgres`] is the database: opened by a URL, or over the application's own bb8 pool of `AsyncPgConnection`s. Everything but the
//! driver is in `durable_pg`.
//!
//! ```no_run
//! # async fn example(pool: durable_pg_diesel::Pool) -> Result<(), Box<dyn std::error::Error>> {
//! use durable_pg_diesel::Postgres;
//!
//! let by_url = Postgres::connect("postgres://localhost/shop").await?;
//! let over_the_applications_pool = Postgres::from_pool(pool).await?;
//! # Ok(())
//! # }
//! ```

mod connection;
mod driver;
mod error;
mod source;
mod statement;
mod tls;

pub use bb8;
pub use connection::DieselConnection;
pub use diesel;
pub use diesel_async;
pub use driver::{DieselDriver, DieselListener};
pub use durable_pg::{DriverError, FoundSchema, Migration, MigrationReport, PgOptions, PgSystemDb};
pub use source::{DataSource, DataSourceOptions};

/// A pool of the application, as diesel-async and bb8 make it.
pub type Pool = diesel_async::pooled_connection::bb8::Pool<diesel_async::AsyncPgConnection>;

/// A system database on Postgres, through diesel-async.
pub type Postgres = PgSystemDb<DieselDriver>;
