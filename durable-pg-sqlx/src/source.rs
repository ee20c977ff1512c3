//! The application's tables on sqlx.

use durable_pg::{PgDataSource, PgDataSourceOptions};

use crate::SqlxDriver;

/// Tables that transactional steps write through sqlx: their closures are given a `&mut PgConnection` inside an open transaction.
///
/// ```no_run
/// use durable_core::{AnyError, Ctx};
/// use durable_pg_sqlx::{DataSource, sqlx};
///
/// async fn debit(ctx: &Ctx, bank: &DataSource, account: &str, cents: i64) -> Result<i64, AnyError> {
///     bank.transaction(ctx, "debit", async |tx| {
///         let left = sqlx::query_scalar("UPDATE accounts SET cents = cents - $2 WHERE id = $1 RETURNING cents")
///             .bind(account)
///             .bind(cents)
///             .fetch_one(tx)
///             .await?;
///         Ok::<i64, AnyError>(left)
///     })
///     .await
/// }
/// ```
pub type DataSource = PgDataSource<SqlxDriver>;

/// How another database is opened as a data source.
pub type DataSourceOptions = PgDataSourceOptions<SqlxDriver>;
