//! The pool, and connections beside it.

use std::{error::Error as StdError, fmt};

use async_trait::async_trait;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use durable_pg::{
    Connect, Driver, DriverError, Host, Listener, Notification, OwnPool, PoolSettings, Servers,
    Target, Tls,
};
use futures_util::StreamExt as _;
use tokio_postgres::{
    Config, NoTls, Socket,
    config::SslMode,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{DieselConnection, Pool, error, tls};

/// diesel-async, with its pool.
#[derive(Clone)]
pub struct DieselDriver(Source);

#[derive(Clone)]
enum Source {
    Own(OwnPool<Sessions>),
    Application(Pool),
}

/// How diesel-async makes a session.
pub(crate) struct Sessions;

#[async_trait]
impl Connect for Sessions {
    type Session = AsyncPgConnection;

    async fn connect(target: &Target) -> Result<AsyncPgConnection, DriverError> {
        let config = config(target);
        match tls::config(&target.tls)? {
            None => connect(config, NoTls).await,
            Some(tls) => connect(config, MakeRustlsConnect::new(tls)).await,
        }
    }

    async fn batch(session: &mut AsyncPgConnection, script: &str) -> Result<(), DriverError> {
        session.batch_execute(script).await.map_err(error::of)
    }
}

async fn connect<T>(config: Config, tls: T) -> Result<AsyncPgConnection, DriverError>
where
    T: MakeTlsConnect<Socket> + Send,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let connected = config.connect(tls).await;
    let (client, connection) = connected.map_err(|error| error::while_connecting(&error))?;
    let made = AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    made.map_err(error::of_connection)
}

/// A server, as tokio-postgres wants it.
fn config(target: &Target) -> Config {
    let mut config = Config::new();
    match &target.host {
        Host::Name(name) => config.host(name),
        #[cfg(unix)]
        Host::Socket(directory) => config.host_path(directory),
        #[cfg(not(unix))]
        Host::Socket(directory) => config.host(directory.to_string_lossy()),
    };
    config
        .port(target.port)
        .user(&target.user)
        .dbname(&target.database)
        .application_name(&target.application_name)
        .ssl_mode(match &target.tls {
            Tls::Off => SslMode::Disable,
            Tls::Prefer(_) => SslMode::Prefer,
            Tls::Require(_) | Tls::Verify { .. } => SslMode::Require,
        });
    if let Some(password) = &target.password {
        config.password(password.reveal());
    }
    if !target.options.is_empty() {
        let escaped = |text: &str| text.replace('\\', r"\\").replace(' ', r"\ ");
        let options: Vec<String> = target
            .options
            .iter()
            .map(|(name, value)| format!("-c {}={}", escaped(name), escaped(value)))
            .collect();
        config.options(options.join(" "));
    }
    config
}

#[async_trait]
impl Driver for DieselDriver {
    type Pool = Pool;
    type Connection = DieselConnection;
    type Listener = DieselListener;

    const NAME: &'static str = "diesel-async";

    fn open(servers: Servers, settings: &PoolSettings) -> Self {
        Self(Source::Own(OwnPool::new(servers, settings)))
    }

    fn over(pool: Pool) -> Self {
        Self(Source::Application(pool))
    }

    fn owns_pool(&self) -> bool {
        matches!(self.0, Source::Own(_))
    }

    fn place(&self) -> String {
        match &self.0 {
            Source::Own(pool) => pool.place(),
            // bb8 does not tell where it connects to.
            Source::Application(_) => "what the pool connects to".to_owned(),
        }
    }

    async fn acquire(&self) -> Result<DieselConnection, DriverError> {
        match &self.0 {
            Source::Own(pool) => Ok(DieselConnection::own(pool.acquire().await?)),
            Source::Application(pool) => {
                let connection = pool.get_owned().await.map_err(error::of_pool)?;
                Ok(DieselConnection::borrowed(connection))
            }
        }
    }

    async fn dedicated(&self) -> Result<DieselConnection, DriverError> {
        let connection = match &self.0 {
            Source::Own(pool) => pool.dedicated().await?,
            Source::Application(pool) => {
                let made = pool.dedicated_connection().await;
                made.map_err(error::of_manager)?
            }
        };
        Ok(DieselConnection::dedicated(connection))
    }

    async fn listen(&self, channels: &[&str]) -> Result<DieselListener, DriverError> {
        let listen: Vec<String> = channels
            .iter()
            .map(|channel| format!("LISTEN \"{}\"", channel.replace('"', "\"\"")))
            .collect();
        let script = listen.join("; ");
        let mut connection = match &self.0 {
            Source::Own(pool) => pool.dedicated().await?,
            Source::Application(pool) => {
                let made = pool.dedicated_connection().await;
                made.map_err(error::of_manager)?
            }
        };
        Sessions::batch(&mut connection, &script).await?;
        Ok(DieselListener(connection))
    }

    fn said(error: &(dyn StdError + 'static)) -> Option<DriverError> {
        error
            .downcast_ref::<diesel::result::Error>()
            .map(error::of_ref)
    }
}

impl fmt::Debug for DieselDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match &self.0 {
            Source::Own(pool) => pool.size(),
            Source::Application(pool) => pool.state().connections,
        };
        f.debug_struct("DieselDriver")
            .field("owns_pool", &self.owns_pool())
            .field("size", &size)
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
