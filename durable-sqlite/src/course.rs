//! Which failures of SQLite and of the file system last, which pass, and which a new connection
//! cures: one table each.

use std::io;

/// What becomes of a call that failed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Asking again may help.
    Passes,
    /// Asking again may help, on another connection.
    Renews,
    /// Asking again does not help: it is reported at once.
    Lasts,
    /// The file can only be read, until somebody changes that: reported at once.
    ReadOnly,
}

use Course::{Lasts, Passes, ReadOnly, Renews};

/// By SQLite's result code: an extended one where it is listed, otherwise the primary one, which is
/// its lowest byte. What is not here lasts: errors in statements (1), a damaged file (11), values
/// and constraints (18 to 20, 25), a file that is no database (26).
const BY_CODE: [(i32, Course); 17] = [
    // PERM: the system refused access.
    (3, Lasts),
    // BUSY and LOCKED: another connection was in the way for longer than the busy timeout.
    (5, Passes),
    (6, Passes),
    // NOMEM.
    (7, Passes),
    // READONLY, with all its kinds.
    (8, ReadOnly),
    // INTERRUPT.
    (9, Passes),
    // IOERR, but for a file system that is damaged and a page whose checksum is wrong.
    (10, Renews),
    (IOERR_DATA, Lasts),
    (IOERR_CORRUPTFS, Lasts),
    // CORRUPT.
    (11, Lasts),
    // FULL.
    (13, Passes),
    // CANTOPEN: too many open files as well as a file that is not there.
    (14, Renews),
    (CANTOPEN_ISDIR, Lasts),
    // PROTOCOL: the lock of the log could not be had.
    (15, Passes),
    // SCHEMA: it changed under a statement, many times in a row.
    (17, Renews),
    // AUTH.
    (23, Lasts),
    // NOTADB.
    (26, Lasts),
];

const IOERR_DATA: i32 = 0xa | (0x20 << 8);
const IOERR_CORRUPTFS: i32 = 0xa | (0x21 << 8);
const CANTOPEN_ISDIR: i32 = 0xe | (0x2 << 8);

fn by_code(extended: i32) -> Course {
    let of = |code| BY_CODE.iter().find(|(listed, _)| *listed == code);
    of(extended)
        .or_else(|| of(extended & 0xff))
        .map_or(Lasts, |(_, course)| *course)
}

/// SQLite's extended result code.
pub(crate) fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// What becomes of a call that failed with this.
pub(crate) fn course(error: &sqlx::Error) -> Course {
    match error {
        sqlx::Error::Database(_) => code(error).map_or(Lasts, by_code),
        sqlx::Error::Io(error) => of_io(error),
        sqlx::Error::PoolTimedOut => Passes,
        // Its thread is gone.
        sqlx::Error::WorkerCrashed => Renews,
        _ => Lasts,
    }
}

/// Kinds of the system's errors that somebody has to do something about: rights, what is in the
/// way, what the file system cannot do. All others pass: a full disk, too many open files, a device
/// that does not answer.
const LASTING: [io::ErrorKind; 9] = [
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::AlreadyExists,
    io::ErrorKind::NotADirectory,
    io::ErrorKind::IsADirectory,
    io::ErrorKind::ReadOnlyFilesystem,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::InvalidData,
    io::ErrorKind::Unsupported,
];

/// The number of "no locks available", which a file system without locks says; it has no kind of
/// its own.
const NO_LOCKS: i32 = if cfg!(any(target_os = "macos", target_os = "ios")) {
    77
} else if cfg!(target_os = "linux") {
    37
} else {
    -1
};

/// What becomes of a call that met this error of the system.
pub(crate) fn of_io(error: &io::Error) -> Course {
    let lasts = LASTING.contains(&error.kind()) || error.raw_os_error() == Some(NO_LOCKS);
    if lasts { Lasts } else { Passes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_table_and_its_kinds_decide_what_becomes_of_a_call() {
        let rows = [
            (3, Lasts),
            (5, Passes),
            // BUSY_RECOVERY, BUSY_SNAPSHOT, BUSY_TIMEOUT.
            (261, Passes),
            (517, Passes),
            (773, Passes),
            (6, Passes),
            (7, Passes),
            (8, ReadOnly),
            // READONLY_RECOVERY, _CANTLOCK, _ROLLBACK, _DBMOVED, _CANTINIT, _DIRECTORY.
            (264, ReadOnly),
            (520, ReadOnly),
            (776, ReadOnly),
            (1032, ReadOnly),
            (1288, ReadOnly),
            (1544, ReadOnly),
            (9, Passes),
            (10, Renews),
            // IOERR_READ, _SHORT_READ, _WRITE, _FSYNC.
            (266, Renews),
            (522, Renews),
            (778, Renews),
            (1034, Renews),
            (8202, Lasts),
            (8458, Lasts),
            (11, Lasts),
            (13, Passes),
            (14, Renews),
            (526, Lasts),
            (15, Passes),
            (17, Renews),
            (23, Lasts),
            (26, Lasts),
            // ERROR, CONSTRAINT_UNIQUE, TOOBIG, MISMATCH, RANGE: in no row.
            (1, Lasts),
            (2067, Lasts),
            (18, Lasts),
            (20, Lasts),
            (25, Lasts),
        ];
        for (code, expected) in rows {
            assert_eq!(by_code(code), expected, "{code}");
        }
        for (code, _) in BY_CODE {
            assert!(rows.iter().any(|(tried, _)| *tried == code), "{code}");
        }
    }

    #[test]
    fn what_comes_from_no_statement_has_its_course_too() {
        let io = |kind| sqlx::Error::Io(io::Error::from(kind));
        let cases = [
            (sqlx::Error::PoolTimedOut, Passes),
            (sqlx::Error::WorkerCrashed, Renews),
            (sqlx::Error::PoolClosed, Lasts),
            (sqlx::Error::ColumnNotFound("x".into()), Lasts),
            (io(io::ErrorKind::TimedOut), Passes),
            (io(io::ErrorKind::PermissionDenied), Lasts),
        ];
        for (error, expected) in cases {
            assert_eq!(course(&error), expected, "{error}");
        }
    }

    #[test]
    fn of_the_systems_errors_those_last_that_somebody_has_to_mend() {
        for kind in LASTING {
            assert_eq!(of_io(&kind.into()), Lasts, "{kind:?}");
        }
        for kind in [
            io::ErrorKind::Interrupted,
            io::ErrorKind::WouldBlock,
            io::ErrorKind::TimedOut,
            io::ErrorKind::StorageFull,
            io::ErrorKind::OutOfMemory,
            io::ErrorKind::ResourceBusy,
            io::ErrorKind::Other,
        ] {
            assert_eq!(of_io(&kind.into()), Passes, "{kind:?}");
        }
        // Too many open files, an error of the device.
        for number in [24, 5] {
            assert_eq!(of_io(&io::Error::from_raw_os_error(number)), Passes);
        }
        if NO_LOCKS > 0 {
            assert_eq!(of_io(&io::Error::from_raw_os_error(NO_LOCKS)), Lasts);
        }
    }
}
