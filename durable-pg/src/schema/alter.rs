//! The statements that make one table of an older version into what it is to be.

use crate::text::quote;

use super::{
    catalog::{Column, Constraint, Table},
    plan::{How, Steps},
};

/// A statement that may have in it what the database gave.
fn together(steps: &mut Steps<'_>, sql: String) {
    steps.exact(How::Together, sql);
}

/// Columns that are missing, and what differs in those that are there; their types are the same, or the plan is not made.
pub(super) fn columns(steps: &mut Steps<'_>, table: &str, found: &Table, wanted: &Table) {
    for (name, column) in &wanted.columns {
        match found.columns.get(name) {
            None => {
                let (schema, added) = (steps.schema(), definition(name, column));
                together(
                    steps,
                    format!("ALTER TABLE {schema}.{table} ADD COLUMN {added}"),
                );
            }
            Some(there) => column_there(steps, table, name, there, column),
        }
    }
}

fn definition(name: &str, column: &Column) -> String {
    let default = column.default.as_ref();
    let default = default.map_or(String::new(), |default| format!(" DEFAULT {default}"));
    let not_null = if column.not_null { " NOT NULL" } else { "" };
    format!("{} {}{default}{not_null}", quote(name), column.kind)
}

fn column_there(steps: &mut Steps<'_>, table: &str, name: &str, there: &Column, wanted: &Column) {
    let (schema, column) = (steps.schema(), quote(name));
    let alter = format!("ALTER TABLE {schema}.{table} ALTER COLUMN {column}");
    if there.default != wanted.default {
        let change = match &wanted.default {
            Some(default) => format!("{alter} SET DEFAULT {default}"),
            None => format!("{alter} DROP DEFAULT"),
        };
        together(steps, change);
    }
    match (there.not_null, wanted.not_null) {
        (false, true) => {
            if let Some(default) = &wanted.default {
                together(
                    steps,
                    format!(
                        "UPDATE {schema}.{table} SET {column} = {default} WHERE {column} IS NULL"
                    ),
                );
            }
            together(steps, format!("{alter} SET NOT NULL"));
        }
        (true, false) => together(steps, format!("{alter} DROP NOT NULL")),
        (true, true) | (false, false) => {}
    }
}

/// Foreign keys between the system tables, of which the payloads and the steps have none any more.
pub(super) fn foreign_keys(steps: &mut Steps<'_>, table: &str, found: &Table, wanted: &Table) {
    const BETWEEN: &str = "REFERENCES workflow_status(";
    let schema = steps.schema();
    for key in of_kind(found, "f").filter(|key| key.definition.contains(BETWEEN)) {
        if !has(wanted, key) {
            let name = quote(&key.name);
            together(
                steps,
                format!("ALTER TABLE {schema}.{table} DROP CONSTRAINT {name}"),
            );
        }
    }
    for key in of_kind(wanted, "f").filter(|key| !has(found, key)) {
        let definition =
            key.definition
                .replacen("REFERENCES ", &format!("REFERENCES {schema}."), 1);
        together(
            steps,
            format!("ALTER TABLE {schema}.{table} ADD {definition}"),
        );
    }
}

/// Primary keys and unique constraints: their index is built first, while the table is in use.
pub(super) fn keys(steps: &mut Steps<'_>, table: &str, found: &Table, wanted: &Table) {
    let schema = steps.schema();
    for key in missing_keys(found, wanted) {
        let name = quote(&key.name);
        if found.indexes.contains_key(&key.name) {
            steps.exact(
                How::Alone,
                format!("DROP INDEX CONCURRENTLY IF EXISTS {schema}.{name}"),
            );
        }
        let (kind, columns) = key.definition.split_once('(').unwrap_or_default();
        steps.exact(
            How::Alone,
            format!(
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {schema}.{table} ({columns}"
            ),
        );
        together(
            steps,
            format!("ALTER TABLE {schema}.{table} ADD CONSTRAINT {name} {kind}USING INDEX {name}"),
        );
    }
    for key in of_kind(wanted, "p").chain(of_kind(wanted, "u")) {
        let there = found
            .constraints
            .iter()
            .find(|there| same(there, key) && there.name != key.name);
        if let Some(there) = there {
            let (old, new) = (quote(&there.name), quote(&key.name));
            together(
                steps,
                format!("ALTER TABLE {schema}.{table} RENAME CONSTRAINT {old} TO {new}"),
            );
        }
    }
}

/// The keys that are wanted and not there, under whatever name.
pub(super) fn missing_keys<'a>(
    found: &'a Table,
    wanted: &'a Table,
) -> impl Iterator<Item = &'a Constraint> {
    of_kind(wanted, "p")
        .chain(of_kind(wanted, "u"))
        .filter(|key| !has(found, key))
}

fn of_kind<'a>(table: &'a Table, kind: &'static str) -> impl Iterator<Item = &'a Constraint> {
    table.constraints.iter().filter(move |key| key.kind == kind)
}

fn has(table: &Table, key: &Constraint) -> bool {
    table.constraints.iter().any(|there| same(there, key))
}

fn same(one: &Constraint, other: &Constraint) -> bool {
    one.kind == other.kind && one.definition == other.definition
}

/// A table that nothing reads any more: gone if it has no rows, and else kept beside the others. Looked at under its lock.
pub(super) fn retire(table: &str) -> String {
    format!(
        "DO $former$
BEGIN
    LOCK TABLE dbos.{table};
    IF EXISTS (SELECT 1 FROM dbos.{table}) THEN
        ALTER TABLE dbos.{table} RENAME TO durable_former_{table};
    ELSE
        DROP TABLE dbos.{table};
    END IF;
END
$former$"
    )
}
