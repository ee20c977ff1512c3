//! What sqlx says, in the words of `durable_pg`.

use std::error::Error as StdError;

use durable_pg::DriverError;
use sqlx::postgres::PgDatabaseError;

/// The driver's error as the engine's. Neither holds a parameter or a password.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn of(error: sqlx::Error) -> DriverError {
    of_ref(&error)
}

/// The same, if an error is one of sqlx's.
pub(crate) fn said(error: &(dyn StdError + 'static)) -> Option<DriverError> {
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return Some(of_ref(error));
    }
    let error = error.downcast_ref::<PgDatabaseError>()?;
    Some(of_server(error))
}

fn of_ref(error: &sqlx::Error) -> DriverError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => of_server(error),
            None => DriverError::refused(error.code().as_deref(), error.message()),
        },
        sqlx::Error::Configuration(why) => DriverError::settings(why.to_string()),
        sqlx::Error::InvalidArgument(why) => DriverError::settings(why.clone()),
        sqlx::Error::PoolClosed => DriverError::closed(
            "the application has closed the pool that this database was opened with; close it \
            after `App::shutdown`",
        ),
        // Of whatever kind: another connection may do better, and that there is none at first is
        // told where it is asked for.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => DriverError::lost(error.to_string()),
        error => DriverError::unlike(error.to_string()),
    }
}

fn of_server(error: &PgDatabaseError) -> DriverError {
    if error.routine() == Some(CHANGED) {
        // In whatever language the server speaks.
        return DriverError::stale(error.message());
    }
    DriverError::refused(Some(error.code()), error.message()).with_detail(error.detail())
}

/// Where the server finds that a statement's result type is not what it was when it was prepared.
const CHANGED: &str = "RevalidateCachedQuery";

#[cfg(test)]
mod tests {
    use std::io::{Error as IoError, ErrorKind};

    use super::*;

    fn passes(error: sqlx::Error) -> (bool, bool) {
        let error = of(error);
        (error.is_passing(), error.is_lost())
    }

    #[test]
    fn what_a_connection_met_passes_and_what_the_application_did_lasts() {
        for kind in [
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::BrokenPipe,
            ErrorKind::UnexpectedEof,
            ErrorKind::TimedOut,
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
            ErrorKind::HostUnreachable,
        ] {
            let met = sqlx::Error::Io(IoError::from(kind));
            assert_eq!(passes(met), (true, true), "{kind:?}");
        }
        let met = [
            sqlx::Error::Tls("bad".into()),
            sqlx::Error::Protocol("odd".to_owned()),
            sqlx::Error::PoolTimedOut,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::BeginFailed,
        ];
        for error in met {
            let said = error.to_string();
            assert_eq!(passes(error), (true, true), "{said}");
        }
        let lasting = [
            sqlx::Error::PoolClosed,
            sqlx::Error::Configuration("bad".into()),
            sqlx::Error::InvalidArgument("bad".to_owned()),
            sqlx::Error::RowNotFound,
            sqlx::Error::ColumnNotFound("x".to_owned()),
            sqlx::Error::Decode("bad".into()),
            sqlx::Error::Encode("bad".into()),
        ];
        for error in lasting {
            let said = error.to_string();
            assert_eq!(passes(error), (false, false), "{said}");
        }
    }
}
