//! What diesel says, in the words of `durable_pg`.
//!
//! Diesel tells the SQLSTATE of a few errors only. Others are known by how the server words them in English; on a server that speaks
//! another language they stay unclear, and `durable_pg` finds out by asking again.

use diesel::{
    ConnectionError,
    result::{DatabaseErrorInformation, DatabaseErrorKind, Error},
};
use diesel_async::pooled_connection::{PoolError, bb8::RunError};
use durable_pg::DriverError;

/// The driver's error as the engine's. Neither holds a parameter or a password.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn of(error: Error) -> DriverError {
    of_ref(&error)
}

/// The same of an error that is somebody else's.
pub(crate) fn of_ref(error: &Error) -> DriverError {
    match error {
        Error::DatabaseError(kind, said) => database(*kind, &**said),
        Error::SerializationError(why) | Error::DeserializationError(why) => {
            DriverError::unlike(why.to_string())
        }
        Error::BrokenTransactionManager | Error::AlreadyInTransaction => {
            DriverError::lost("the connection was left in a transaction")
        }
        error => DriverError::unlike(error.to_string()),
    }
}

fn database(kind: DatabaseErrorKind, said: &dyn DatabaseErrorInformation) -> DriverError {
    let message = said.message();
    let code = match kind {
        DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
            return DriverError::lost(message);
        }
        DatabaseErrorKind::UniqueViolation => Some("23505"),
        DatabaseErrorKind::ForeignKeyViolation => Some("23503"),
        DatabaseErrorKind::NotNullViolation => Some("23502"),
        DatabaseErrorKind::CheckViolation => Some("23514"),
        DatabaseErrorKind::SerializationFailure => Some("40001"),
        DatabaseErrorKind::ReadOnlyTransaction => Some("25006"),
        _ => worded(message),
    };
    DriverError::refused(code, message).with_detail(said.details())
}

/// How the server words errors that matter, and their SQLSTATEs. All words of a line must be in the message.
const WORDS: [(&[&str], &str); 26] = [
    (&["cached plan must not change result type"], "0A000"),
    (&["prepared statement", "does not exist"], "26000"),
    (&["prepared statement", "already exists"], "42P05"),
    (&["current transaction is aborted"], "25P02"),
    (&["terminating connection due to"], "57P01"),
    (&["the database system is"], "57P03"),
    (&["is not currently accepting connections"], "57P03"),
    (&["deadlock detected"], "40P01"),
    (&["too many clients"], "53300"),
    (&["connection slots are reserved"], "53300"),
    (&["too many connections"], "53300"),
    (&["No space left on device"], "53100"),
    (&["out of memory"], "53200"),
    (&["due to lock timeout"], "55P03"),
    (&["permission denied"], "42501"),
    (&["must be owner of"], "42501"),
    (&["relation", "does not exist"], "42P01"),
    (&["column", "does not exist"], "42703"),
    (&["schema", "does not exist"], "3F000"),
    (&["division by zero"], "22012"),
    (&["invalid byte sequence"], "22021"),
    (&["has no equivalent in encoding"], "22P05"),
    (&["value too long for type"], "22001"),
    (&["index row size", "exceeds"], "54000"),
    (&["index row requires"], "54000"),
    (&["due to statement timeout"], "57014"),
];

fn worded(message: &str) -> Option<&'static str> {
    WORDS
        .iter()
        .find(|(words, _)| words.iter().all(|word| message.contains(word)))
        .map(|(_, code)| *code)
}

/// Why there is no connection.
pub(crate) fn of_connection(error: ConnectionError) -> DriverError {
    match error {
        ConnectionError::InvalidConnectionUrl(why) => DriverError::settings(why),
        ConnectionError::CouldntSetupConfiguration(error) => of(error),
        error => DriverError::lost(error.to_string()),
    }
}

/// Why the pool gives none.
pub(crate) fn of_pool(error: RunError) -> DriverError {
    match error {
        RunError::User(error) => of_manager(error),
        RunError::TimedOut => DriverError::lost("no connection of the pool was free in time"),
    }
}

/// Why the pool could not make one.
pub(crate) fn of_manager(error: PoolError) -> DriverError {
    match error {
        PoolError::ConnectionError(error) => of_connection(error),
        PoolError::QueryError(error) => of(error),
    }
}

/// What tokio-postgres says while it connects.
pub(crate) fn while_connecting(error: &tokio_postgres::Error) -> DriverError {
    let Some(said) = error.as_db_error() else {
        return DriverError::lost(with_causes(error));
    };
    DriverError::refused(Some(said.code().code()), said.message()).with_detail(said.detail())
}

/// The message with those of its causes: by itself it says little.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> DriverError {
        let said: Box<dyn DatabaseErrorInformation + Send + Sync> = Box::new(message.to_owned());
        of(Error::DatabaseError(DatabaseErrorKind::Unknown, said))
    }

    #[test]
    fn what_diesel_does_not_tell_is_known_by_its_words() {
        let gone = said("terminating connection due to administrator command");
        assert!(gone.is_lost());
        assert!(said("deadlock detected").is_passing());
        assert_eq!(
            said("relation \"dbos.workflow_status\" does not exist").code(),
            Some("42P01")
        );
        assert_eq!(said("Verklemmung entdeckt").code(), None);
    }

    #[test]
    fn what_a_new_connection_cures_is_known_by_its_words() {
        for words in [
            "cached plan must not change result type",
            r#"prepared statement "__diesel_stmt_3" does not exist"#,
            r#"prepared statement "__diesel_stmt_3" already exists"#,
            "current transaction is aborted, commands ignored until end of transaction block",
        ] {
            assert!(said(words).is_stale(), "{words}");
        }
        for left in [Error::BrokenTransactionManager, Error::AlreadyInTransaction] {
            assert!(of(left).is_lost());
        }
    }

    #[test]
    fn a_connection_that_broke_is_lost() {
        let said: Box<dyn DatabaseErrorInformation + Send + Sync> = Box::new("closed".to_owned());
        let error = Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, said);
        assert!(of(error).is_lost());
    }
}
