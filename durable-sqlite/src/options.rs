//! Opening a database.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use durable_core::{
    runtime::{Runtime, TokioRuntime},
    time::Timestamp,
};
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Sqlite, SqliteError, schema, watch::Seen};

/// Where a database takes its time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How many connections read at the same time.
const READERS: u32 = 4;

/// How a database is opened. Made by [`Sqlite::options`].
#[derive(Clone)]
#[must_use = "nothing is opened before `open` is called"]
pub struct SqliteOptions {
    place: Place,
    busy_timeout: Duration,
    clock: Clock,
}

/// Where a database lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    File(PathBuf),
}

impl SqliteOptions {
    /// Opens a file; makes it if it is not there.
    pub(crate) fn file(path: impl AsRef<Path>) -> Self {
        Self::new(Place::File(path.as_ref().to_owned()))
    }

    /// A database of this handle and its clones, gone with the last of them.
    pub fn in_memory() -> Self {
        Self::new(Place::Memory)
    }

    fn new(place: Place) -> Self {
        let machine = TokioRuntime::new();
        Self {
            place,
            busy_timeout: Duration::from_secs(5),
            clock: Arc::new(move || machine.now()),
        }
    }

    /// How long a write waits for another process's before it fails as unavailable; 5 s unless set, at most about 24 days.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        // SQLite counts in milliseconds of 32 bits.
        self.busy_timeout = timeout.min(Duration::from_millis(0x7fff_ffff));
        self
    }

    /// The clock that all times in the database come from; the machine's unless set. Processes that share a file must agree on it.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the database, and starts its writer on the current tokio runtime; with that runtime the writer ends.
    ///
    /// Only looks at the file: tables are made by `migrate`. Errors: a path that cannot be a database file, a file that is none, or one
    /// whose tables are not ours.
    pub async fn open(self) -> Result<Sqlite, SqliteError> {
        let place = self.place.clone().located()?;
        let path = place.path().to_owned();
        let opening = |error| SqliteError::opening(path.clone(), error);
        let mut writer = self
            .connect_options(&place)
            .create_if_missing(true)
            .connect()
            .await
            .map_err(opening)?;
        // A link that pointed nowhere points at the file now. All who open it must name it alike: by its name they tell who lives.
        let place = place.located()?;
        let connect = self.connect_options(&place);
        schema::check(&mut writer, place.path())
            .await
            .map_err(opening)??;
        let seen = Seen::on(&mut writer, 0)
            .await
            .map_err(|error| SqliteError::opening(path, error))?;
        let readers = match &place {
            Place::Memory => None,
            Place::File(_) => Some(readers(connect.clone())),
        };
        Ok(Sqlite::new(
            place, connect, writer, readers, self.clock, seen,
        ))
    }

    fn connect_options(&self, place: &Place) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(place.path())
            .busy_timeout(self.busy_timeout)
            .foreign_keys(true)
            // What is acknowledged survives a power cut: the log is on the disk before a commit answers (on macOS only with fullfsync).
            .synchronous(SqliteSynchronous::Full)
            .pragma("fullfsync", "ON")
            .disable_statement_logging()
    }
}

/// Connections that only read; opened when they are needed.
fn readers(connect: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        // A connection to a file does not go stale, and asking each time costs as much as a read.
        .test_before_acquire(false)
        .connect_lazy_with(connect.pragma("query_only", "ON"))
}

/// How a URL of a file, or of a database in memory, begins.
const URLS: [&str; 2] = ["file:", "sqlite:"];

fn starts_with(path: &Path, scheme: &str) -> bool {
    path.to_str().is_some_and(|path| path.starts_with(scheme))
}

impl Place {
    /// The same place, independent of the working directory and of links, so that all who open it mean the same file.
    pub(crate) fn located(self) -> Result<Self, SqliteError> {
        let Self::File(path) = self else {
            return Ok(self);
        };
        if path == Path::new(":memory:") {
            return Ok(Self::Memory);
        }
        // Taken as it is, it would be the name of a new file.
        if URLS.iter().any(|scheme| starts_with(&path, scheme)) {
            return Err(SqliteError::AUrl { path });
        }
        if path.is_dir() || path.file_name().is_none() {
            return Err(SqliteError::NotAFile { path });
        }
        // The file itself is never opened here: closing it would drop the locks that another handle of this process has on it.
        if let Ok(real) = path.canonicalize() {
            return Ok(Self::File(real));
        }
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        match (directory.canonicalize(), path.file_name()) {
            (Ok(directory), Some(name)) => Ok(Self::File(directory.join(name))),
            _ => Err(SqliteError::DirectoryMissing {
                directory: directory.to_owned(),
                path,
            }),
        }
    }

    /// The path, as SQLite is told it.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Memory => Path::new(":memory:"),
            Self::File(path) => path,
        }
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("place", &self.place)
            .field("busy_timeout", &self.busy_timeout)
            .finish_non_exhaustive()
    }
}
