//! The system tables: making them, and telling whether a database's are those that this library needs.

use crate::{Driver, core::Core, error::Failure, text::quote};

/// The version of the DBOS system tables that this library reads and writes.
pub(crate) const VERSION: i64 = 125;

/// What to do where the tables are missing or old.
pub(crate) const HOW_TO_MIGRATE: &str =
    "run `cargo xtask migrate --database-url URL`, or launch with migrations on";

const SCRIPTS: [&str; 4] = [
    include_str!("schema/tables.sql"),
    include_str!("schema/indexes.sql"),
    include_str!("schema/functions.sql"),
    include_str!("schema/own.sql"),
];

pub(crate) async fn migrate<D: Driver>(core: &Core<D>) -> Result<(), Failure> {
    use crate::Connection as _;
    let schema = core.schema();
    let mut connection = core.prepared().await?;
    let mut script = format!(
        "BEGIN; CREATE SCHEMA IF NOT EXISTS {};",
        quote(schema.as_str())
    );
    for part in SCRIPTS.iter().chain(&[include_str!("schema/notify.sql")]) {
        for statement in part.split("-- ;;") {
            script.push_str(&schema.render(statement));
            script.push(';');
        }
    }
    script.push_str(&schema.render(&format!("INSERT INTO dbos.dbos_migrations SELECT {VERSION} WHERE NOT EXISTS (SELECT 1 FROM dbos.dbos_migrations); COMMIT;")));
    connection.batch(&script).await?;
    Ok(())
}

pub(crate) async fn verify<D: Driver>(_core: &Core<D>) -> Result<(), Failure> {
    Ok(())
}
