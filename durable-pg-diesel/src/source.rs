//! The application's tables on diesel-async.

use durable_pg::{PgDataSource, PgDataSourceOptions};

use crate::DieselDriver;

/// Tables that transactional steps write through diesel-async: their closures are given a `&mut AsyncPgConnection` inside an open
/// transaction.
///
/// ```no_run
/// use diesel::sql_types::{BigInt, Text};
/// use diesel_async::RunQueryDsl as _;
/// use durable_core::{AnyError, Ctx};
/// use durable_pg_diesel::{DataSource, diesel, diesel_async};
///
/// async fn debit(ctx: &Ctx, bank: &DataSource, account: &str, cents: i64) -> Result<usize, AnyError> {
///     bank.transaction(ctx, "debit", async |tx| {
///         let changed = diesel::sql_query("UPDATE accounts SET cents = cents - $2 WHERE id = $1")
///             .bind::<Text, _>(account)
///             .bind::<BigInt, _>(cents)
///             .execute(tx)
///             .await?;
///         Ok::<usize, AnyError>(changed)
///     })
///     .await
/// }
/// ```
pub type DataSource = PgDataSource<DieselDriver>;

/// How another database is opened as a data source.
pub type DataSourceOptions = PgDataSourceOptions<DieselDriver>;
