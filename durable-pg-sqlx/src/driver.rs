//! The pool, and connections beside it.

use std::{error::Error as StdError, fmt, str::FromStr as _, time::Duration};

use async_trait::async_trait;
use durable_pg::{Driver, DriverError, Listener, Notification, PoolSettings};
use sqlx::{
    ConnectOptions as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use crate::{SqlxConnection, error};

/// How long a connection may lie in the pool before it is asked whether it is still there.
const FRESH: Duration = Duration::from_secs(1);

/// sqlx, with its pool.
#[derive(Clone)]
pub struct SqlxDriver {
    pool: PgPool,
    /// What each connection of our own runs first; `None`: the pool is the application's.
    prepare: Option<&'static str>,
}

#[async_trait]
impl Driver for SqlxDriver {
    type Pool = PgPool;
    type Connection = SqlxConnection;
    type Listener = SqlxListener;

    const NAME: &'static str = "sqlx";

    fn open(url: &str, settings: &PoolSettings) -> Result<Self, DriverError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(error::of)?
            .disable_statement_logging();
        let prepare = settings.prepare;
        let pool = PgPoolOptions::new()
            .max_connections(settings.size)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    Ok(meta.idle_for < FRESH || connection.execute("SELECT 1").await.is_ok())
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move { set_up(connection, prepare).await })
            })
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            prepare: Some(prepare),
        })
    }

    fn over(pool: PgPool) -> Self {
        Self {
            pool,
            prepare: None,
        }
    }

    fn owns_pool(&self) -> bool {
        self.prepare.is_some()
    }

    async fn acquire(&self) -> Result<SqlxConnection, DriverError> {
        let connection = self.pool.acquire().await.map_err(error::of)?;
        Ok(SqlxConnection::pooled(connection))
    }

    async fn dedicated(&self) -> Result<SqlxConnection, DriverError> {
        let options = self.pool.connect_options();
        let mut connection = options.connect().await.map_err(error::of)?;
        if let Some(prepare) = self.prepare {
            set_up(&mut connection, prepare).await.map_err(error::of)?;
        }
        Ok(SqlxConnection::dedicated(connection))
    }

    async fn listen(&self, channels: &[&str]) -> Result<SqlxListener, DriverError> {
        // A pool of its own with one connection: the listener keeps it.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with((*self.pool.connect_options()).clone());
        let mut listener = PgListener::connect_with(&pool).await.map_err(error::of)?;
        let channels = channels.iter().copied();
        listener.listen_all(channels).await.map_err(error::of)?;
        Ok(SqlxListener(listener))
    }

    fn said(error: &(dyn StdError + 'static)) -> Option<DriverError> {
        error::said(error)
    }
}

async fn set_up(connection: &mut PgConnection, prepare: &'static str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(prepare)).await?;
    Ok(())
}

impl fmt::Debug for SqlxDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlxDriver")
            .field("owns_pool", &self.owns_pool())
            .field("size", &self.pool.size())
            .finish_non_exhaustive()
    }
}

/// A connection that listens.
#[derive(Debug)]
pub struct SqlxListener(PgListener);

#[async_trait]
impl Listener for SqlxListener {
    async fn next(&mut self) -> Result<Notification, DriverError> {
        let heard = self.0.try_recv().await.map_err(error::of)?;
        let heard = heard.ok_or_else(|| DriverError::lost("the listening connection is gone"))?;
        Ok(Notification {
            channel: heard.channel().to_owned(),
            payload: heard.payload().to_owned(),
        })
    }
}
