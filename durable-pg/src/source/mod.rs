//! Transactions of the application, through a driver: what [`durable_core::source`] promises, on Postgres.
//!
//! - `open`: a transaction, from BEGIN to COMMIT, with the engine's own statements at its end
//! - `outbox`: workflows and messages that go in with an application's transaction
//! - `witness`: the table of witnesses in another database, and making it; `forget`: removing those
//!   that are needed no longer

use std::{error::Error as StdError, fmt, future::Future, ops::Deref, sync::Arc};

use async_trait::async_trait;
use durable_core::{
    db::{Inserted, Lost, Message, NewWorkflow, Result as DbResult, Sent, StepRecord},
    ids::Owner,
    source::{
        Backend, DataSource, Isolation, Layout, Opened, Still, TransactionOptions, Trouble,
        WitnessKey,
    },
};
use tokio::sync::Semaphore;

use crate::{
    Connection, Driver, DriverError, PgSystemDb, Servers,
    connect::probe,
    error::code,
    lane::{check_owner, stored},
    options::PoolSettings,
    text::{DEFAULT_SCHEMA, SchemaName, Texts},
};

mod forget;
mod open;
mod outbox;
mod witness;

pub(crate) use witness::{LEAVE, WITNESS};

/// How many transactions of a data source run at the same time, unless given: the pool has other work, too.
const TRANSACTIONS: usize = 10;

/// How many connections a pool of our own for another database has at most.
const POOL_SIZE: u32 = 10;

/// The connection that a driver's users know.
type Raw<D> = <<D as Driver>::Connection as Connection>::Raw;

/// Tables that transactional steps write, in the system database or in another one. Cheap to clone.
///
/// [`PgSystemDb::data_source`] gives one for the system database; for another one there are [`connect`](Self::connect) and
/// [`from_pool`](Self::from_pool). What can be done with it stands on [`DataSource`], which it derefs to.
pub struct PgDataSource<D: Driver> {
    source: DataSource<Raw<D>>,
    tables: Arc<Tables<D>>,
}

/// What transactions of a data source work with.
struct Tables<D: Driver> {
    driver: D,
    texts: Texts,
    /// The system database, if that is where the tables are.
    system: Option<PgSystemDb<D>>,
    transactions: Arc<Semaphore>,
}

impl<D: Driver> Tables<D> {
    /// An answer to a statement of our own, if it comes in time; otherwise the connection is as good as gone.
    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        match &self.system {
            Some(system) => system.core().bounds.answer(asked).await,
            None => asked.await,
        }
    }
}

/// How another database is opened as a data source. Made by [`PgDataSource::options`] or [`PgDataSource::pool_options`].
#[must_use = "nothing is opened before `connect` is called"]
pub struct PgDataSourceOptions<D: Driver> {
    place: Place<D>,
    schema: String,
    transactions: usize,
}

enum Place<D: Driver> {
    Url(String),
    Pool(D::Pool),
}

impl<D: Driver> PgSystemDb<D> {
    /// The system database as a data source: for transactional steps whose tables are beside the system tables. Their writes and their
    /// checkpoint are one commit.
    ///
    /// Up to 10 of its transactions run at the same time, on connections of the handle's pool.
    pub fn data_source(&self) -> PgDataSource<D> {
        PgDataSource::over(Tables {
            driver: self.driver().clone(),
            texts: Texts::new(self.core().schema().clone()),
            system: Some(self.clone()),
            transactions: Arc::new(Semaphore::new(TRANSACTIONS)),
        })
    }
}

impl<D: Driver> PgDataSource<D> {
    /// Opens another database than the system database, with a pool of our own of up to 10 connections.
    ///
    /// Its witnesses are in the table `durable_transactions` of the schema `dbos`, which [`migrate`](Self::migrate) makes, or
    /// `cargo xtask migrate --data-source URL`; that it is there is checked at the first use. Errors: see
    /// [`PgOptions::connect`](crate::PgOptions::connect).
    pub async fn connect(url: &str) -> Result<Self, DriverError> {
        Self::options(url).connect().await
    }

    /// Opens another database than the system database, on a pool that the application has. See [`connect`](Self::connect).
    pub async fn from_pool(pool: D::Pool) -> Result<Self, DriverError> {
        Self::pool_options(pool).connect().await
    }

    /// How to open another database that the URL names, with other than the default options.
    pub fn options(url: impl Into<String>) -> PgDataSourceOptions<D> {
        PgDataSourceOptions::new(Place::Url(url.into()))
    }

    /// How to open another database of an application's pool, with other than the default options.
    pub fn pool_options(pool: D::Pool) -> PgDataSourceOptions<D> {
        PgDataSourceOptions::new(Place::Pool(pool))
    }

    fn over(tables: Tables<D>) -> Self {
        let tables = Arc::new(tables);
        Self {
            source: DataSource::new(PgBackend(Arc::clone(&tables))),
            tables,
        }
    }

    /// Makes the table of witnesses, if it is not there; nothing in the system database. Several processes may do so at the same time.
    ///
    /// Errors: the role may not create it; the database is away.
    pub async fn migrate(&self) -> DbResult<()> {
        self.migrate_for(None).await
    }

    /// The same, and grants this role what transactional steps need of it.
    pub async fn migrate_for_role(&self, role: &str) -> DbResult<()> {
        self.migrate_for(Some(role)).await
    }

    async fn migrate_for(&self, role: Option<&str>) -> DbResult<()> {
        if self.tables.system.is_some() {
            return Ok(());
        }
        witness::migrate(&self.tables, role).await
    }
}

impl<D: Driver> PgDataSourceOptions<D> {
    fn new(place: Place<D>) -> Self {
        Self {
            place,
            schema: DEFAULT_SCHEMA.to_owned(),
            transactions: TRANSACTIONS,
        }
    }

    /// The schema that holds the table of witnesses; `dbos` unless given.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// How many transactions run at the same time, and how many connections a pool of our own has at most; 10 unless given, at least 1.
    pub fn transactions(mut self, count: usize) -> Self {
        self.transactions = count.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Opens the database. Connects twice, and finds out what [`PgOptions::connect`](crate::PgOptions::connect) finds out. Errors: as there.
    pub async fn connect(self) -> Result<PgDataSource<D>, DriverError> {
        let schema = SchemaName::new(&self.schema)?;
        let driver = match self.place {
            Place::Url(url) => {
                let servers = Servers::of(&url).map_err(DriverError::about_the_url)?;
                let size = u32::try_from(self.transactions).unwrap_or(POOL_SIZE);
                D::open(servers, &PoolSettings::bare(size))
            }
            Place::Pool(pool) => D::over(pool),
        };
        let checked = probe::check(&driver).await;
        checked.map_err(DriverError::while_connecting)?;
        Ok(PgDataSource::over(Tables {
            driver,
            texts: Texts::new(schema),
            system: None,
            transactions: Arc::new(Semaphore::new(self.transactions)),
        }))
    }
}

impl<D: Driver> Deref for PgDataSource<D> {
    type Target = DataSource<Raw<D>>;

    fn deref(&self) -> &Self::Target {
        &self.source
    }
}

impl<D: Driver> Clone for PgDataSource<D> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            tables: Arc::clone(&self.tables),
        }
    }
}

impl<D: Driver> fmt::Debug for PgDataSource<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PgDataSource").field(&self.tables).finish()
    }
}

/// Shows no URL: it may hold a password.
impl<D: Driver> fmt::Debug for PgDataSourceOptions<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgDataSourceOptions")
            .field("driver", &D::NAME)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl<D: Driver> fmt::Debug for Tables<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables")
            .field("driver", &D::NAME)
            .field("schema", self.texts.schema())
            .field("with_system_tables", &self.system.is_some())
            .finish_non_exhaustive()
    }
}

/// What the core asks for.
struct PgBackend<D: Driver>(Arc<Tables<D>>);

impl<D: Driver> fmt::Debug for PgBackend<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<D: Driver> PgBackend<D> {
    /// The handle of the system database; the core asks only where there is one.
    fn system(&self, doing: &'static str) -> DbResult<&PgSystemDb<D>> {
        self.0.system.as_ref().ok_or_else(|| {
            durable_core::db::DbError::broken(doing, "this database holds no system tables")
        })
    }
}

#[async_trait]
impl<D: Driver> Backend<Raw<D>> for PgBackend<D> {
    fn layout(&self) -> Layout {
        match self.0.system {
            Some(_) => Layout::System,
            None => Layout::Other,
        }
    }

    async fn begin(&self, options: TransactionOptions) -> Result<Box<dyn Opened<Raw<D>>>, Trouble> {
        open::begin(&self.0, options).await
    }

    async fn settled(
        &self,
        owner: &Owner,
        number: i32,
    ) -> DbResult<Result<Option<StepRecord>, Lost>> {
        const DOING: &str = "look whether a transaction was committed";
        let core = self.system(DOING)?.core();
        core.transact(DOING, (owner, number), |t, (owner, number)| {
            Box::pin(async move {
                // The transaction in question holds this lock until it has ended.
                if let Err(lost) = check_owner(t, owner).await? {
                    return Ok(Err(lost));
                }
                Ok(Ok(stored(t, &owner.workflow, *number).await?))
            })
        })
        .await
    }

    fn trouble_in(
        &self,
        error: &(dyn StdError + 'static),
        options: TransactionOptions,
    ) -> Option<Trouble> {
        let said = D::said(error).or_else(|| error.downcast_ref::<DriverError>().cloned())?;
        match said.code() {
            Some(code::SERIALIZATION | code::DEADLOCK) => {
                Some(Trouble::Contended(said.to_string()))
            }
            // A lock that the closure did not want to wait for, a statement that ran too long, and one
            // after another of its own had failed are its own business, and so is a write where it
            // asked for none; where it did not, the server has become a standby.
            Some(code::LOCK_NOT_AVAILABLE | code::QUERY_CANCELED | code::ABORTED) => None,
            Some(code::READ_ONLY) if options.read_only => None,
            _ if said.is_stale() => Some(Trouble::Stale(said.into_error(CLOSURE))),
            _ if said.is_passing() => Some(Trouble::Away(said.into_error(CLOSURE))),
            _ => None,
        }
    }

    fn trouble_worded(&self, message: &str, options: TransactionOptions) -> Option<Trouble> {
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        if says(&CONTENDED) {
            return Some(Trouble::Contended(message.to_owned()));
        }
        let away = || durable_core::db::DbError::unavailable(CLOSURE, message.to_owned());
        if STALE
            .iter()
            .any(|words| words.iter().all(|word| message.contains(word)))
        {
            return Some(Trouble::Stale(away()));
        }
        let standby = !options.read_only && says(&["in a read-only transaction"]);
        (standby || says(&AWAY)).then(|| Trouble::Away(away()))
    }

    fn keeps_witnesses(&self) -> bool {
        self.0.system.is_none()
    }

    async fn forget(&self, keys: &[WitnessKey], still: Still<'_>) -> DbResult<()> {
        forget::forget(&self.0, keys, still)
            .await
            .map_err(|error| error.into_error("remove witnesses"))
    }

    async fn witnesses(
        &self,
        after: Option<&WitnessKey>,
        limit: usize,
    ) -> DbResult<Vec<WitnessKey>> {
        forget::list(&self.0, after, limit)
            .await
            .map_err(|error| error.into_error("list witnesses"))
    }

    async fn enqueue(&self, conn: &mut Raw<D>, new: &NewWorkflow) -> DbResult<Inserted> {
        outbox::enqueue(self.system("enqueue a workflow")?, conn, new).await
    }

    async fn send(&self, conn: &mut Raw<D>, message: &Message) -> DbResult<Sent> {
        outbox::send(self.system("send a message")?, conn, message).await
    }
}

const CLOSURE: &str = "run the closure of a transactional step";

/// How the server words a serialization failure and a deadlock, in English, for errors that kept nothing but their text.
const CONTENDED: [&str; 2] = ["could not serialize access", "deadlock detected"];

/// How it words that what the session has prepared cannot be used. All words of a line must be
/// there.
const STALE: [&[&str]; 2] = [
    &["cached plan must not change result type"],
    &["prepared statement", "does not exist"],
];

/// How it words what ends a session or fills a disk.
const AWAY: [&str; 3] = [
    "terminating connection due to",
    "No space left on device",
    "the database system is",
];

/// How a transaction begins: in a session of our own, with the planner as the server has it, not as our own statements need it.
fn begin_script(options: TransactionOptions, own: bool, system: bool) -> String {
    let isolation = match options.isolation {
        Isolation::ReadCommitted => "READ COMMITTED",
        Isolation::RepeatableRead => "REPEATABLE READ",
        Isolation::Serializable => "SERIALIZABLE",
    };
    let access = if options.read_only {
        "READ ONLY"
    } else {
        "READ WRITE"
    };
    let plans = match (system, own) {
        (true, true) => open::PLAN_AS_THE_SERVER_HAS_IT,
        (true, false) => "",
        // The witness is looked for first.
        (false, _) => open::PLAN_AS_WE_NEED,
    };
    format!(
        "BEGIN ISOLATION LEVEL {isolation} {access}{plans}{}",
        open::MARK
    )
}
