//! A session with the server.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use durable_pg::{Cell, Checkout, Connection, DriverError, Param, Row};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, Connection as _, Executor as _, PgConnection,
    Postgres, Row as _, SqlSafeStr as _,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow, PgTransactionManager},
};
use sqlx_core::transaction::TransactionManager as _;

use crate::{driver::Sessions, error};

/// A connection, of a pool or by itself.
pub struct SqlxConnection(Held);

enum Held {
    Own(Checkout<Sessions>),
    Borrowed(PoolConnection<Postgres>),
    Dedicated(Box<PgConnection>),
}

impl SqlxConnection {
    pub(crate) fn own(connection: Checkout<Sessions>) -> Self {
        Self(Held::Own(connection))
    }

    pub(crate) fn borrowed(connection: PoolConnection<Postgres>) -> Self {
        Self(Held::Borrowed(connection))
    }

    pub(crate) fn dedicated(connection: PgConnection) -> Self {
        Self(Held::Dedicated(Box::new(connection)))
    }

    /// Whether the one transaction that is open is ours.
    fn depth_is_one(&mut self) -> Result<(), DriverError> {
        if PgTransactionManager::get_transaction_depth(self.raw()?) == 1 {
            return Ok(());
        }
        Err(DriverError::unlike(
            "a transaction that was begun inside was neither committed nor rolled back",
        ))
    }
}

#[async_trait]
impl Connection for SqlxConnection {
    type Raw = PgConnection;

    fn raw(&mut self) -> Result<&mut PgConnection, DriverError> {
        match &mut self.0 {
            Held::Own(connection) => connection.session(),
            Held::Borrowed(connection) => Ok(connection),
            Held::Dedicated(connection) => Ok(connection),
        }
    }

    async fn query(
        &mut self,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        Self::query_on(self.raw()?, statement, parameters).await
    }

    async fn query_on(
        raw: &mut PgConnection,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        let arguments = arguments(parameters)?;
        // The text is one of `durable_pg`'s own statements; what varies is in the parameters.
        let query = sqlx::query_with(AssertSqlSafe(Arc::clone(statement)), arguments);
        let rows = match raw.fetch_all(query).await.map_err(error::of) {
            Ok(rows) => rows,
            Err(error) => {
                if error.is_stale() {
                    // A connection that is not ours cannot be given up, but what it has prepared
                    // can.
                    let _ = raw.clear_cached_statements().await;
                }
                return Err(error);
            }
        };
        rows.iter().map(row).collect()
    }

    async fn batch(&mut self, script: &str) -> Result<(), DriverError> {
        // As above; a schema's name in it is quoted.
        let script = sqlx::raw_sql(AssertSqlSafe(script.to_owned()));
        self.raw()?.execute(script).await.map_err(error::of)?;
        Ok(())
    }

    async fn begin(&mut self, script: &str) -> Result<(), DriverError> {
        let script = AssertSqlSafe(script.to_owned()).into_sql_str();
        PgTransactionManager::begin(self.raw()?, Some(script))
            .await
            .map_err(error::of)
    }

    async fn commit(&mut self) -> Result<(), DriverError> {
        self.depth_is_one()?;
        let Err(error) = PgTransactionManager::commit(self.raw()?).await else {
            return Ok(());
        };
        let error = error::of(error);
        if !error.is_lost() {
            // The server has rolled back; sqlx counts it as open until it is told.
            PgTransactionManager::rollback(self.raw()?)
                .await
                .map_err(error::of)?;
        }
        Err(error)
    }

    async fn rollback(&mut self) -> Result<(), DriverError> {
        self.depth_is_one()?;
        PgTransactionManager::rollback(self.raw()?)
            .await
            .map_err(error::of)
    }

    fn discard(&mut self) {
        // One that is dedicated is closed when it is dropped in any case.
        match &mut self.0 {
            Held::Own(connection) => connection.discard(),
            Held::Borrowed(connection) => connection.close_on_drop(),
            Held::Dedicated(_) => {}
        }
    }

    fn discard_all(&mut self) {
        match &mut self.0 {
            Held::Own(connection) => connection.discard_all(),
            Held::Borrowed(_) | Held::Dedicated(_) => self.discard(),
        }
    }
}

fn arguments(parameters: &[Param<'_>]) -> Result<PgArguments, DriverError> {
    let mut arguments = PgArguments::default();
    for parameter in parameters {
        match *parameter {
            Param::Text(text) => arguments.add(text),
            Param::BigInt(number) => arguments.add(number),
            Param::Bool(value) => arguments.add(value),
            Param::Texts(texts) => arguments.add(texts),
            Param::BigInts(numbers) => arguments.add(numbers),
        }
        .map_err(|error| DriverError::unlike(error.to_string()))?;
    }
    Ok(arguments)
}

fn row(row: &PgRow) -> Result<Row, DriverError> {
    let mut cells = Vec::with_capacity(row.columns().len());
    for column in row.columns() {
        let value = row.try_get_raw(column.ordinal()).map_err(error::of)?;
        let oid = column.type_info().oid().map_or(0, |oid| oid.0);
        // Without bytes it is NULL.
        let bytes = if sqlx::ValueRef::is_null(&value) {
            None
        } else {
            let bytes = value.as_bytes();
            Some(bytes.map_err(|error| DriverError::unlike(error.to_string()))?)
        };
        cells.push(Cell::decode(oid, bytes)?);
    }
    Ok(cells.into())
}

impl fmt::Debug for SqlxConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqlxConnection")
    }
}
