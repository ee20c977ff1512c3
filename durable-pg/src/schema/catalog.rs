//! What the server's catalog says of a schema, and what it would say of ours.
//!
//! The second is found by making our tables as temporary ones in a transaction that is rolled back. So the types, defaults and index
//! definitions that are compared are written by the same server, whatever its version.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Connection, DriverError, Row, text::SchemaName, value::params};

use super::target;

/// The tables, functions and triggers of a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Catalog {
    pub(super) tables: BTreeMap<String, Table>,
    /// Name and argument types, as in `(send_message, text, json, text, text)`.
    pub(super) functions: Vec<(String, String)>,
    /// Table and name.
    pub(super) triggers: Vec<(String, String)>,
}

/// A table, or what else has rows and a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// What it is, as the catalog has it: `r` for a table.
    pub(super) kind: String,
    pub(super) columns: BTreeMap<String, Column>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) indexes: BTreeMap<String, Index>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) kind: String,
    pub(super) not_null: bool,
    pub(super) default: Option<String>,
}

/// A primary key (`p`), a unique constraint (`u`) or a foreign key (`f`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Constraint {
    pub(super) name: String,
    pub(super) kind: String,
    /// Without the schema of a table that it references.
    pub(super) definition: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) unique: bool,
    /// From its method on: its columns and its condition.
    pub(super) definition: String,
    /// Whether it is complete: one that an interrupted build left is not.
    pub(super) valid: bool,
    /// Whether a constraint made it.
    pub(super) of_constraint: bool,
}

const FIND_SCHEMA: &str = "SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = $1";
const FIND_TEMPORARY: &str = "SELECT pg_catalog.pg_my_temp_schema()";

const TABLES: &str = "
    SELECT c.relname, c.relkind::text
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = $1::bigint::oid
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

const COLUMNS: &str = "
    SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
           CASE WHEN a.attidentity <> '' THEN 'identity' ELSE pg_catalog.pg_get_expr(d.adbin, d.adrelid) END
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = $1::bigint::oid
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND a.attnum > 0
      AND NOT a.attisdropped";

const CONSTRAINTS: &str = r#"
    SELECT c.relname, k.conname, k.contype::text,
           regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), 'REFERENCES ("([^"]|"")*"|[^".(]+)\.', 'REFERENCES ')
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
    WHERE c.relnamespace = $1::bigint::oid
      AND k.contype IN ('p', 'u', 'f')
    ORDER BY k.conname"#;

const INDEXES: &str = "
    SELECT c.relname, i.relname, x.indisunique,
           substring(pg_catalog.pg_get_indexdef(x.indexrelid) FROM '.* USING (.*)$'),
           x.indisvalid AND x.indisready,
           EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
    FROM pg_catalog.pg_index AS x
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_catalog.pg_class AS c ON c.oid = x.indrelid
    WHERE c.relnamespace = $1::bigint::oid";

const FUNCTIONS: &str = "
    SELECT p.proname, pg_catalog.oidvectortypes(p.proargtypes)
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = $1::bigint::oid
    ORDER BY 1, 2";

const TRIGGERS: &str = "
    SELECT c.relname, t.tgname
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = $1::bigint::oid
      AND NOT t.tgisinternal
    ORDER BY 1, 2";

/// What the schema holds; `None` if there is no such schema.
pub(super) async fn found<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<Option<Catalog>, DriverError> {
    let rows = connection
        .query(&Arc::from(FIND_SCHEMA), params![schema.as_str()])
        .await?;
    match number(rows)? {
        Some(namespace) => read(connection, namespace).await.map(Some),
        None => Ok(None),
    }
}

/// What a schema holds that our SQL has made, with our own table and the trigger that notifies.
///
/// Needs the right to make temporary tables, which everybody has who was not denied it. Leaves nothing.
pub(super) async fn wanted<C: Connection>(connection: &mut C) -> Result<Catalog, DriverError> {
    connection.batch(&template()).await?;
    let rows = connection.query(&Arc::from(FIND_TEMPORARY), &[]).await?;
    let namespace =
        number(rows)?.ok_or_else(|| DriverError::unlike("there is no temporary schema"))?;
    let catalog = read(connection, namespace).await?;
    connection.batch("ROLLBACK").await?;
    Ok(catalog)
}

/// The script that makes it all as temporary, and leaves its transaction open.
fn template() -> String {
    let made = target::tables()
        .chain(target::indexes())
        .chain(target::functions());
    let mut script = String::from("BEGIN");
    for sql in made.map(|made| made.sql).chain(target::notify()) {
        script.push_str(";\n");
        script.push_str(&sql.replace("dbos.", "pg_temp."));
    }
    script
}

fn number(mut rows: Vec<Row>) -> Result<Option<i64>, DriverError> {
    match rows.pop() {
        Some(mut row) => row.integer(),
        None => Ok(None),
    }
}

async fn read<C: Connection>(connection: &mut C, namespace: i64) -> Result<Catalog, DriverError> {
    let mut catalog = Catalog::default();
    for mut row in rows(connection, TABLES, namespace).await? {
        let table = catalog.tables.entry(row.some_text()?).or_default();
        table.kind = row.some_text()?;
    }
    for mut row in rows(connection, COLUMNS, namespace).await? {
        let table = catalog.tables.entry(row.some_text()?).or_default();
        let name = row.some_text()?;
        let column = Column {
            kind: row.some_text()?,
            not_null: row.bool()?,
            default: row.text()?,
        };
        table.columns.insert(name, column);
    }
    for mut row in rows(connection, CONSTRAINTS, namespace).await? {
        let table = catalog.tables.entry(row.some_text()?).or_default();
        table.constraints.push(Constraint {
            name: row.some_text()?,
            kind: row.some_text()?,
            definition: row.some_text()?,
        });
    }
    for mut row in rows(connection, INDEXES, namespace).await? {
        let table = catalog.tables.entry(row.some_text()?).or_default();
        let name = row.some_text()?;
        let index = Index {
            unique: row.bool()?,
            definition: row.some_text()?,
            valid: row.bool()?,
            of_constraint: row.bool()?,
        };
        table.indexes.insert(name, index);
    }
    catalog.functions = pairs(rows(connection, FUNCTIONS, namespace).await?)?;
    catalog.triggers = pairs(rows(connection, TRIGGERS, namespace).await?)?;
    Ok(catalog)
}

async fn rows<C: Connection>(
    connection: &mut C,
    statement: &'static str,
    namespace: i64,
) -> Result<Vec<Row>, DriverError> {
    connection
        .query(&Arc::from(statement), params![namespace])
        .await
}

fn pairs(rows: Vec<Row>) -> Result<Vec<(String, String)>, DriverError> {
    rows.into_iter()
        .map(|mut row| Ok((row.some_text()?, row.some_text()?)))
        .collect()
}
