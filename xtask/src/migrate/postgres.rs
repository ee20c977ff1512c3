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
        let migration = prepared(url, options)?;
        let place = place(url, options);
        if !reach(url, options).await? {
            let report = migration.script();
            let count = report.statements.len();
            let database = quoted(&super::url::database_name(url));
            screen::line(format_args!(
                "{place}: there is no such database; a run would create it and run these {count} statements in it"
            ));
            screen::print(&format!("CREATE DATABASE {database};\n\\connect {database}"));
            print(&report);
            return Ok(());
        }
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
                let older = migration.older_sdks().await;
                if let Some(found) = older.map_err(|error| failed(&place, &error))? {
                    screen::print(&format!("warning: {found}"));
                }
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

/// Whether the database is there, after it was made if that is asked for.
///
/// Errors: there is none and none is to be made, the server is not reached, or what is to be made cannot be.
async fn reach(url: &str, options: &Options) -> Result<bool, Failure> {
    let Err(error) = connect(url).await else {
        return Ok(true);
    };
    let shown = without_password(url);
    match error.code() {
        Some(NO_DATABASE) if options.create_database => {
            let beside = beside(url).await?;
            let role = prepared(&beside, options)?.check_role().await;
            role.map_err(|error| Failure::failed(format!("{shown}: {error}")))?;
            if options.mode == Mode::DryRun {
                return Ok(false);
            }
            make(url, &beside).await.map(|()| true)
        }
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

/// The URL of a database of the same server that is there.
async fn beside(url: &str) -> Result<String, Failure> {
    let mut refusal = None;
    for always in ALWAYS {
        let other = super::url::with_database(url, always);
        match connect(&other).await {
            Ok(_) => return Ok(other),
            Err(error) => refusal = Some(error),
        }
    }
    let why = refusal.unwrap_or_else(|| DriverError::lost("no database to connect to"));
    Err(not_created(url, &why))
}

/// Makes the database that the URL names, connected to the one `beside` it.
async fn make(url: &str, beside: &str) -> Result<(), Failure> {
    let name = super::url::database_name(url);
    let failed = |error: DriverError| not_created(url, &error);
    let mut connection = connect(beside).await.map_err(failed)?;
    let statement = format!("CREATE DATABASE {}", quoted(&name));
    match connection.batch(&statement).await {
        Ok(()) => screen::line(format_args!("Created the database {name}")),
        // Somebody else was faster.
        Err(error) if error.code() == Some(DATABASE_EXISTS) => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(())
}

fn not_created(url: &str, error: &DriverError) -> Failure {
    let name = super::url::database_name(url);
    Failure::failed(format!("cannot create the database {name}: {error}"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
