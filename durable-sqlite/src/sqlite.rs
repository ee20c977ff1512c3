//! The handle.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use durable_core::{
    db::{Hint, HintHub, Result, SystemDb, Waits, Wakes, texts},
    time::Timestamp,
};
use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqlitePool},
};
use tokio::sync::Notify;

use crate::{
    SqliteError, SqliteOptions,
    error::Failure,
    lane::{Lane, Operation, Places, Session},
    lives::Lives,
    options::{Clock, Place},
    schema, waits,
    watch::{Seen, Watch},
};

/// A system database in one SQLite file, or in memory.
///
/// Clones share one writer; executors that joined through any of them live until they leave, the last clone is dropped or the
/// process ends. Several processes may open one file.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    connect: SqliteConnectOptions,
    lane: Lane,
    /// Connections that read a file. A database in memory has but one connection, the lane's.
    readers: Option<SqlitePool>,
    clock: Clock,
    subscribers: HintHub,
    subscribed: Arc<Notify>,
    lives: Lives,
    places: Arc<Places>,
    /// What lent transactions changed; sent when the one that is open is committed.
    enlisted: Mutex<Vec<Hint>>,
}

impl Sqlite {
    /// Opens the database in a file; makes the file if it is not there. Beside it the system keeps `<file>-wal` and `<file>-shm`, and
    /// this library the directory `<file>-executors`.
    ///
    /// Errors: see [`SqliteError`]; each says what to do.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        Self::options(path).open().await
    }

    /// Opens a database of this handle and its clones, gone with the last of them.
    pub async fn in_memory() -> Result<Self, SqliteError> {
        SqliteOptions::in_memory().open().await
    }

    /// How to open the database in a file, with other than the default options.
    pub fn options(path: impl AsRef<Path>) -> SqliteOptions {
        SqliteOptions::file(path)
    }

    pub(crate) fn new(
        place: Place,
        connect: SqliteConnectOptions,
        writer: SqliteConnection,
        readers: Option<SqlitePool>,
        clock: Clock,
        seen: Seen,
    ) -> Self {
        let subscribers = HintHub::new();
        let subscribed = Arc::new(Notify::new());
        let in_file = place != Place::Memory;
        let again = in_file.then(|| connect.clone());
        let places = Arc::new(Places::default());
        let session = Session::new(
            writer,
            again,
            Arc::clone(&clock),
            subscribers.clone(),
            Arc::clone(&places),
        );
        let watch = Watch::new(subscribers.clone(), Arc::clone(&subscribed), in_file, seen);
        let shared = Shared {
            lives: Lives::of(&place),
            place,
            connect,
            lane: Lane::start(session, watch),
            readers,
            clock,
            subscribers,
            subscribed,
            places,
            enlisted: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// How many commits this process has made. With the number of writes it tells how well they ride together.
    pub fn commits(&self) -> u64 {
        self.shared.lane.commits()
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.shared.lane
    }

    pub(crate) fn readers(&self) -> Option<&SqlitePool> {
        self.shared.readers.as_ref()
    }

    pub(crate) fn places(&self) -> &Places {
        &self.shared.places
    }

    pub(crate) fn enlisted(&self) -> &Mutex<Vec<Hint>> {
        &self.shared.enlisted
    }

    pub(crate) fn subscribers(&self) -> &HintHub {
        &self.shared.subscribers
    }

    /// This moment, of the database's clock.
    pub(crate) fn instant(&self) -> Timestamp {
        (self.shared.clock)()
    }

    pub(crate) fn lives(&self) -> &Lives {
        &self.shared.lives
    }

    /// Runs an operation in the write lane. Refused once an executor's lock file was removed.
    pub(crate) async fn write<A, T, F>(
        &self,
        doing: &'static str,
        args: A,
        operation: F,
    ) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: Operation<A, T>,
    {
        let held = self.lives().check();
        held.map_err(|failure| failure.into_error(doing))?;
        self.shared.lane.run(doing, args, operation).await
    }

    /// Runs a query that is one statement, or several that need not agree.
    pub(crate) async fn read<A, T, F>(&self, doing: &'static str, args: A, query: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: Query<A, T>,
    {
        let Some(readers) = &self.shared.readers else {
            return self.read_in_lane(doing, args, query).await;
        };
        let answer = async {
            self.shared.lane.check_open()?;
            let mut conn = readers.acquire().await?;
            let answer = query(&mut conn, &args).await;
            if answer.as_ref().is_err_and(Failure::renews) {
                conn.close_on_drop();
            }
            answer
        };
        answer
            .await
            .map_err(|failure: Failure| failure.into_error(doing))
    }

    /// Runs a query whose statements see one state of the database.
    pub(crate) async fn read_at_once<A, T, F>(
        &self,
        doing: &'static str,
        args: A,
        query: F,
    ) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: Query<A, T>,
    {
        let Some(readers) = &self.shared.readers else {
            return self.read_in_lane(doing, args, query).await;
        };
        let answer = async {
            self.shared.lane.check_open()?;
            let mut conn = readers.acquire().await?;
            let answer = in_one_state(&mut conn, &args, &query).await;
            if answer.as_ref().is_err_and(Failure::renews) {
                conn.close_on_drop();
            }
            answer
        };
        answer
            .await
            .map_err(|failure: Failure| failure.into_error(doing))
    }

    async fn read_in_lane<A, T, F>(&self, doing: &'static str, args: A, query: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: Query<A, T>,
    {
        self.shared
            .lane
            .run(doing, args, move |session, args| {
                query(&mut session.conn, args)
            })
            .await
    }

    async fn write_ahead(&self, path: &Path) -> Result<(), Failure> {
        let mut conn = self.shared.connect.connect().await?;
        schema::check(&mut conn, path)
            .await
            .map_err(|error| Failure::looking(path, error))??;
        schema::write_ahead(&mut conn, path).await?;
        conn.close().await?;
        Ok(())
    }
}

async fn in_one_state<A, T, F>(
    conn: &mut SqliteConnection,
    args: &A,
    query: &F,
) -> Result<T, Failure>
where
    F: Query<A, T>,
{
    let mut transaction = conn.begin().await?;
    let answer = query(&mut transaction, args).await?;
    transaction.rollback().await?;
    Ok(answer)
}

/// What a reader asks.
pub(crate) trait Query<A, T>:
    for<'t> Fn(&'t mut SqliteConnection, &'t A) -> BoxFuture<'t, Result<T, Failure>>
    + Send
    + Sync
    + 'static
{
}

impl<A, T, F> Query<A, T> for F where
    F: for<'t> Fn(&'t mut SqliteConnection, &'t A) -> BoxFuture<'t, Result<T, Failure>>
        + Send
        + Sync
        + 'static
{
}

#[async_trait]
impl SystemDb for Sqlite {
    async fn migrate(&self) -> Result<()> {
        const DOING: &str = "make the system tables";
        if let Place::File(path) = &self.shared.place {
            self.write_ahead(path)
                .await
                .map_err(|failure| failure.into_error(DOING))?;
        }
        let path = self.shared.place.path().to_owned();
        self.write(DOING, path, |session, path| {
            Box::pin(schema::create(session, path))
        })
        .await
    }

    async fn verify(&self) -> Result<()> {
        const DOING: &str = "look at the system tables";
        let path = self.shared.place.path().to_owned();
        self.read(DOING, path, |conn, path| {
            Box::pin(schema::verify(conn, path))
        })
        .await
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok((self.shared.clock)())
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        texts::check("look for what is waited for", &[&waits])?;
        self.read_at_once(
            "look for what is waited for",
            waits.clone(),
            |conn, waits| Box::pin(waits::poll(conn, waits)),
        )
        .await
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        let subscription = self.shared.subscribers.subscribe();
        self.shared.subscribed.notify_one();
        subscription
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sqlite")
            .field(&self.shared.place.path())
            .finish()
    }
}
