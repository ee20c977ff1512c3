//! Built with the backends: the table of witnesses in a database of the application.

use std::{future::Future, path::Path};

use durable_pg_sqlx::DataSource as PgSource;
use durable_sqlite::DataSource as SqliteSource;

use crate::{failure::Failure, pg::without_password, screen};

use super::Options;

/// Makes the table in that file, and says so.
pub(super) fn sqlite(path: &Path) -> Result<(), Failure> {
    let place = path.display().to_string();
    made(&place, async {
        let source = SqliteSource::open(path)
            .await
            .map_err(|error| error.to_string())?;
        source.migrate().await.map_err(|error| error.to_string())
    })
}

/// Makes the table on that server, and grants what is asked for.
pub(super) fn postgres(url: &str, options: &Options) -> Result<(), Failure> {
    let place = without_password(url);
    made(&place, async {
        let mut opening = PgSource::options(url);
        if let Some(schema) = &options.schema {
            opening = opening.schema(schema);
        }
        let source = opening.connect().await.map_err(|error| error.to_string())?;
        let done = match &options.app_role {
            Some(role) => source.migrate_for_role(role).await,
            None => source.migrate().await,
        };
        done.map_err(|error| error.to_string())
    })
}

fn made(place: &str, make: impl Future<Output = Result<(), String>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the async runtime: {error}")))?;
    runtime
        .block_on(make)
        .map_err(|error| Failure::failed(format!("{place}: {error}")))?;
    screen::print(&format!(
        "{place}: transactional steps can leave their witnesses here (table durable_transactions)"
    ));
    Ok(())
}
