//! A session with the server.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _,
    TransactionManager as _, pooled_connection::bb8::PooledConnection,
};
use durable_pg::{Connection, DriverError, Param, Row};

use crate::{
    error,
    statement::{AnyRow, Statement},
};

/// A connection, of a pool or by itself.
pub struct DieselConnection(Held);

enum Held {
    Pooled(Box<PooledConnection<'static, AsyncPgConnection>>),
    Dedicated(Box<AsyncPgConnection>),
}

impl DieselConnection {
    pub(crate) fn pooled(connection: PooledConnection<'static, AsyncPgConnection>) -> Self {
        Self(Held::Pooled(Box::new(connection)))
    }

    pub(crate) fn dedicated(connection: AsyncPgConnection) -> Self {
        Self(Held::Dedicated(Box::new(connection)))
    }

    fn raw(&mut self) -> &mut AsyncPgConnection {
        match &mut self.0 {
            Held::Pooled(connection) => connection,
            Held::Dedicated(connection) => connection,
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
        let rows: Vec<AnyRow> = statement.load(self.raw()).await.map_err(error::of)?;
        Ok(rows.into_iter().map(|AnyRow(row)| row).collect())
    }

    async fn batch(&mut self, script: &str) -> Result<(), DriverError> {
        self.raw().batch_execute(script).await.map_err(error::of)
    }

    fn discard(&mut self) {
        // One that is dedicated is closed when it is dropped in any case.
        if let Held::Pooled(connection) = &mut self.0 {
            AnsiTransactionManager::transaction_manager_status_mut(&mut ***connection)
                .set_in_error();
        }
    }
}

impl fmt::Debug for DieselConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DieselConnection")
    }
}
