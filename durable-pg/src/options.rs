//! How a database is opened.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use crate::{
    Driver, DriverError, Migration, PgSystemDb, Servers,
    connect::probe,
    text::{DEFAULT_SCHEMA, SchemaName},
};

/// How many connections write for a process, unless given: more gain nothing on two cores.
const DEFAULT_LANES: usize = 2;

/// The most lanes that can be asked for.
const MAX_LANES: usize = 16;

/// How many connections a pool of our own has at most, unless given.
const DEFAULT_POOL_SIZE: u32 = 20;

/// How many connections stay beside the pool and the lanes: the listener's, the session's with the executors' locks, the heartbeat's.
const STAYING: u32 = 3;

/// A pool smaller than this makes calls wait for each other.
const SMALL_POOL: u32 = 5;

/// How long an executor lives without a heartbeat, unless given.
const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// The shortest and the longest lease that can be asked for.
const LEASES: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(3600));

/// How long a call waits for a connection of our own pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a statement may run, unless given.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a transaction may lie idle, unless given.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How much longer than a statement may run an answer may take: what is later will never come, as the server or the network hangs.
const GRACE: Duration = Duration::from_secs(15);

/// What each session of our own is set to when it is made, but for the timeouts.
///
/// A statement that is prepared on an empty table would keep a sequential scan while the table grows (`enable_seqscan`). With that no
/// plan depends on a parameter, and each is made once (`plan_cache_mode`): that of a batch takes longer to make than the batch to write,
/// and the server would make it anew each time, as it takes arrays whose length it does not know for longer than they are. The locks of
/// the statements are those of this isolation level, and what is acknowledged must be on the disk: a server that is set to answer
/// before that is overruled.
pub(crate) const PREPARE: &str = "
    SET enable_seqscan = off;
    SET plan_cache_mode = force_generic_plan;
    SET default_transaction_isolation = 'read committed';
    SELECT pg_catalog.set_config('synchronous_commit', 'on', false)
    WHERE pg_catalog.current_setting('synchronous_commit') = 'off'";

/// What a driver makes a pool of our own from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolSettings {
    /// How many connections it has at most.
    pub size: u32,
    /// How long a caller waits for one.
    pub acquire_timeout: Duration,
    /// What each session runs when it is made.
    pub prepare: Arc<str>,
}

impl PoolSettings {
    /// A pool of this size whose sessions are as the server makes them: for tests, and for statements that are not this crate's.
    pub fn bare(size: u32) -> Self {
        Self {
            size,
            acquire_timeout: ACQUIRE_TIMEOUT,
            prepare: Arc::from(""),
        }
    }
}

/// What holds for each session of our own.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// What it runs when it is made.
    pub(crate) prepare: Arc<str>,
    /// How long an answer may take.
    pub(crate) answered: Option<Duration>,
    /// How many a process may open in all; `None`: as many as the application's pool has.
    pub(crate) connections: Option<u32>,
}

impl Bounds {
    /// The answer, if it comes in time; otherwise the connection is as good as gone.
    pub(crate) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        let Some(limit) = self.answered else {
            return asked.await;
        };
        tokio::time::timeout(limit, asked)
            .await
            .unwrap_or_else(|_| {
                Err(DriverError::lost(format!(
                    "the server did not answer within {limit:?}"
                )))
            })
    }
}

/// How a database is opened. Made by [`PgSystemDb::options`] or [`PgSystemDb::pool_options`].
#[must_use = "nothing is opened before `connect` is called"]
pub struct PgOptions<D: Driver> {
    source: Source<D>,
    pub(crate) schema: String,
    pub(crate) lanes: usize,
    pub(crate) listen_notify: bool,
    lease: Option<Duration>,
    pool_size: u32,
    statement_timeout: Duration,
    idle_timeout: Duration,
}

enum Source<D: Driver> {
    Url(String),
    Pool(D::Pool),
}

impl<D: Driver> PgOptions<D> {
    pub(crate) fn url(url: String) -> Self {
        Self::new(Source::Url(url))
    }

    pub(crate) fn pool(pool: D::Pool) -> Self {
        Self::new(Source::Pool(pool))
    }

    fn new(source: Source<D>) -> Self {
        Self {
            source,
            schema: DEFAULT_SCHEMA.to_owned(),
            lanes: DEFAULT_LANES,
            listen_notify: true,
            lease: Some(DEFAULT_LEASE),
            pool_size: DEFAULT_POOL_SIZE,
            statement_timeout: STATEMENT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
        }
    }

    /// The schema that holds the system tables; `dbos` unless given. All programs that share them must name the same.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// How many connections write for this process, beside those of the pool; 2 unless given, 1 to 16.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes.clamp(1, MAX_LANES);
        self
    }

    /// How many connections a pool of our own has at most; 20 unless given, at least 1. A pool of the application keeps its size.
    ///
    /// Below 5 a warning is logged, as calls wait for each other. A process opens three more and one for each lane. When an executor begins to
    /// live and these, times the executors that live on the database, come near to the server's `max_connections`, that is
    /// logged as a warning too.
    pub fn pool_size(mut self, size: u32) -> Self {
        self.pool_size = size.max(1);
        self
    }

    /// How long a statement of this library may run before the server ends it (`statement_timeout`); 60 s unless given, zero for as long
    /// as it takes. What is ended so is tried again. An answer that is 15 s later than this never comes, and its connection is given up.
    ///
    /// In the sessions of an application's own pool the application's setting stays.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a transaction may wait for its next statement before the server ends its session
    /// (`idle_in_transaction_session_timeout`); 60 s unless given, zero for as long as it takes. It bounds what a transactional step may do
    /// between two statements. In the sessions of an application's own pool the application's setting stays.
    pub fn idle_in_transaction_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// What each session of our own runs when it is made.
    fn prepare(&self) -> Arc<str> {
        format!(
            "{PREPARE};
            SET statement_timeout = {};
            SET idle_in_transaction_session_timeout = {}",
            milliseconds(self.statement_timeout),
            milliseconds(self.idle_timeout)
        )
        .into()
    }

    /// Whether wake-ups pass through LISTEN and NOTIFY; on unless turned off. Without, everything is found by polling, up to a poll
    /// interval later. A database that is migrated with this off has no trigger that notifies.
    pub fn listen_notify(mut self, listen: bool) -> Self {
        self.listen_notify = listen;
        self
    }

    /// How long an executor of this process lives without a heartbeat: 30 s unless given, 3 s to 1 hour. It writes one every quarter of
    /// that, at most every 5 s, on a connection of its own.
    ///
    /// A process that dies frees its executor's lock, and is found dead at once. One that is paused or cut off keeps it, maybe for hours;
    /// its workflows are adopted when its lease has ended, by any living executor of the same application and version whose own heartbeats
    /// have gone through for as long: at most the lease and a
    /// [`recovery_interval`](durable_core::AppBuilder::recovery_interval) after its last heartbeat. When it wakes it writes nothing of
    /// what was adopted, and goes on with the rest. The lease of an executor is the one that it was opened with, whatever others have; but
    /// those whose leases are more than twice as long may not be able to judge it, so give all processes of an application the same.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease.clamp(LEASES.0, LEASES.1));
        self
    }

    /// Whether executors have leases; on unless turned off, and then of 30 s or as given last. Without one an executor of this process
    /// counts as dead only when its lock is free, and this process takes others for dead only then.
    pub fn leases(mut self, on: bool) -> Self {
        self.lease = on.then(|| self.lease.unwrap_or(DEFAULT_LEASE));
        self
    }

    /// A migration of the database, for a command of the application's own: it is run apart from the processes that use the database,
    /// by a role that may create what they need.
    ///
    /// Connects to nothing yet. Errors: a URL or a schema name that cannot be used.
    pub fn migration(self) -> Result<Migration<D>, DriverError> {
        let schema = SchemaName::new(&self.schema)?;
        let driver = match self.source {
            Source::Url(url) => D::open(servers(&url)?, &PoolSettings::bare(1)),
            Source::Pool(pool) => D::over(pool),
        };
        Ok(Migration::new(driver, schema, self.listen_notify))
    }

    /// Opens the database, and starts its writers on the current tokio runtime; with that runtime they end.
    ///
    /// Connects twice, to find out now what would be found out at the first call, or never: that the server cannot be reached or refuses, and
    /// that a pooler in between gives no sessions of their own ([`DriverError::name`] is `DURABLE_SESSION_MODE`) or has none for a second
    /// connection (`DURABLE_POOL_TOO_SMALL`, after 2 s). Errors: these, and a URL or a schema name that cannot be used.
    pub async fn connect(self) -> Result<PgSystemDb<D>, DriverError> {
        let schema = SchemaName::new(&self.schema)?;
        let prepare = self.prepare();
        let answered = Some(self.statement_timeout)
            .filter(|timeout| !timeout.is_zero())
            .map(|timeout| timeout.saturating_add(GRACE));
        let mut connections = None;
        let driver = match self.source {
            Source::Url(url) => {
                let lanes = u32::try_from(self.lanes).unwrap_or(u32::MAX);
                connections = Some(self.pool_size.saturating_add(lanes).saturating_add(STAYING));
                if self.pool_size < SMALL_POOL {
                    tracing::warn!(
                        size = self.pool_size,
                        "a pool of fewer than {SMALL_POOL} connections makes calls wait for each other"
                    );
                }
                let settings = PoolSettings {
                    size: self.pool_size,
                    acquire_timeout: ACQUIRE_TIMEOUT,
                    prepare: Arc::clone(&prepare),
                };
                D::open(servers(&url)?, &settings)
            }
            Source::Pool(pool) => D::over(pool),
        };
        // Before anything is set or prepared: a session that is shared would keep it.
        let checked = probe::check(&driver).await;
        checked.map_err(DriverError::while_connecting)?;
        Ok(PgSystemDb::new(
            driver,
            schema,
            self.lanes,
            self.listen_notify,
            Bounds {
                prepare,
                answered,
                connections,
            },
            self.lease,
        ))
    }
}

/// A duration as the server's settings have it: at most what fits into them, and no zero that was not asked for.
fn milliseconds(duration: Duration) -> u128 {
    duration.as_micros().div_ceil(1000).min(0x7fff_ffff)
}

fn servers(url: &str) -> Result<Servers, DriverError> {
    Servers::of(url).map_err(DriverError::about_the_url)
}

/// Shows no URL: it may hold a password.
impl<D: Driver> fmt::Debug for PgOptions<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOptions")
            .field("driver", &D::NAME)
            .field("schema", &self.schema)
            .field("lanes", &self.lanes)
            .field("listen_notify", &self.listen_notify)
            .finish_non_exhaustive()
    }
}
