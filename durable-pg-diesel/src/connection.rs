//! A session with the server.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _,
    TransactionManager as _, pooled_connection::bb8::PooledConnection,
};
use durable_pg::{Checkout, Connection, DriverError, Param, Row};

use crate::{
    driver::Sessions,
    error,
    statement::{AnyRow, Statement},
};

/// A connection, of a pool or by itself.
pub struct DieselConnection(Held);

enum Held {
    Own(Box<Checkout<Sessions>>),
    Borrowed(Box<PooledConnection<'static, AsyncPgConnection>>),
    Dedicated(Box<AsyncPgConnection>),
}

impl DieselConnection {
    pub(crate) fn own(connection: Checkout<Sessions>) -> Self {
        Self(Held::Own(Box::new(connection)))
    }

    pub(crate) fn borrowed(connection: PooledConnection<'static, AsyncPgConnection>) -> Self {
        Self(Held::Borrowed(Box::new(connection)))
    }

    pub(crate) fn dedicated(connection: AsyncPgConnection) -> Self {
        Self(Held::Dedicated(Box::new(connection)))
    }

    /// Whether the one transaction that is open is ours.
    fn depth_is_one(&mut self) -> Result<(), DriverError> {
        let status = AnsiTransactionManager::transaction_manager_status_mut(self.raw()?);
        let depth = status.transaction_depth().map_err(error::of)?;
        if depth.is_some_and(|depth| depth.get() == 1) {
            return Ok(());
        }
        Err(DriverError::unlike(
            "a transaction that was begun inside was neither committed nor rolled back",
        ))
    }
}

#[async_trait]
impl Connection for DieselConnection {
    type Raw = AsyncPgConnection;

    fn raw(&mut self) -> Result<&mut AsyncPgConnection, DriverError> {
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
        raw: &mut AsyncPgConnection,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        let statement = Statement {
            text: Arc::clone(statement),
            parameters,
        };
        let rows: Vec<AnyRow> = statement.load(raw).await.map_err(|error| {
            let error = error::of(error);
            if error.is_stale() {
                // Its pool is not to give it out again, also where it is not ours to discard.
                AnsiTransactionManager::transaction_manager_status_mut(raw).set_in_error();
            }
            error
        })?;
        Ok(rows.into_iter().map(|AnyRow(row)| row).collect())
    }

    async fn batch(&mut self, script: &str) -> Result<(), DriverError> {
        self.raw()?.batch_execute(script).await.map_err(error::of)
    }

    async fn begin(&mut self, script: &str) -> Result<(), DriverError> {
        AnsiTransactionManager::begin_transaction_sql(self.raw()?, script)
            .await
            .map_err(error::of)
    }

    async fn commit(&mut self) -> Result<(), DriverError> {
        self.depth_is_one()?;
        AnsiTransactionManager::commit_transaction(self.raw()?)
            .await
            .map_err(error::of)
    }

    async fn rollback(&mut self) -> Result<(), DriverError> {
        self.depth_is_one()?;
        AnsiTransactionManager::rollback_transaction(self.raw()?)
            .await
            .map_err(error::of)
    }

    fn discard(&mut self) {
        // One that is dedicated is closed when it is dropped in any case.
        match &mut self.0 {
            Held::Own(connection) => connection.discard(),
            Held::Borrowed(connection) => {
                AnsiTransactionManager::transaction_manager_status_mut(&mut ***connection)
                    .set_in_error();
            }
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

impl fmt::Debug for DieselConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DieselConnection")
    }
}
