//! What the application's role is granted: all that this library does with the tables, and no more.

use std::sync::Arc;

use crate::{
    Connection, DriverError,
    error::Failure,
    text::{SchemaName, quote},
    value::params,
};

use super::{catalog::Catalog, target};

const ROLE: &str = "SELECT 1 FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1";

/// Whether the role may use the database and the schema. `$1` the role, `$2` the schema.
const MAY_ENTER: &str = "
    SELECT has_database_privilege($1::text::name, current_database(), 'CONNECT'),
           coalesce((
               SELECT has_schema_privilege($1::text::name, n.oid, 'USAGE')
               FROM pg_catalog.pg_namespace AS n
               WHERE n.nspname = $2), FALSE),
           current_database()";

/// The tables that the role may not use as it must. `$1` the role, `$2` the schema, `$3` the tables, `$4` the one that is only read.
pub(super) const LACKING: &str = "
    SELECT c.relname
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $2
      AND c.relname = ANY ($3::text[])
      AND NOT (has_table_privilege($1::text::name, c.oid, 'SELECT')
          AND (c.relname = $4 OR (has_table_privilege($1::text::name, c.oid, 'INSERT')
              AND has_table_privilege($1::text::name, c.oid, 'UPDATE')
              AND has_table_privilege($1::text::name, c.oid, 'DELETE'))))
    ORDER BY 1";

/// The functions that the role may call. `$1` the role, `$2` the schema, `$3` the functions.
const CALLABLE: &str = "
    SELECT p.proname
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = $2
      AND p.proname = ANY ($3::text[])
      AND has_function_privilege($1::text::name, p.oid, 'EXECUTE')";

/// The statements that grant the role what it lacks. `found`: what is there before the other steps are run.
pub(super) async fn missing<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    role: &str,
    found: &Catalog,
) -> Result<Vec<String>, Failure> {
    must_exist(connection, role).await?;
    let mut grants = entering(connection, schema, role).await?;
    let written = lacking(connection, schema, role, found, &target::WRITTEN).await?;
    let read = lacking(connection, schema, role, found, &[target::MIGRATIONS]).await?;
    let functions = uncallable(connection, schema, role).await?;
    grants.extend(statements(schema, role, &written, &read, &functions));
    Ok(grants)
}

/// The statements that grant the role what it needs in a schema that is made anew, in a database that all may connect to.
pub(super) fn all(schema: &SchemaName, role: &str) -> Vec<String> {
    let (written, read) = (target::WRITTEN, [target::MIGRATIONS]);
    let mut grants = vec![on_schema(schema, role)];
    grants.extend(statements(schema, role, &written, &read, &target::CALLED));
    grants
}

/// Refuses a role that is not there. Any database of the server knows.
pub(super) async fn must_exist<C: Connection>(
    connection: &mut C,
    role: &str,
) -> Result<(), Failure> {
    let rows = connection.query(&Arc::from(ROLE), params![role]).await?;
    if !rows.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "there is no role {role:?} to grant anything to; make it first, as in CREATE ROLE {} LOGIN",
        quote(role)
    )))
}

fn on_schema(schema: &SchemaName, role: &str) -> String {
    format!(
        "GRANT USAGE ON SCHEMA {} TO {}",
        schema.quoted(),
        quote(role)
    )
}

/// The grants on these tables and functions.
fn statements(
    schema: &SchemaName,
    role: &str,
    written: &[&str],
    read: &[&str],
    functions: &[&str],
) -> Vec<String> {
    let (to, within) = (quote(role), schema.quoted());
    let on = |rights: &str, names: &[&str]| {
        let names = (!names.is_empty()).then(|| listed(&within, names));
        names.map(|names| format!("GRANT {rights} {names} TO {to}"))
    };
    [
        on("SELECT, INSERT, UPDATE, DELETE ON", written),
        on("SELECT ON", read),
        on("EXECUTE ON FUNCTION", functions),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn entering<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    role: &str,
) -> Result<Vec<String>, DriverError> {
    let mut grants = Vec::new();
    let rows = connection
        .query(&Arc::from(MAY_ENTER), params![role, schema.as_str()])
        .await?;
    for mut row in rows {
        let (connect, usage, database) = (row.bool()?, row.bool()?, row.some_text()?);
        if !connect {
            let database = quote(&database);
            grants.push(format!(
                "GRANT CONNECT ON DATABASE {database} TO {}",
                quote(role)
            ));
        }
        if !usage {
            grants.push(on_schema(schema, role));
        }
    }
    Ok(grants)
}

/// Those of the tables that are not there yet, or that the role may not use.
async fn lacking<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    role: &str,
    found: &Catalog,
    tables: &[&'static str],
) -> Result<Vec<&'static str>, DriverError> {
    let names: Vec<_> = tables.iter().map(|name| Some(*name)).collect();
    let rows = connection
        .query(
            &Arc::from(LACKING),
            params![role, schema.as_str(), &names, target::MIGRATIONS],
        )
        .await?;
    let denied = texts(rows)?;
    let lacks = |table: &&'static str| {
        !found.tables.contains_key(*table) || denied.iter().any(|name| name == table)
    };
    Ok(tables.iter().copied().filter(lacks).collect())
}

async fn uncallable<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    role: &str,
) -> Result<Vec<&'static str>, DriverError> {
    let names = target::CALLED.map(Some).to_vec();
    let rows = connection
        .query(&Arc::from(CALLABLE), params![role, schema.as_str(), &names])
        .await?;
    let callable = texts(rows)?;
    let denied = |function: &&'static str| !callable.iter().any(|name| name == function);
    Ok(target::CALLED.into_iter().filter(denied).collect())
}

fn texts(rows: Vec<crate::Row>) -> Result<Vec<String>, DriverError> {
    rows.into_iter().map(|mut row| row.some_text()).collect()
}

fn listed(schema: &str, names: &[&str]) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|name| format!("{schema}.{name}"))
        .collect();
    names.join(", ")
}
