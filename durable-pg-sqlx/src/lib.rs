//! The Postgres backend of `durable` on sqlx.
//!
//! [`Postgres`] is the database: opened by a URL, or over the application's own `PgPool`. Everything but the driver is in `durable_pg`.
//!
//! ```no_run
//! # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! use durable_pg_sqlx::Postgres;
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

pub use connection::SqlxConnection;
pub use driver::{SqlxDriver, SqlxListener};
pub use durable_pg::{DriverError, FoundSchema, Migration, MigrationReport, PgOptions, PgSystemDb};
pub use source::{DataSource, DataSourceOptions};
pub use sqlx;

/// A system database on Postgres, through sqlx.
pub type Postgres = PgSystemDb<SqlxDriver>;
