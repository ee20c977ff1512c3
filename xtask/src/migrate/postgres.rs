//! Built with the backends: the migration of a Postgres database.

use durable_core::db::DbError;
use durable_pg::{
    Connection as _, Driver as _, DriverError, FoundSchema, MigrationReport, PoolSettings, Servers,
};
use durable_pg_sqlx::{Postgres, SqlxDriver};

use crate::{failure::Failure, pg::without_password, screen};

use super::{Mode, Options};

/// The SQLSTATEs of a database that is not there, and of one that is.
const NO_DATABASE: &str = "3D000";
const DATABASE_EXISTS: &str = "42P04";

/// The databases of which one is there to connect to, whatever else is.
const ALWAYS: [&str; 2] = ["postgres", "template1"];

/// The schema if the call names none.
const SCHEMA: &str = "dbos";

/// Does what the options say, and tells what was done.
pub(super) fn migrate(url: &str, options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the async runtime: {error}")))?;
    runtime.block_on(async {
        reach(url, options.create_database).await?;
        let migration = prepared(url, options)?;
        let place = place(url, options);
        match options.mode {
            Mode::Run => {
                screen::line(format_args!("Migrating {place} …"));
                let report = migration
                    .run()
                    .await
                    .map_err(|error| failed(&place, &error))?;
                screen::print(&format!("{place}: {}", told(&report, options)));
            }
            Mode::DryRun => {
                let report = migration
                    .dry_run()
                    .await
                    .map_err(|error| failed(&place, &error))?;
                screen::line(format_args!("{place}: {}", foretold(&report)));
                print(&report);
            }
            Mode::Check => {
                migration
                    .check()
                    .await
                    .map_err(|error| failed(&place, &error))?;
                screen::print(&format!("{place}: up to date"));
            }
        }
        Ok(())
    })
}

fn prepared(url: &str, options: &Options) -> Result<durable_pg::Migration<SqlxDriver>, Failure> {
    let mut database = Postgres::options(url);
    if let Some(schema) = &options.schema {
        database = database.schema(schema);
    }
    let migration = database
        .migration()
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(match &options.app_role {
        Some(role) => migration.app_role(role),
        None => migration,
    })
}

/// The database and the schema as a person may see them.
fn place(url: &str, options: &Options) -> String {
    let schema = options.schema.as_deref().unwrap_or(SCHEMA);
    format!("{}, schema {schema}", without_password(url))
}

fn failed(place: &str, error: &DbError) -> Failure {
    let again = if error.is_retryable() {
        "\nNothing is broken by that: run it again."
    } else {
        ""
    };
    Failure::failed(format!("{place}: {error}{again}"))
}

/// What was done, in a sentence.
fn told(report: &MigrationReport, options: &Options) -> String {
    let granted = options.app_role.as_ref().map_or_else(String::new, |role| {
        format!("; role {role} may do what an application needs")
    });
    let done = match report.found {
        _ if report.is_empty() => "up to date".to_owned(),
        FoundSchema::Nothing => "made, at version 125".to_owned(),
        FoundSchema::Unnumbered => "from the tables of another SDK to version 125".to_owned(),
        FoundSchema::Version(version) if version < 125 => {
            format!("from version {version} to version 125")
        }
        FoundSchema::Version(version) => format!("completed, at version {version}"),
        _ => "up to date".to_owned(),
    };
    format!("{done}{granted}")
}

/// What would be done, in a sentence.
fn foretold(report: &MigrationReport) -> String {
    let count = report.statements.len();
    let found = match report.found {
        _ if report.is_empty() => return "up to date: a run would do nothing".to_owned(),
        FoundSchema::Nothing => "no system tables".to_owned(),
        FoundSchema::Version(version) => format!("version {version}"),
        _ => "the tables of another SDK".to_owned(),
    };
    format!("{found}; a run would run these {count} statements")
}

/// The statements as psql takes them.
fn print(report: &MigrationReport) {
    for statement in &report.statements {
        screen::print(&format!("{statement};"));
    }
}

/// Sees that the database is there.
async fn reach(url: &str, create: bool) -> Result<(), Failure> {
    let Err(error) = connect(url).await else {
        return Ok(());
    };
    let shown = without_password(url);
    match error.code() {
        Some(NO_DATABASE) if create => make(url).await,
        Some(NO_DATABASE) => Err(Failure::failed(format!(
            "{shown}: {error}; --create-database makes it"
        ))),
        _ => Err(Failure::failed(format!(
            "cannot connect to {shown}: {error}"
        ))),
    }
}

async fn connect(url: &str) -> Result<<SqlxDriver as durable_pg::Driver>::Connection, DriverError> {
    SqlxDriver::open(Servers::of(url)?, &PoolSettings::bare(1))
        .dedicated()
        .await
}

/// Makes the database that the URL names.
async fn make(url: &str) -> Result<(), Failure> {
    let name = super::url::database_name(url);
    let failed =
        |error: DriverError| Failure::failed(format!("cannot create the database {name}: {error}"));
    let mut other = None;
    let mut refusal = None;
    for always in ALWAYS {
        match connect(&super::url::with_database(url, always)).await {
            Ok(connection) => {
                other = Some(connection);
                break;
            }
            Err(error) => refusal = Some(error),
        }
    }
    let Some(mut connection) = other else {
        let why = refusal.unwrap_or_else(|| DriverError::lost("no database to connect to"));
        return Err(failed(why));
    };
    let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
    match connection.batch(&statement).await {
        Ok(()) => screen::line(format_args!("Created the database {name}")),
        // Somebody else was faster.
        Err(error) if error.code() == Some(DATABASE_EXISTS) => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(())
}
