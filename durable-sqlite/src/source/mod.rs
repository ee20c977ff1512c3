//! Transactions of the application: what [`durable_core::source`] promises, on SQLite.
//!
//! - `open`: a transaction in the system database, on the writer's connection, or in another one
//! - `outbox`: workflows and messages that go in with an application's transaction
//! - `witness`: the table of witnesses in another database
//! - `transactions`: beginning and ending one so that sqlx knows of it

use std::{
    error::Error as StdError,
    fmt,
    ops::Deref,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use durable_core::{
    db::{DbError, Inserted, Lost, Message, NewWorkflow, Result as DbResult, Sent, StepRecord},
    ids::Owner,
    source::{Backend, Layout, Opened, Still, TransactionOptions, Trouble, WitnessKey},
};
use sqlx::{
    SqliteConnection,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
    },
};

use crate::{
    Sqlite, SqliteError,
    error::{Failure, is_busy, is_passing},
    identity::Identity,
    options,
};

mod open;
mod outbox;
pub(crate) mod transactions;
mod witness;

/// How many connections another database is opened with: one writes, others read.
const CONNECTIONS: u32 = 4;

/// How long a transaction of another database waits for the one before it.
const BUSY: Duration = Duration::from_secs(5);

/// Tables that transactional steps write: in the file of the system database, or in another one. Their closures are given a
/// `&mut SqliteConnection` inside an open transaction. Cheap to clone.
///
/// [`Sqlite::data_source`] gives one for the system database; for another one there are [`open`](Self::open) and
/// [`from_pool`](Self::from_pool). What can be done with it stands on [`durable_core::DataSource`], which it derefs to.
///
/// SQLite has one writer: while a transaction is open, nothing else is written to its file. In the system database that is every workflow
/// of the process, so keep such closures short, and await nothing in them that needs a write.
///
/// ```
/// use durable_core::{AnyError, Ctx};
/// use durable_sqlite::DataSource;
///
/// async fn debit(ctx: &Ctx, bank: &DataSource, account: &str, cents: i64) -> Result<i64, AnyError> {
///     bank.transaction(ctx, "debit", async |tx| {
///         let left = sqlx::query_scalar("UPDATE accounts SET cents = cents - ?2 WHERE id = ?1 RETURNING cents")
///             .bind(account)
///             .bind(cents)
///             .fetch_one(tx)
///             .await?;
///         Ok::<i64, AnyError>(left)
///     })
///     .await
/// }
/// ```
#[derive(Clone)]
pub struct DataSource {
    source: durable_core::DataSource<SqliteConnection>,
    place: Place,
}

/// Where a data source's tables are.
#[derive(Clone)]
enum Place {
    System(Sqlite),
    Other(Other),
}

/// Another database.
#[derive(Clone)]
struct Other {
    pool: SqlitePool,
    /// The file that was there at the first use.
    file: Arc<OnceLock<Option<Identity>>>,
}

impl Other {
    /// The pool. Errors: its connections are databases of their own, or the file is not where it
    /// was.
    fn pool(&self) -> Result<&SqlitePool, Failure> {
        let options = self.pool.connect_options();
        let path = options.get_filename();
        if path == Path::new(":memory:") || path == Path::new("") {
            if self.pool.options().get_max_connections() > 1 {
                let path = path.to_owned();
                return Err(SqliteError::InMemory { path }.into());
            }
            return Ok(&self.pool);
        }
        match self.file.get_or_init(|| Identity::of(path)) {
            Some(file) if !file.is_there() => Err(Failure::moved(file.path())),
            _ => Ok(&self.pool),
        }
    }
}

impl Sqlite {
    /// The system database as a data source: for transactional steps whose tables are in the same file. Their writes and their
    /// checkpoint are one commit.
    pub fn data_source(&self) -> DataSource {
        DataSource::over(Place::System(self.clone()))
    }
}

impl DataSource {
    /// Opens another file than that of the system database; makes it if it is not there.
    ///
    /// Its witnesses are in its table `durable_transactions`, which [`migrate`](Self::migrate) makes, or `cargo xtask migrate
    /// --data-source sqlite:PATH`; that it is there is checked at the first use. For a test there
    /// is no database in memory, as each connection would have another one: a file in a temporary
    /// directory does. Errors: see [`SqliteError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        let path = match options::Place::File(path.as_ref().to_owned()).located()? {
            options::Place::File(path) => path,
            options::Place::Memory => {
                let path = path.as_ref().to_owned();
                return Err(SqliteError::InMemory { path });
            }
        };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // As in the system database: what is acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .pragma("fullfsync", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options)
            .await
            .map_err(|error| SqliteError::opening(path, error))?;
        Ok(Self::from_pool(pool))
    }

    /// Uses a pool that the application has, on another file than that of the system database. See [`open`](Self::open).
    ///
    /// What its connections are set to is the application's business; with `synchronous` below `FULL` a power cut may take back what a
    /// workflow has recorded. A pool of several connections to `:memory:` is refused at its first
    /// use, as each is another database.
    pub fn from_pool(pool: SqlitePool) -> Self {
        Self::over(Place::Other(Other {
            pool,
            file: Arc::default(),
        }))
    }

    fn over(place: Place) -> Self {
        Self {
            source: durable_core::DataSource::new(SqliteBackend(place.clone())),
            place,
        }
    }

    /// Makes the table of witnesses, if it is not there; nothing in the system database.
    pub async fn migrate(&self) -> DbResult<()> {
        match &self.place {
            Place::System(_) => Ok(()),
            Place::Other(other) => {
                let pool = other.pool();
                let pool =
                    pool.map_err(|failure| failure.into_error("make the table of witnesses"))?;
                witness::migrate(pool).await
            }
        }
    }
}

impl Deref for DataSource {
    type Target = durable_core::DataSource<SqliteConnection>;

    fn deref(&self) -> &Self::Target {
        &self.source
    }
}

impl fmt::Debug for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DataSource").field(&self.place).finish()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(database) => database.fmt(f),
            Self::Other(other) => {
                let options = other.pool.connect_options();
                f.debug_tuple("Other")
                    .field(&options.get_filename())
                    .finish()
            }
        }
    }
}

/// What the core asks for.
#[derive(Debug)]
struct SqliteBackend(Place);

impl SqliteBackend {
    /// The handle of the system database; the core asks only where there is one.
    fn system(&self, doing: &'static str) -> DbResult<&Sqlite> {
        match &self.0 {
            Place::System(database) => Ok(database),
            Place::Other(_) => Err(DbError::broken(doing, "this file holds no system tables")),
        }
    }
}

const CLOSURE: &str = "run the closure of a transactional step";

#[async_trait]
impl Backend<SqliteConnection> for SqliteBackend {
    fn layout(&self) -> Layout {
        match &self.0 {
            Place::System(_) => Layout::System,
            Place::Other(_) => Layout::Other,
        }
    }

    async fn begin(
        &self,
        options: TransactionOptions,
    ) -> Result<Box<dyn Opened<SqliteConnection>>, Trouble> {
        match &self.0 {
            Place::System(database) => open::in_system(database, options).await,
            Place::Other(other) => open::in_other(other.pool(), options).await,
        }
    }

    async fn settled(
        &self,
        owner: &Owner,
        number: i32,
    ) -> DbResult<Result<Option<StepRecord>, Lost>> {
        // Through the lane: after whatever its connection was at.
        let database = self.system("look whether a transaction was committed")?;
        outbox::settled(database, owner, number).await
    }

    fn trouble_in(
        &self,
        error: &(dyn StdError + 'static),
        _options: TransactionOptions,
    ) -> Option<Trouble> {
        let error = error.downcast_ref::<sqlx::Error>()?;
        if is_busy(error) {
            return Some(Trouble::Contended(error.to_string()));
        }
        let text = error.to_string();
        is_passing(error).then(|| Trouble::Away(DbError::unavailable(CLOSURE, text)))
    }

    fn trouble_worded(&self, message: &str, _options: TransactionOptions) -> Option<Trouble> {
        const AWAY: [&str; 2] = ["database or disk is full", "disk I/O error"];
        let away = AWAY.iter().any(|words| message.contains(words));
        away.then(|| Trouble::Away(DbError::unavailable(CLOSURE, message.to_owned())))
    }

    fn keeps_witnesses(&self) -> bool {
        matches!(self.0, Place::Other(_))
    }

    async fn forget(&self, keys: &[WitnessKey], still: Still<'_>) -> DbResult<()> {
        let Place::Other(other) = &self.0 else {
            return Ok(());
        };
        let forgotten = async { witness::forget(other.pool()?, keys, still).await };
        forgotten
            .await
            .map_err(|failure| failure.into_error("remove witnesses"))
    }

    async fn witnesses(
        &self,
        after: Option<&WitnessKey>,
        limit: usize,
    ) -> DbResult<Vec<WitnessKey>> {
        let Place::Other(other) = &self.0 else {
            return Ok(Vec::new());
        };
        let listed = async { witness::list(other.pool()?, after, limit).await };
        listed
            .await
            .map_err(|failure| failure.into_error("list witnesses"))
    }

    async fn enqueue(&self, conn: &mut SqliteConnection, new: &NewWorkflow) -> DbResult<Inserted> {
        outbox::enqueue(self.system("enqueue a workflow")?, conn, new).await
    }

    async fn send(&self, conn: &mut SqliteConnection, message: &Message) -> DbResult<Sent> {
        outbox::send(self.system("send a message")?, conn, message).await
    }
}
