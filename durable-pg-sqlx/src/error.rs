//! What sqlx says, in the words of `durable_pg`.

use durable_pg::DriverError;
use sqlx::postgres::PgDatabaseError;

/// The driver's error as the engine's. Neither holds a parameter or a password.
pub(crate) fn of(error: sqlx::Error) -> DriverError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => DriverError::refused(Some(error.code()), error.message())
                .with_detail(error.detail()),
            None => DriverError::refused(error.code().as_deref(), error.message()),
        },
        sqlx::Error::Configuration(why) => DriverError::settings(why.to_string()),
        sqlx::Error::InvalidArgument(why) => DriverError::settings(why),
        error @ (sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed) => DriverError::lost(error.to_string()),
        error => DriverError::unlike(error.to_string()),
    }
}
