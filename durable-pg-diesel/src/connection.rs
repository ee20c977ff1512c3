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

    fn raw(&mut self) -> Result<&mut AsyncPgConnection, DriverError> {
        match &mut self.0 {
            Held::Own(connection) => connection.session(),
            Held::Borrowed(connection) => Ok(connection),
            Held::Dedicated(connection) => Ok(connection),
        }
    }
}

#[async_trait]
impl Connection for DieselConnection {
    async fn query(
        &mut self,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        let statement = Statement {
            text: Arc::clone(statement),
            parameters,
        };
        let rows: Vec<AnyRow> = statement.load(self.raw()?).await.map_err(error::of)?;
        Ok(rows.into_iter().map(|AnyRow(row)| row).collect())
    }

    async fn batch(&mut self, script: &str) -> Result<(), DriverError> {
        self.raw()?.batch_execute(script).await.map_err(error::of)
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
}

impl fmt::Debug for DieselConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DieselConnection")
    }
}
