//! The pool, and connections beside it.

use std::{error::Error as StdError, fmt, str::FromStr as _};

use async_trait::async_trait;
use diesel::ConnectionResult;
use diesel_async::{
    AsyncPgConnection, SimpleAsyncConnection as _,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig},
};
use durable_pg::{Driver, DriverError, Listener, Notification, PoolSettings};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio_postgres::{Config, NoTls};

use crate::{DieselConnection, Pool, error};

/// diesel-async, with its pool.
#[derive(Clone)]
pub struct DieselDriver {
    pool: Pool,
    own: bool,
}

#[async_trait]
impl Driver for DieselDriver {
    type Pool = Pool;
    type Connection = DieselConnection;
    type Listener = DieselListener;

    const NAME: &'static str = "diesel-async";

    fn open(url: &str, settings: &PoolSettings) -> Result<Self, DriverError> {
        let config = Config::from_str(url)
            .map_err(|error| DriverError::settings(error::with_causes(&error)))?;
        let prepare = settings.prepare;
        let mut manager = ManagerConfig::<AsyncPgConnection>::default();
        // The manager passes on the URL that it is given, and shows it where it fails: it is given none.
        manager.custom_setup = Box::new(move |_| establish(config.clone(), prepare).boxed());
        let manager = AsyncDieselConnectionManager::new_with_config("", manager);
        let pool = bb8::Pool::builder()
            .max_size(settings.size)
            .connection_timeout(settings.acquire_timeout)
            // What the server refuses it refuses again; the engine asks again where that may help.
            .retry_connection(false)
            .build_unchecked(manager);
        Ok(Self { pool, own: true })
    }

    fn over(pool: Pool) -> Self {
        Self { pool, own: false }
    }

    fn owns_pool(&self) -> bool {
        self.own
    }

    async fn acquire(&self) -> Result<DieselConnection, DriverError> {
        let connection = self.pool.get_owned().await.map_err(error::of_pool)?;
        Ok(DieselConnection::pooled(connection))
    }

    async fn dedicated(&self) -> Result<DieselConnection, DriverError> {
        Ok(DieselConnection::dedicated(self.connection().await?))
    }

    async fn listen(&self, channels: &[&str]) -> Result<DieselListener, DriverError> {
        let mut connection = self.connection().await?;
        let listen: Vec<String> = channels
            .iter()
            .map(|channel| format!("LISTEN \"{}\"", channel.replace('"', "\"\"")))
            .collect();
        let script = listen.join("; ");
        connection.batch_execute(&script).await.map_err(error::of)?;
        Ok(DieselListener(connection))
    }

    fn said(error: &(dyn StdError + 'static)) -> Option<DriverError> {
        error
            .downcast_ref::<diesel::result::Error>()
            .map(error::of_ref)
    }
}

impl DieselDriver {
    /// A connection outside the pool, made as the pool makes its own.
    async fn connection(&self) -> Result<AsyncPgConnection, DriverError> {
        let made = self.pool.dedicated_connection().await;
        made.map_err(error::of_manager)
    }
}

/// A connection of our own, set up.
async fn establish(config: Config, prepare: &'static str) -> ConnectionResult<AsyncPgConnection> {
    let (client, connection) = config
        .connect(NoTls)
        .await
        .map_err(|error| error::while_connecting(&error))?;
    let mut connection =
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
    connection
        .batch_execute(prepare)
        .await
        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

impl fmt::Debug for DieselDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DieselDriver")
            .field("owns_pool", &self.own)
            .field("size", &self.pool.state().connections)
            .finish_non_exhaustive()
    }
}

/// A connection that listens.
pub struct DieselListener(AsyncPgConnection);

#[async_trait]
impl Listener for DieselListener {
    async fn next(&mut self) -> Result<Notification, DriverError> {
        let heard = std::pin::pin!(self.0.notifications_stream()).next().await;
        let heard = heard
            .ok_or_else(|| DriverError::lost("the listening connection is gone"))?
            .map_err(error::of)?;
        Ok(Notification {
            channel: heard.channel,
            payload: heard.payload,
        })
    }
}

impl fmt::Debug for DieselListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DieselListener")
    }
}
