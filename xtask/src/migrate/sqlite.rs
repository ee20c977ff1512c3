//! Built with the backends: the migration of an `SQLite` file.

use std::path::Path;

use durable_core::db::SystemDb as _;
use durable_sqlite::Sqlite;

use crate::{failure::Failure, screen};

/// Brings the schema of the database in that file up to date, and says what was done.
pub(super) fn migrate(path: &Path) -> Result<(), Failure> {
    let was_there = path.exists();
    screen::line(format_args!("Migrating {} …", path.display()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the async runtime: {error}")))?;
    runtime.block_on(async {
        let sqlite = Sqlite::open(path)
            .await
            .map_err(|error| Failure::failed(format!("cannot open {}: {error}", path.display())))?;
        sqlite
            .migrate()
            .await
            .map_err(|error| Failure::failed(format!("cannot migrate {}: {error}", path.display())))
    })?;
    let done = if was_there {
        "its schema is up to date"
    } else {
        "created, with the current schema"
    };
    screen::print(&format!("{}: {done}", path.display()));
    Ok(())
}
