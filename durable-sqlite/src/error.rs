//! What can be wrong with a database file, and what became of a call to it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use durable_core::db::{Cause, DbError};

use crate::{
    course::{self, Course},
    schema::VERSION,
};

/// Why a database file cannot be used.
///
/// `{:?}` is the message, as a `main` that returns it prints it: it names the kind and all that is known.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The directory that the file would be in is not there.
    #[error(
        "cannot open {path:?}: the directory {directory:?} does not exist; create it first, or choose another path"
    )]
    DirectoryMissing {
        /// The file.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// The path is not a file's.
    #[error(
        "cannot open {path:?}: it is not a file; give the path of the database file, as in \"shop.db\""
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The path is a URL.
    #[error(
        "cannot open {path:?}: that is a URL; give the path of the file by itself, as in \
        \"shop.db\", or `Sqlite::in_memory()` for a \
         database in memory"
    )]
    AUrl {
        /// What was given.
        path: PathBuf,
    },
    /// A data source has several connections, and each would have a database of its own.
    #[error(
        "cannot open {path:?} as a data source: in memory each connection is another database; \
        give the path of a file, in a test one in \
         a temporary directory, or use `data_source()` of a `Sqlite::in_memory()`"
    )]
    InMemory {
        /// What was given.
        path: PathBuf,
    },
    /// The file exists and holds something else.
    #[error("{path:?} is not an SQLite database; choose another path, or move that file away")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let this process use the file.
    #[error(
        "cannot open {path:?}: {source}; let this user read and write both the file and its directory"
    )]
    NotPermitted {
        /// The file.
        path: PathBuf,
        /// What the driver said.
        source: Cause,
    },
    /// The file's system tables are of an earlier version, which is not converted on SQLite.
    #[error(
        "{path:?} holds system tables of version {found}, older than {VERSION}; let its workflows end with the program that made it, \
         and start with a new file"
    )]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: i64,
    },
    /// The file has no system tables yet, or not all of them.
    #[error(
        "{path:?} is not migrated: its system tables are not there, or not all of them; run `cargo xtask migrate --database-url \
         sqlite:{}` in a checkout of durable, or launch with migrations on", path.display()
    )]
    NotMigrated {
        /// The file.
        path: PathBuf,
    },
    /// The file's tables are not those that this library needs.
    #[error(
        "{path:?} cannot hold workflows: {problem}; choose another file, or use the release of this library that made it"
    )]
    UnlikeSchema {
        /// The file.
        path: PathBuf,
        /// What is missing or in the way.
        problem: String,
    },
    /// The file cannot have a write-ahead log.
    #[error(
        "{path:?} cannot have a write-ahead log (its journal stays {mode:?}); put it on a local disk: network file systems have no \
         memory that processes share"
    )]
    NoWriteAheadLog {
        /// The file.
        path: PathBuf,
        /// The journal mode that it has.
        mode: String,
    },
    /// It cannot be opened for another reason.
    #[error("cannot open {path:?}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the driver said.
        source: Cause,
    },
}

impl fmt::Debug for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SqliteError {
    /// What it means that the driver could not open or read this file.
    pub(crate) fn opening(path: PathBuf, source: sqlx::Error) -> Self {
        let code = primary_code(&source);
        let source = Cause::new(source);
        match code {
            Some(code::NOT_A_DATABASE) => Self::NotADatabase { path },
            Some(code::PERMISSION | code::READ_ONLY | code::CANNOT_OPEN | code::AUTHORIZATION) => {
                Self::NotPermitted { path, source }
            }
            _ => Self::Open { path, source },
        }
    }
}

/// Primary result codes of SQLite.
mod code {
    pub(super) const PERMISSION: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READ_ONLY: i32 = 8;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const AUTHORIZATION: i32 = 23;
    pub(super) const NOT_A_DATABASE: i32 = 26;
}

/// The lowest byte of SQLite's extended result code.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    Some(course::code(error)? & 0xff)
}

/// Whether somebody else holds the lock that a statement needed.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::BUSY | code::LOCKED))
}

/// Why an operation failed, before it is known what was asked. Shared by all operations of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// It may pass.
    Unavailable(Cause),
    /// The database holds what it must not.
    Broken(Cause),
    /// It cannot be served as it was asked.
    Refused(String),
    /// Nothing can be written to the file.
    ReadOnly(Cause),
}

impl Failure {
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        Self::Broken(Cause::new(what.into()))
    }

    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Cause::new(source))
    }

    /// The handle's lane has ended: nobody will write any more.
    pub(crate) fn closed() -> Self {
        Self::Refused(
            "the database handle is closed: the tokio runtime in which it was opened has ended; \
            open it in the runtime that uses it"
                .to_owned(),
        )
    }

    /// The file is not where it was.
    pub(crate) fn moved(path: &Path) -> Self {
        let path = path.display();
        Self::Refused(format!(
            "the database file \"{path}\" was removed, or another file was put in its place, while \
            this process has it open: what is written \
             now would not be found again, so nothing is; stop all processes that use it, put the \
             right file there, and start them again"
        ))
    }

    /// The file by whose lock this process shows that it lives is not where it was.
    pub(crate) fn lock_removed(path: &Path) -> Self {
        let path = path.display();
        Self::Refused(format!(
            "the lock file \"{path}\" was removed, or another was put in its place, while this \
            process lives by it: another process may live under the same executor id by now, so \
            nothing more is written here; start this process again, and leave that directory \
            alone while processes run"
        ))
    }

    /// Whether another connection may do better.
    pub(crate) fn renews(&self) -> bool {
        let Self::Unavailable(cause) = self else {
            return false;
        };
        let error = cause.get_ref().downcast_ref::<sqlx::Error>();
        error.is_some_and(|error| course::course(error) == Course::Renews)
    }

    /// What it means that the driver could not look at this file, which had been opened.
    pub(crate) fn looking(path: &Path, error: sqlx::Error) -> Self {
        if is_passing(&error) && primary_code(&error) != Some(code::CANNOT_OPEN) {
            return Self::unavailable(error);
        }
        SqliteError::opening(path.to_owned(), error).into()
    }

    pub(crate) fn into_error(self, doing: &'static str) -> DbError {
        match self {
            Self::Unavailable(source) => DbError::Unavailable { doing, source },
            Self::Broken(source) => DbError::Broken { doing, source },
            Self::Refused(why) => DbError::Refused(why),
            Self::ReadOnly(source) => DbError::Refused(format!(
                "cannot {doing}: the database file can only be read ({source}); let this user \
                write to the file, to those beside it \
                 (-wal and -shm) and to their directory"
            )),
        }
    }
}

/// Whether asking again may help.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    matches!(course::course(error), Course::Passes | Course::Renews)
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::PoolClosed = error {
            return Self::Refused(
                "the application has closed the pool of this data source; close it after \
                `App::shutdown`"
                    .to_owned(),
            );
        }
        match course::course(&error) {
            Course::Passes | Course::Renews => Self::unavailable(error),
            Course::Lasts => Self::Broken(Cause::new(error)),
            Course::ReadOnly => Self::ReadOnly(Cause::new(error)),
        }
    }
}

impl From<SqliteError> for Failure {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Open { .. } => Self::Broken(Cause::new(error)),
            // The message says what to do; nothing that a caller could ask again.
            error => Self::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_main_prints_of_an_error_is_its_message() {
        let error = SqliteError::NotMigrated {
            path: "shop.db".into(),
        };
        let shown = format!("{error:?}");
        assert!(
            shown.starts_with(r#""shop.db" is not migrated"#)
                && shown.contains("in a checkout of durable"),
            "{shown}"
        );
    }

    #[test]
    fn a_full_pool_passes_and_a_missing_column_does_not() {
        let passing = Failure::from(sqlx::Error::PoolTimedOut).into_error("look");
        assert!(passing.is_retryable());
        let lasting = Failure::from(sqlx::Error::ColumnNotFound("x".into())).into_error("look");
        assert!(!lasting.is_retryable());
    }
}
