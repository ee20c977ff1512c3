//! The pool, and connections beside it.

use std::{error::Error as StdError, fmt};

use async_trait::async_trait;
use durable_pg::{
    Connect, Driver, DriverError, Host, Listener, Notification, OwnPool, PoolSettings, Roots,
    Servers, Target, Tls,
};
use sqlx::{
    ConnectOptions as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode},
};

use crate::{SqlxConnection, error};

/// sqlx, with its pool.
#[derive(Clone)]
pub struct SqlxDriver(Pool);

#[derive(Clone)]
enum Pool {
    Own(OwnPool<Sessions>),
    Application(PgPool),
}

/// How sqlx makes a session.
pub(crate) struct Sessions;

#[async_trait]
impl Connect for Sessions {
    type Session = PgConnection;

    async fn connect(target: &Target) -> Result<PgConnection, DriverError> {
        options(target)?.connect().await.map_err(error::of)
    }

    async fn batch(session: &mut PgConnection, script: &str) -> Result<(), DriverError> {
        // Our own scripts, without anything that varies.
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(script.to_owned()));
        session.execute(script).await.map_err(error::of)?;
        Ok(())
    }
}

/// A server, as sqlx wants it. Everything is said, so that nothing is taken from the environment.
fn options(target: &Target) -> Result<PgConnectOptions, DriverError> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .port(target.port)
        .username(&target.user)
        .database(&target.database)
        .application_name(&target.application_name)
        // PgBouncer refuses it unless it is told to ignore it, and nothing here reads a float as text.
        .extra_float_digits(None)
        .disable_statement_logging();
    options = match &target.host {
        Host::Name(name) => options.host(name),
        Host::Socket(directory) => options.socket(directory),
    };
    if !target.options.is_empty() {
        // None are said where there are none: PgBouncer refuses the parameter itself.
        options = options.options(target.options.iter().map(|(name, value)| (name, value)));
    }
    if let Some(password) = &target.password {
        options = options.password(password.reveal());
    }
    options = options.ssl_mode(match &target.tls {
        Tls::Off => PgSslMode::Disable,
        Tls::Prefer(_) => PgSslMode::Prefer,
        Tls::Require(_) => PgSslMode::Require,
        Tls::Verify { name: false, .. } => PgSslMode::VerifyCa,
        Tls::Verify { name: true, .. } => PgSslMode::VerifyFull,
    });
    if let Tls::Verify { roots, .. } = &target.tls
        && let Some(pem) = Roots::pem(roots)?
    {
        options = options.ssl_root_cert_from_pem(pem);
    }
    if let Some(certificate) = target.tls.certificate() {
        let (chain, key) = certificate.pem()?;
        options = options
            .ssl_client_cert_from_pem(chain)
            .ssl_client_key_from_pem(key);
    }
    Ok(options)
}

#[async_trait]
impl Driver for SqlxDriver {
    type Pool = PgPool;
    type Connection = SqlxConnection;
    type Listener = SqlxListener;

    const NAME: &'static str = "sqlx";

    fn open(servers: Servers, settings: &PoolSettings) -> Self {
        if let Tls::Verify { name: false, .. } = servers.first().tls {
            tracing::warn!(
                "sslmode=verify-ca: sqlx also trusts the system's authorities, besides sslrootcert; sslmode=verify-full checks the name too"
            );
        }
        Self(Pool::Own(OwnPool::new(servers, settings)))
    }

    fn over(pool: PgPool) -> Self {
        Self(Pool::Application(pool))
    }

    fn owns_pool(&self) -> bool {
        matches!(self.0, Pool::Own(_))
    }

    fn place(&self) -> String {
        match &self.0 {
            Pool::Own(pool) => pool.place(),
            Pool::Application(pool) => {
                let options = pool.connect_options();
                format!("{}:{}", options.get_host(), options.get_port())
            }
        }
    }

    async fn acquire(&self) -> Result<SqlxConnection, DriverError> {
        match &self.0 {
            Pool::Own(pool) => Ok(SqlxConnection::own(pool.acquire().await?)),
            Pool::Application(pool) => {
                let connection = pool.acquire().await.map_err(error::of)?;
                Ok(SqlxConnection::borrowed(connection))
            }
        }
    }

    async fn dedicated(&self) -> Result<SqlxConnection, DriverError> {
        let connection = match &self.0 {
            Pool::Own(pool) => pool.dedicated().await?,
            Pool::Application(pool) => {
                let options = pool.connect_options();
                options.connect().await.map_err(error::of)?
            }
        };
        Ok(SqlxConnection::dedicated(connection))
    }

    async fn listen(&self, channels: &[&str]) -> Result<SqlxListener, DriverError> {
        match &self.0 {
            Pool::Own(pool) => {
                let listen =
                    |target: Target| async move { listen(options(&target)?, channels).await };
                pool.any(listen).await
            }
            Pool::Application(pool) => listen((*pool.connect_options()).clone(), channels).await,
        }
    }

    fn said(error: &(dyn StdError + 'static)) -> Option<DriverError> {
        error::said(error)
    }
}

async fn listen(options: PgConnectOptions, channels: &[&str]) -> Result<SqlxListener, DriverError> {
    // A pool of its own with one connection: the listener keeps it.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await.map_err(error::of)?;
    // It is made again by whoever finds it gone, perhaps on another server.
    listener.eager_reconnect(false);
    let channels = channels.iter().copied();
    // A server that only reads refuses this.
    listener.listen_all(channels).await.map_err(error::of)?;
    Ok(SqlxListener(listener))
}

impl fmt::Debug for SqlxDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match &self.0 {
            Pool::Own(pool) => pool.size(),
            Pool::Application(pool) => pool.size(),
        };
        f.debug_struct("SqlxDriver")
            .field("owns_pool", &self.owns_pool())
            .field("size", &size)
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
