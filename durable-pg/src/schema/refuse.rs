//! Why a database is left as it is: what cannot be made into the system tables without guessing or losing something.

use std::{fmt::Write as _, sync::Arc};

use crate::{
    Connection, DriverError,
    text::{SchemaName, quote},
};

use super::{
    alter::missing_keys,
    catalog::{Catalog, Table},
    target,
};

/// What is in the way, from the catalogs alone. `wanted` as our SQL makes it.
pub(super) fn by_catalog(schema: &SchemaName, found: &Catalog, wanted: &Catalog) -> Option<String> {
    target::tables().find_map(|made| {
        let there = found.tables.get(made.name)?;
        let name = format!("{}.{}", schema.as_str(), made.name);
        not_ours(made.name, &name, there)
            .or_else(|| unlike(&name, there, &wanted.tables[made.name]))
    })
}

/// A table with the name of one of ours that is something else's.
fn not_ours(table: &str, name: &str, there: &Table) -> Option<String> {
    if there.kind != "r" {
        return Some(format!(
            "{name} is not a plain table, so it is not one of the DBOS system tables"
        ));
    }
    let (_, core) = target::CORE.iter().find(|(core, _)| *core == table)?;
    let missing = core
        .split_whitespace()
        .find(|column| !there.columns.contains_key(*column))?;
    Some(format!(
        "table {name} has no column {missing}, so it is not the DBOS system table of that name, or older than what can be read"
    ))
}

/// A table of ours that differs in what a migration does not change.
fn unlike(name: &str, there: &Table, wanted: &Table) -> Option<String> {
    for (column, found) in &there.columns {
        match wanted.columns.get(column) {
            Some(wanted) if wanted.kind != found.kind => {
                return Some(format!(
                    "column {column} of table {name} is {}, and {} is needed",
                    found.kind, wanted.kind
                ));
            }
            None if found.not_null && found.default.is_none() => {
                return Some(format!(
                    "column {column} of table {name} is not of the DBOS system tables and must be given in each row"
                ));
            }
            _ => {}
        }
    }
    for key in missing_keys(there, wanted) {
        let other = there
            .constraints
            .iter()
            .find(|other| other.name == key.name || (key.kind == "p" && other.kind == "p"));
        if let Some(other) = other {
            return Some(format!(
                "table {name} has {}, and {} is needed",
                other.definition, key.definition
            ));
        }
    }
    None
}

/// Rows that would break a unique index that is not there yet.
pub(super) async fn by_rows<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
    found: &Catalog,
    wanted: &Catalog,
) -> Result<Option<String>, DriverError> {
    for (table, there, wanted) in tables(found, wanted) {
        for unique in missing_uniques(there, wanted) {
            let rows = connection
                .query(&Arc::from(unique.search(schema, table, there, wanted)), &[])
                .await?;
            if let Some(mut row) = rows.into_iter().next() {
                return Ok(Some(format!(
                    "{} rows of table {}.{table} have the same {} ({}), which must be unique",
                    row.some_integer()?,
                    schema.as_str(),
                    unique.columns.join(", "),
                    row.some_text()?,
                )));
            }
        }
    }
    Ok(None)
}

fn tables<'a>(
    found: &'a Catalog,
    wanted: &'a Catalog,
) -> impl Iterator<Item = (&'a str, &'a Table, &'a Table)> {
    wanted.tables.iter().filter_map(|(name, wanted)| {
        let there = found.tables.get(name)?;
        Some((name.as_str(), there, wanted))
    })
}

/// What must be unique among the rows of a table.
struct Unique<'a> {
    columns: Vec<&'a str>,
    condition: Option<&'a str>,
}

fn missing_uniques<'a>(there: &'a Table, wanted: &'a Table) -> Vec<Unique<'a>> {
    let kept = |name: &String, definition: &String| {
        there
            .indexes
            .get(name)
            .is_some_and(|index| index.valid && index.unique && index.definition == *definition)
    };
    let indexes = wanted.indexes.iter().filter(|(name, index)| {
        index.unique && !index.of_constraint && !kept(name, &index.definition)
    });
    indexes
        .map(|(_, index)| Unique::of(&index.definition))
        .chain(missing_keys(there, wanted).map(|key| Unique::of(&key.definition)))
        .collect()
}

impl<'a> Unique<'a> {
    /// Reads `btree (a, b) WHERE (c)` or `PRIMARY KEY (a, b)`. Our unique indexes have nothing but columns in them.
    fn of(definition: &'a str) -> Self {
        let (list, condition) = match definition.split_once(" WHERE ") {
            Some((list, condition)) => (list, Some(condition)),
            None => (definition, None),
        };
        let columns = list.split_once('(').map_or("", |(_, columns)| columns);
        Self {
            columns: columns.trim_end_matches(')').split(", ").collect(),
            condition,
        }
    }

    /// Finds how many rows are the same, and in what. A column that is to be added later is NULL in all of them.
    fn search(&self, schema: &SchemaName, table: &str, there: &Table, wanted: &Table) -> String {
        let mut added = String::new();
        for (name, column) in &wanted.columns {
            if !there.columns.contains_key(name) {
                let _ = write!(added, ", NULL::{} AS {}", column.kind, quote(name));
            }
        }
        let columns = self.columns.join(", ");
        let mut given = String::new();
        for column in &self.columns {
            let _ = write!(given, " AND {column} IS NOT NULL");
        }
        format!(
            "SELECT count(*), concat_ws(', ', {columns})
            FROM (SELECT t.*{added} FROM {}.{table} AS t) AS t
            WHERE {}{given}
            GROUP BY {columns}
            HAVING count(*) > 1
            LIMIT 1",
            schema.rendered(),
            self.condition.unwrap_or("TRUE")
        )
    }
}
