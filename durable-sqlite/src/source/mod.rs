//! Transactions of the application: what [`durable_core::source`] promises, on SQLite.
//!
//! - `open`: a transaction in the system database, on the writer's connection, or in another one
//! - `outbox`: workflows and messages that go in with an application's transaction
//! - `witness`: the table of witnesses in another database
//! - `transactions`: beginning and ending one so that sqlx knows of it

use std::{error::Error as StdError, fmt, ops::Deref, path::Path, time::Duration};

use async_trait::async_trait;
use durable_core::{
    db::{DbError, Inserted, Lost, Message, NewWorkflow, Result as DbResult, Sent, StepRecord},
    ids::Owner,
    source::{Backend, Layout, Opened, TransactionOptions, Trouble},
};
use sqlx::{
    SqliteConnection,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
    },
};

use crate::{
    Sqlite, SqliteError,
    error::{is_busy, is_passing},
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
    Other(SqlitePool),
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
    /// --data-source sqlite:PATH`; that it is there is checked at the first use. Errors: see [`SqliteError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        let path = path.as_ref();
        let options = SqliteConnectOptions::new()
            .filename(path)
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
            .map_err(|error| SqliteError::opening(path.to_owned(), error))?;
        Ok(Self::from_pool(pool))
    }

    /// Uses a pool that the application has, on another file than that of the system database. See [`open`](Self::open).
    ///
    /// What its connections are set to is the application's business; with `synchronous` below `FULL` a power cut may take back what a
    /// workflow has recorded.
    pub fn from_pool(pool: SqlitePool) -> Self {
        Self::over(Place::Other(pool))
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
            Place::Other(pool) => witness::migrate(pool).await,
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
            Self::Other(pool) => {
                let options = pool.connect_options();
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
            Place::Other(pool) => open::in_other(pool, options).await,
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

    async fn enqueue(&self, conn: &mut SqliteConnection, new: &NewWorkflow) -> DbResult<Inserted> {
        outbox::enqueue(self.system("enqueue a workflow")?, conn, new).await
    }

    async fn send(&self, conn: &mut SqliteConnection, message: &Message) -> DbResult<Sent> {
        outbox::send(self.system("send a message")?, conn, message).await
    }
}
