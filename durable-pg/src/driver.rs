//! What a driver crate gives: connections that run a statement with parameters and give rows back. It decides nothing.

use std::{error::Error as StdError, fmt, sync::Arc};

use async_trait::async_trait;

use crate::{DriverError, Param, PoolSettings, Row, Servers};

/// A Postgres driver with its pool. Clones share the pool.
#[async_trait]
pub trait Driver: Clone + fmt::Debug + Send + Sync + 'static {
    /// A pool of the application.
    type Pool: Send + 'static;

    /// A connection.
    type Connection: Connection;

    /// A connection that receives notifications.
    type Listener: Listener;

    /// The driver's name, as in "sqlx".
    const NAME: &'static str;

    /// A pool of our own on these servers, an [`OwnPool`](crate::OwnPool); each of its connections runs `settings.prepare` when it is
    /// made. Connects to nothing yet.
    fn open(servers: Servers, settings: &PoolSettings) -> Self;

    /// Uses a pool of the application: its connections are as the application made them.
    fn over(pool: Self::Pool) -> Self;

    /// Whether the pool is our own.
    fn owns_pool(&self) -> bool;

    /// A connection of the pool, given back when it is dropped.
    async fn acquire(&self) -> Result<Self::Connection, DriverError>;

    /// Where its connections go, as in "db1:5432".
    fn place(&self) -> String;

    /// A connection outside the pool, made as the pool makes its own but for `settings.prepare`, and closed when it is dropped.
    async fn dedicated(&self) -> Result<Self::Connection, DriverError>;

    /// A connection outside the pool that listens on these channels.
    async fn listen(&self, channels: &[&str]) -> Result<Self::Listener, DriverError>;

    /// What an error says, if it is this driver's own type; its sources are not looked at.
    fn said(error: &(dyn StdError + 'static)) -> Option<DriverError>;
}

/// One session with the server.
#[async_trait]
pub trait Connection: Send + 'static {
    /// The connection that users of the driver know.
    type Raw: Send + 'static;

    /// That connection. Errors: it was discarded.
    fn raw(&mut self) -> Result<&mut Self::Raw, DriverError>;

    /// As [`query`](Self::query), on a connection that somebody else holds.
    async fn query_on(
        raw: &mut Self::Raw,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError>;

    /// Begins a transaction by this script, whose first statement is `BEGIN`; the driver knows of it, so that one begun on the raw
    /// connection is a savepoint.
    async fn begin(&mut self, script: &str) -> Result<(), DriverError>;

    /// Commits what [`begin`](Self::begin) began. Errors: a savepoint is still open; the connection may then be discarded only. After
    /// what the server says, no transaction is open.
    async fn commit(&mut self) -> Result<(), DriverError>;

    /// Rolls back what [`begin`](Self::begin) began. Errors: it cannot, or a savepoint is still open; the connection may then be
    /// discarded only.
    async fn rollback(&mut self) -> Result<(), DriverError>;

    /// Runs one statement, prepared at its first time and kept prepared, and gives all its rows.
    async fn query(
        &mut self,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError>;

    /// Runs statements without parameters in one round trip, and gives nothing back.
    async fn batch(&mut self, script: &str) -> Result<(), DriverError>;

    /// Says that the session's state is unknown: it is closed when this is dropped, and never goes back to its pool.
    fn discard(&mut self);

    /// Says that what the session has prepared cannot be used any more: as
    /// [`discard`](Self::discard), and what else our own pool holds is as old.
    fn discard_all(&mut self) {
        self.discard();
    }
}

/// A session that listens.
#[async_trait]
pub trait Listener: Send + 'static {
    /// The next notification. Errors: the connection is gone; what came since it went is lost.
    async fn next(&mut self) -> Result<Notification, DriverError>;
}

/// What another session told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The channel.
    pub channel: String,
    /// What was said.
    pub payload: String,
}
