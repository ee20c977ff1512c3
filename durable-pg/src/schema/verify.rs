//! Whether the tables are there as this library needs them. Asked at each launch, by a role that may do no more than the application.

use std::sync::Arc;

use crate::{
    Connection, DriverError,
    error::{Failure, code},
    text::SchemaName,
    value::params,
};

use super::{
    grants, hint,
    target::{MIGRATIONS, NEEDED, OWN_TABLES, VERSION, WRITTEN},
};

/// Those of the columns that are not there, and whether their table is. `$1` the schema, `$2` tables, `$3` a column of each.
const MISSING: &str = "
    SELECT w.t, w.c, c.oid IS NOT NULL
    FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS w (t, c, n)
    LEFT JOIN (
        pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1
    ) ON c.relname = w.t AND c.relkind IN ('r', 'p', 'v', 'f')
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attname = w.c AND a.attnum > 0 AND NOT a.attisdropped
    WHERE a.attnum IS NULL
    ORDER BY w.n";

const READ_VERSION: &str = "SELECT max(version) FROM dbos.dbos_migrations";

/// How the database stores texts.
const ENCODING: &str =
    "SELECT pg_catalog.current_setting('server_encoding'), pg_catalog.current_database()::text";

const WHO: &str = "SELECT current_user::text";

/// A table or a column that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) table: String,
    column: String,
    table_exists: bool,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.table_exists {
            write!(f, "column {} in table {}", self.column, self.table)
        } else {
            write!(f, "table {}", self.table)
        }
    }
}

/// The columns that this library names and that are not there; of a missing table, the first.
pub(super) async fn missing<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<Vec<Missing>, Failure> {
    let needed = NEEDED.iter().flat_map(|(table, columns)| {
        columns
            .split_whitespace()
            .map(move |column| (Some(*table), Some(column)))
    });
    let (tables, columns): (Vec<_>, Vec<_>) = needed.unzip();
    let rows = connection
        .query(
            &Arc::from(MISSING),
            params![schema.as_str(), &tables, &columns],
        )
        .await?;
    let mut missing: Vec<Missing> = Vec::new();
    for mut row in rows {
        let next = Missing {
            table: row.some_text()?,
            column: row.some_text()?,
            table_exists: row.bool()?,
        };
        let told = missing
            .iter()
            .any(|told| !told.table_exists && told.table == next.table);
        if !told {
            missing.push(next);
        }
    }
    Ok(missing)
}

/// The version that the tables say to be of, if they say one. Errors: there is no table that could.
pub(super) async fn version<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<Option<i64>, Failure> {
    let statement = Arc::from(schema.render(READ_VERSION));
    let rows = connection.query(&statement, &[]).await?;
    match rows.into_iter().next() {
        Some(mut row) => Ok(row.integer()?),
        None => Ok(None),
    }
}

/// Why the database cannot be used as it is, and what to do, if it cannot.
pub(super) async fn problem<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<Option<String>, Failure> {
    let name = schema.as_str();
    let missing = missing(connection, schema).await?;
    if missing.iter().any(|missing| missing.table == MIGRATIONS) {
        return Ok(Some(format!(
            "schema {name:?} holds no DBOS system tables with a version; {}",
            hint::migrate(schema)
        )));
    }
    // That table is there, and has its column.
    let found = version(connection, schema).await?.unwrap_or_default();
    if found < VERSION {
        return Ok(Some(format!(
            "the system tables in schema {name:?} are of version {found}, and {VERSION} is needed; {}",
            hint::migrate(schema)
        )));
    }
    Ok(too_new(name, found, &missing).or_else(|| {
        let first = missing.first()?;
        Some(format!(
            "the system tables in schema {name:?}, of version {found}, have no {first}; {}",
            hint::migrate(schema)
        ))
    }))
}

/// Why tables of a newer version are of no use, if they are not.
pub(super) fn too_new(schema: &str, found: i64, missing: &[Missing]) -> Option<String> {
    let first = missing
        .iter()
        .find(|missing| !OWN_TABLES.contains(&missing.table.as_str()))?;
    (found > VERSION).then(|| {
        format!(
            "the system tables in schema {schema:?} are of version {found}, newer than the {VERSION} of this library, and have no \
             {first}; use a newer version of `durable`"
        )
    })
}

/// Refuses a database that is not as this library needs it, or in which this process' role may not do what the library does.
pub(super) async fn verify<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<(), Failure> {
    encoding(connection).await?;
    match problem(connection, schema).await {
        Ok(None) => rights(connection, schema).await,
        Ok(Some(problem)) => Err(Failure::Refused(problem)),
        Err(failure) => Err(denied(connection, schema, "look into", failure).await),
    }
}

/// Refuses a database whose encoding cannot hold every text: a workflow would fail at the first name or value that it lacks.
pub(super) async fn encoding<C: Connection>(connection: &mut C) -> Result<(), Failure> {
    let mut rows = connection.query(&Arc::from(ENCODING), &[]).await?;
    let row = rows.pop();
    let mut row = row.ok_or_else(|| DriverError::unlike("a database has no encoding"))?;
    let (encoding, database) = (row.some_text()?, row.some_text()?);
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "database {database:?} has the encoding {encoding}, which cannot hold every text, and names and values of workflows are any \
         text; use a database with the encoding UTF8: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
    )))
}

/// The role of the session.
async fn role<C: Connection>(connection: &mut C) -> Result<String, Failure> {
    let mut rows = connection.query(&Arc::from(WHO), &[]).await?;
    let row = rows.pop();
    let mut row = row.ok_or_else(|| DriverError::unlike("a session has no role"))?;
    Ok(row.some_text()?)
}

/// The failure; one of missing rights names the role and what to run. `doing` as in "look into".
pub(super) async fn denied<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    doing: &str,
    failure: Failure,
) -> Failure {
    let denied = match &failure {
        Failure::Driver(error) if error.code() == Some(code::INSUFFICIENT_PRIVILEGE) => error,
        _ => return failure,
    };
    let Ok(role) = role(connection).await else {
        return failure;
    };
    Failure::Refused(format!(
        "role {role:?} may not {doing} schema {:?}: {denied}; {}",
        schema.as_str(),
        hint::grant(schema, &role)
    ))
}

/// Refuses a role that may not do what the library does.
pub(super) async fn rights<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<(), Failure> {
    let role = role(connection).await?;
    let tables = WRITTEN.map(Some).to_vec();
    let rows = connection
        .query(
            &Arc::from(grants::LACKING),
            params![role.as_str(), schema.as_str(), &tables, MIGRATIONS],
        )
        .await?;
    match rows.into_iter().next() {
        None => Ok(()),
        Some(mut row) => Err(Failure::Refused(format!(
            "role {role:?} may not read and write table {}.{}; {}",
            schema.as_str(),
            row.some_text()?,
            hint::grant(schema, &role)
        ))),
    }
}
