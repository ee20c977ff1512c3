//! A driver over another one whose connections stop before each statement about the system tables.

use std::{error::Error as StdError, fmt, sync::Arc};

use async_trait::async_trait;
use durable_pg::{Connection, Driver, DriverError, Param, PoolSettings, Row, Servers};

use super::gate::Gate;
use crate::effort;

/// Nothing here has to outlive the server.
const NO_DISK: &str = "SET synchronous_commit = off";

/// Another driver, with a gate before its statements. It is open until it is armed.
#[derive(Clone)]
pub struct Paused<D> {
    inner: D,
    gate: Arc<Gate>,
}

impl<D> Paused<D> {
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }
}

#[async_trait]
impl<D: Driver> Driver for Paused<D> {
    type Pool = D::Pool;
    type Connection = PausedConnection<D::Connection>;
    type Listener = D::Listener;

    const NAME: &'static str = D::NAME;

    fn open(servers: Servers, settings: &PoolSettings) -> Self {
        let mut settings = settings.clone();
        settings.prepare = format!("{}; {NO_DISK}", settings.prepare).into();
        Self {
            inner: D::open(servers, &settings),
            gate: Gate::new(),
        }
    }

    fn over(pool: D::Pool) -> Self {
        Self {
            inner: D::over(pool),
            gate: Gate::new(),
        }
    }

    fn owns_pool(&self) -> bool {
        self.inner.owns_pool()
    }

    fn place(&self) -> String {
        self.inner.place()
    }

    async fn acquire(&self) -> Result<Self::Connection, DriverError> {
        Ok(self.connection(self.inner.acquire().await?))
    }

    async fn dedicated(&self) -> Result<Self::Connection, DriverError> {
        Ok(self.connection(self.inner.dedicated().await?))
    }

    async fn listen(&self, channels: &[&str]) -> Result<Self::Listener, DriverError> {
        self.inner.listen(channels).await
    }

    fn said(error: &(dyn StdError + 'static)) -> Option<DriverError> {
        D::said(error)
    }
}

impl<D: Driver> Paused<D> {
    fn connection(&self, inner: D::Connection) -> PausedConnection<D::Connection> {
        PausedConnection {
            inner,
            gate: Arc::clone(&self.gate),
            session: None,
        }
    }
}

impl<D: fmt::Debug> fmt::Debug for Paused<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Paused").field(&self.inner).finish()
    }
}

/// A connection that stops before each statement.
pub struct PausedConnection<C> {
    inner: C,
    gate: Arc<Gate>,
    /// The server's number of the session.
    session: Option<i64>,
}

/// Whether a statement reads or writes the system tables, or ends a transaction. What else a process does keeps house: locks that show
/// who lives, hints. A transaction's beginning sees nothing, as each of its statements sees what is committed by then: where not all
/// orders are played it goes with the statement after it.
fn is_step(statement: &str) -> bool {
    let statement = statement.trim_start();
    let starts = |word: &&str| statement.starts_with(word);
    statement.contains("dbos.")
        || ["COMMIT", "ROLLBACK"].iter().any(starts)
        || (statement.starts_with("BEGIN") && effort::is_full())
}

impl<C: Connection> PausedConnection<C> {
    /// Waits until the statement may be sent; whether it stopped.
    async fn pause(&mut self, statement: &str) -> Result<bool, DriverError> {
        if !self.gate.is_armed() || !is_step(statement) {
            return Ok(false);
        }
        let session = self.session().await?;
        self.gate.pass(session, statement).await;
        Ok(true)
    }

    async fn session(&mut self) -> Result<i64, DriverError> {
        if let Some(session) = self.session {
            return Ok(session);
        }
        let statement = "SELECT pg_backend_pid()".into();
        let mut rows = self.inner.query(&statement, &[]).await?;
        let number = rows.pop().map(|mut row| row.integer());
        let number = number
            .transpose()?
            .flatten()
            .ok_or_else(|| DriverError::unlike("a session has no number"))?;
        self.session = Some(number);
        Ok(number)
    }
}

#[async_trait]
impl<C: Connection> Connection for PausedConnection<C> {
    type Raw = C::Raw;

    fn raw(&mut self) -> Result<&mut C::Raw, DriverError> {
        self.inner.raw()
    }

    async fn query_on(
        raw: &mut C::Raw,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        C::query_on(raw, statement, parameters).await
    }

    async fn begin(&mut self, script: &str) -> Result<(), DriverError> {
        self.inner.begin(script).await
    }

    async fn commit(&mut self) -> Result<(), DriverError> {
        self.inner.commit().await
    }

    async fn rollback(&mut self) -> Result<(), DriverError> {
        self.inner.rollback().await
    }

    async fn query(
        &mut self,
        statement: &Arc<str>,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        let paused = self.pause(statement).await?;
        let answer = match self.gate.rewritten(statement) {
            Some(other) => self.inner.query(&other.into(), parameters).await,
            None => self.inner.query(statement, parameters).await,
        };
        if paused {
            self.gate.passed();
        }
        answer
    }

    async fn batch(&mut self, script: &str) -> Result<(), DriverError> {
        let paused = self.pause(script).await?;
        let mut answer = self.inner.batch(script).await;
        if answer.is_ok() && script.contains("synchronous_commit") {
            answer = self.inner.batch(NO_DISK).await;
        }
        if paused {
            self.gate.passed();
        }
        answer
    }

    fn discard(&mut self) {
        self.inner.discard();
    }
}
