//! The handle.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::{
    db::{Hint, Result, SystemDb, Waits, Wakes},
    time::Timestamp,
};
use futures_util::stream::BoxStream;

use crate::{
    Driver, DriverError, PgOptions, core::Core, error::Failure, hints::Listening, lane::Lanes,
    options::Bounds, rows, schema, text::SchemaName, waits,
};

/// A system database on Postgres, through a driver.
///
/// Clones share their connections; executors that joined through any of them live until they leave, the last clone is dropped or the
/// process ends.
pub struct PgSystemDb<D: Driver> {
    shared: Arc<Shared<D>>,
}

struct Shared<D: Driver> {
    core: Arc<Core<D>>,
    lanes: Lanes,
    listening: Listening,
}

impl<D: Driver> PgSystemDb<D> {
    /// Opens the database that the URL names, with a pool of our own. Errors: see [`PgOptions::connect`].
    pub async fn connect(url: &str) -> Result<Self, DriverError> {
        Self::options(url).connect().await
    }

    /// Opens the database of a pool that the application has. Errors: see [`PgOptions::connect`].
    ///
    /// At most three of its connections are used at the same time, and nothing is set in their sessions beyond a transaction. The
    /// connections that write, listen, hold the executor's lock and write its heartbeat for as long as the process lives are made beside it, as the
    /// pool makes its own.
    pub async fn from_pool(pool: D::Pool) -> Result<Self, DriverError> {
        Self::pool_options(pool).connect().await
    }

    /// How to open the database that the URL names, with other than the default options.
    pub fn options(url: impl Into<String>) -> PgOptions<D> {
        PgOptions::url(url.into())
    }

    /// How to open the database of an application's pool, with other than the default options.
    pub fn pool_options(pool: D::Pool) -> PgOptions<D> {
        PgOptions::pool(pool)
    }

    pub(crate) fn new(
        driver: D,
        schema: SchemaName,
        lanes: usize,
        listen_notify: bool,
        bounds: Bounds,
        lease: Option<Duration>,
    ) -> Self {
        let core = Arc::new(Core::new(driver, schema, listen_notify, bounds, lease));
        Self {
            shared: Arc::new(Shared {
                lanes: Lanes::start(&core, lanes),
                listening: Listening::default(),
                core,
            }),
        }
    }

    pub(crate) fn core(&self) -> &Core<D> {
        &self.shared.core
    }

    pub(crate) fn lanes(&self) -> &Lanes {
        &self.shared.lanes
    }

    /// How many batches this process has committed through its lanes. With the number of writes it tells how well they ride together.
    pub fn commits(&self) -> u64 {
        self.shared.lanes.commits()
    }

    /// The driver, with its pool.
    pub fn driver(&self) -> &D {
        &self.shared.core.driver
    }
}

#[async_trait]
impl<D: Driver> SystemDb for PgSystemDb<D> {
    async fn migrate(&self) -> Result<()> {
        schema::migrate(self.core()).await
    }

    async fn verify(&self) -> Result<()> {
        schema::verify(self.core()).await
    }

    async fn now(&self) -> Result<Timestamp> {
        const DOING: &str = "read the clock";
        let mut rows = self.core().ask(DOING, rows::NOW, &[]).await?;
        let now = rows
            .pop()
            .ok_or_else(|| DriverError::unlike("the clock gives no row"))
            .and_then(|mut row| row.some_integer());
        now.map(Timestamp::from_millis)
            .map_err(|error| Failure::from(error).into_error(DOING))
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        waits::poll(self.core(), waits).await
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        let core = self.core();
        let stream = core.hub.subscribe();
        if core.listen_notify {
            self.shared.listening.start(&core.driver, &core.hub);
        }
        stream
    }
}

impl<D: Driver> Clone for PgSystemDb<D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<D: Driver> fmt::Debug for PgSystemDb<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgSystemDb")
            .field("driver", &D::NAME)
            .field("schema", self.core().schema())
            .finish_non_exhaustive()
    }
}
