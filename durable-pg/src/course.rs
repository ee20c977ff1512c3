//! Which refusals of the server last, which pass, and which a new connection cures: one table.

/// What becomes of a call that the server refused so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Asking again may help, on the same connection.
    Passes,
    /// Asking again does not help: it is reported at once.
    Lasts,
    /// The session has ended, or is on a server that takes no writes: its connection is given up,
    /// and the call made again once there is another. Whether the call happened is not known.
    Gone,
    /// The session does not have what its driver believes it has prepared, or is in a transaction
    /// that somebody left behind: the connection is given up, and the call made again at once. It
    /// has not happened.
    Stale,
}

use Course::{Gone, Lasts, Passes, Stale};

/// By SQLSTATE, or by the first characters of it: the longest that fits counts. What is not here
/// lasts.
const BY_CODE: [(&str, Course); 26] = [
    // No connection, or none any more; a protocol that the two ends do not speak alike.
    ("08", Gone),
    // "Feature not supported", but for one that is not: see `BY_CODE_AND_WORDS`.
    ("0A", Lasts),
    // Data that cannot be, constraints, names and types that are not there, rights, limits of the
    // program, a trigger's own error.
    ("22", Lasts),
    ("23", Lasts),
    ("28", Lasts),
    ("3D", Lasts),
    ("3F", Lasts),
    ("42", Lasts),
    ("54", Lasts),
    ("P0", Lasts),
    ("XX", Lasts),
    // A standby, or a server that was made one: another takes writes.
    ("25006", Gone),
    // The pool gave a session whose transaction somebody left open after an error.
    ("25P02", Stale),
    // The session was ended because it was idle in its transaction, or the transaction took too
    // long.
    ("25P03", Gone),
    ("25P04", Gone),
    // A prepared statement that is not there, or is there already: `DISCARD ALL`, or a pooler.
    ("26", Stale),
    ("42P05", Stale),
    // Serialization failures, deadlocks, a lock that could not be had, a statement that took longer
    // than its timeout.
    ("40001", Passes),
    ("40003", Gone),
    ("40P01", Passes),
    ("55P03", Passes),
    ("57014", Passes),
    // A full disk, no memory, too many connections.
    ("53", Passes),
    // The server shuts down, starts, or ended the session.
    ("57P", Gone),
    // The system under the server.
    ("58", Passes),
    // A snapshot that is too old.
    ("72", Passes),
];

/// Where the SQLSTATE alone does not tell. All words must be in the message.
const BY_CODE_AND_WORDS: [(&str, &str, Course); 1] = [
    // The type of a column was changed after the statement had been prepared.
    ("0A000", "cached plan must not change result type", Stale),
];

/// What becomes of a call that was refused with this SQLSTATE and this message.
pub(crate) fn course(code: &str, message: &str) -> Course {
    let worded = BY_CODE_AND_WORDS
        .iter()
        .find(|(of, words, _)| *of == code && message.contains(words));
    if let Some((_, _, course)) = worded {
        return *course;
    }
    let fits = BY_CODE.iter().filter(|(of, _)| code.starts_with(of));
    fits.max_by_key(|(of, _)| of.len())
        .map_or(Lasts, |(_, course)| *course)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DriverError;

    /// A refusal of each row, with one that a server gives.
    const ROWS: [(&str, &str, &str, Course); 38] = [
        ("08", "08006", "connection failure", Gone),
        ("08", "08P01", "protocol violation", Gone),
        ("0A", "0A000", "COPY is not supported", Lasts),
        ("22", "22021", "invalid byte sequence", Lasts),
        ("22", "22012", "division by zero", Lasts),
        ("23", "23505", "duplicate key value", Lasts),
        ("28", "28P01", "password authentication failed", Lasts),
        ("3D", "3D000", "database does not exist", Lasts),
        ("3F", "3F000", "schema does not exist", Lasts),
        ("42", "42P01", "relation does not exist", Lasts),
        ("42", "42501", "permission denied", Lasts),
        ("54", "54000", "index row size exceeds", Lasts),
        ("P0", "P0001", "raised by a trigger", Lasts),
        ("XX", "XX000", "internal error", Lasts),
        ("XX", "XX001", "invalid page in block 1", Lasts),
        ("25006", "25006", "in a read-only transaction", Gone),
        ("25P02", "25P02", "current transaction is aborted", Stale),
        ("25P03", "25P03", "idle-in-transaction timeout", Gone),
        ("25P04", "25P04", "transaction timeout", Gone),
        ("26", "26000", "prepared statement does not exist", Stale),
        ("", "34000", "cursor does not exist", Lasts),
        ("42P05", "42P05", "prepared statement exists", Stale),
        ("40001", "40001", "could not serialize access", Passes),
        ("40003", "40003", "completion unknown", Gone),
        ("40P01", "40P01", "deadlock detected", Passes),
        ("55P03", "55P03", "lock timeout", Passes),
        ("57014", "57014", "statement timeout", Passes),
        ("53", "53100", "No space left on device", Passes),
        ("53", "53200", "out of memory", Passes),
        ("53", "53300", "too many connections", Passes),
        ("57P", "57P01", "administrator command", Gone),
        ("57P", "57P02", "crash of another process", Gone),
        ("57P", "57P03", "starting up", Gone),
        ("57P", "57P05", "idle-session timeout", Gone),
        ("58", "58030", "could not read file", Passes),
        ("72", "72000", "snapshot too old", Passes),
        ("", "40002", "integrity constraint", Lasts),
        ("", "F0000", "a file of settings", Lasts),
    ];

    #[test]
    fn each_row_of_the_table_decides_what_becomes_of_a_call() {
        for (row, code, message, expected) in ROWS {
            assert_eq!(course(code, message), expected, "{code}: {message}");
            let error = DriverError::refused(Some(code), message);
            let gives_up = matches!(expected, Gone | Stale);
            assert_eq!(error.is_lost(), gives_up, "{code}: the connection");
            assert_eq!(error.is_stale(), expected == Stale, "{code}: at once");
            let again = expected != Lasts;
            assert_eq!(error.is_passing(), again, "{code}: asked again");
            let told = error.into_error("record a step");
            assert_eq!(told.is_retryable(), again, "{code}: told as retryable");
            let listed = row.is_empty() || BY_CODE.iter().any(|(of, _)| *of == row);
            assert!(listed, "{row} is no row");
        }
        for (code, _) in BY_CODE {
            let tried = ROWS.iter().any(|(row, ..)| *row == code);
            assert!(tried, "no refusal of the row {code} is tried");
        }
    }

    #[test]
    fn a_plan_whose_result_type_has_changed_is_cured_by_a_new_connection() {
        for (code, words, expected) in BY_CODE_AND_WORDS {
            assert_eq!(course(code, words), expected);
            assert_eq!(course(code, "something else"), Lasts);
        }
    }
}
