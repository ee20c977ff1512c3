//! One bank on three drivers: closures of the tests are written once, and are given whichever connection there is.

use std::{collections::BTreeMap, sync::Arc};

use durable::{
    Error, Isolation,
    diesel::{self, sql_types::BigInt},
    diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _},
    pg_diesel, pg_sqlx,
    prelude::*,
    runtime::BoxFuture,
    sqlite,
};
use sqlx::{Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection};

/// sqlx as all backends of this program have it.
pub use durable::sqlx;

#[derive(Debug, PartialEq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum BankError {
    #[error("not enough money")]
    Poor,
    /// What the driver said, as most applications keep it.
    #[error("the bank's database: {0}")]
    Database(String),
    #[error(transparent)]
    Durable(#[from] Error),
}

impl From<sqlx::Error> for BankError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<diesel::result::Error> for BankError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.to_string())
    }
}

/// The connection of an open transaction.
pub enum Tx<'t> {
    Sqlite(&'t mut SqliteConnection),
    Sqlx(&'t mut PgConnection),
    Diesel(&'t mut AsyncPgConnection),
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn statement(text: &str) -> sqlx::SqlStr {
    sqlx::AssertSqlSafe(text.to_owned()).into_sql_str()
}

impl Tx<'_> {
    pub async fn run(&mut self, text: &str) -> Result<u64, BankError> {
        Ok(match self {
            Self::Sqlite(conn) => sqlx::query(statement(text))
                .execute(&mut **conn)
                .await?
                .rows_affected(),
            Self::Sqlx(conn) => sqlx::query(statement(text))
                .execute(&mut **conn)
                .await?
                .rows_affected(),
            Self::Diesel(conn) => diesel::sql_query(text).execute(*conn).await? as u64,
        })
    }

    /// The `number` that a statement gives.
    pub async fn number(&mut self, text: &str) -> Result<i64, BankError> {
        Ok(match self {
            Self::Sqlite(conn) => {
                sqlx::query_scalar(statement(text))
                    .fetch_one(&mut **conn)
                    .await?
            }
            Self::Sqlx(conn) => {
                sqlx::query_scalar(statement(text))
                    .fetch_one(&mut **conn)
                    .await?
            }
            Self::Diesel(conn) => {
                let row: Number = diesel::sql_query(text).get_result(*conn).await?;
                row.number
            }
        })
    }

    /// Runs a statement in a transaction that is begun by the driver's own means, and keeps it or not.
    pub async fn nested(&mut self, text: &str, keep: bool) -> Result<(), BankError> {
        match self {
            Self::Sqlite(conn) => {
                let mut inner = conn.begin().await?;
                sqlx::query(statement(text)).execute(&mut *inner).await?;
                if keep {
                    inner.commit().await?;
                }
            }
            Self::Sqlx(conn) => {
                let mut inner = conn.begin().await?;
                sqlx::query(statement(text)).execute(&mut *inner).await?;
                if keep {
                    inner.commit().await?;
                }
            }
            Self::Diesel(conn) => {
                let ran = conn
                    .transaction(async |inner| {
                        diesel::sql_query(text).execute(inner).await?;
                        if keep {
                            Ok(())
                        } else {
                            Err(diesel::result::Error::RollbackTransaction)
                        }
                    })
                    .await;
                match ran {
                    Err(diesel::result::Error::RollbackTransaction) if !keep => {}
                    ran => ran?,
                }
            }
        }
        Ok(())
    }
}

/// A data source of each backend.
#[derive(Clone, Debug)]
pub enum Bank {
    Sqlite(sqlite::DataSource),
    Sqlx(pg_sqlx::DataSource),
    Diesel(pg_diesel::DataSource),
}

/// How a step is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    pub isolation: Isolation,
    pub read_only: bool,
    pub max_attempts: Option<u32>,
    pub timeout: Option<Duration>,
}

macro_rules! on_each {
    ($bank:expr, $tx:ident, |$source:ident| $call:expr) => {
        match $bank {
            Bank::Sqlite($source) => {
                #[allow(unused)]
                use Tx::Sqlite as $tx;
                $call
            }
            Bank::Sqlx($source) => {
                #[allow(unused)]
                use Tx::Sqlx as $tx;
                $call
            }
            Bank::Diesel($source) => {
                #[allow(unused)]
                use Tx::Diesel as $tx;
                $call
            }
        }
    };
}

impl Bank {
    /// A transactional step that does what an act does.
    pub fn step<'a>(
        &self,
        ctx: &Ctx,
        name: &str,
        act: &'a Act,
        how: How,
    ) -> BoxFuture<'a, Result<i64, BankError>> {
        let name = name.to_owned();
        on_each!(self, Wrap, |source| {
            let mut step = source
                .transaction(ctx, name, async |conn| act(Wrap(conn)).await)
                .isolation(how.isolation);
            if how.read_only {
                step = step.read_only();
            }
            if let Some(n) = how.max_attempts {
                step = step.max_attempts(n);
            }
            if let Some(timeout) = how.timeout {
                step = step.timeout(timeout);
            }
            Box::pin(step)
        })
    }

    pub async fn migrate(&self) {
        on_each!(self, Wrap, |source| source.migrate().await).expect("the witnesses' table");
    }
}

/// What a closure does.
pub type Act =
    Arc<dyn for<'t> Fn(Tx<'t>) -> BoxFuture<'t, Result<i64, BankError>> + Send + Sync + 'static>;

/// The acts of a test, by their names; state of its application.
#[derive(Clone, Default)]
pub struct Acts(BTreeMap<&'static str, (Act, How)>);

impl Acts {
    pub fn with(
        self,
        name: &'static str,
        act: impl for<'t> Fn(Tx<'t>) -> BoxFuture<'t, Result<i64, BankError>> + Send + Sync + 'static,
    ) -> Self {
        self.with_how(name, How::default(), act)
    }

    pub fn with_how(
        mut self,
        name: &'static str,
        how: How,
        act: impl for<'t> Fn(Tx<'t>) -> BoxFuture<'t, Result<i64, BankError>> + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(name, (Arc::new(act), how));
        self
    }

    pub fn get(&self, name: &str) -> &(Act, How) {
        self.0.get(name).expect("the test has this act")
    }
}

/// Does one act as a transactional step.
#[durable::workflow]
pub async fn perform(ctx: Ctx, act: String) -> Result<i64, BankError> {
    let (bank, acts) = (ctx.state::<Bank>()?, ctx.state::<Acts>()?);
    let (body, how) = acts.get(&act);
    bank.step(&ctx, &act, body, *how).await
}

/// The same, and then a plain step that stands at a gate, so that a test can end the process in between.
#[durable::workflow]
pub async fn perform_and_wait(ctx: Ctx, act: String) -> Result<i64, BankError> {
    let (bank, acts) = (ctx.state::<Bank>()?, ctx.state::<Acts>()?);
    let tally = ctx.state::<crate::support::Tally>()?;
    let (body, how) = acts.get(&act);
    let result = bank.step(&ctx, &act, body, *how).await;
    ctx.step("after", || async {
        tally.pass("after").await;
        Ok::<_, Error>(())
    })
    .await?;
    result
}
