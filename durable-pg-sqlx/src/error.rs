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
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => DriverError::lost(error.to_string()),
        error => DriverError::unlike(error.to_string()),
    }
}

fn of_server(error: &PgDatabaseError) -> DriverError {
    DriverError::refused(Some(error.code()), error.message()).with_detail(error.detail())
}
