//! The statements that make one table of an older version into what it is to be.

use crate::text::quote;

use super::{
    catalog::{Column, Constraint, Table},
    plan::{How, Steps},
};

/// Columns that are missing, and what differs in those that are there; their types are the same, or the plan is not made.
pub(super) fn columns(steps: &mut Steps<'_>, table: &str, found: &Table, wanted: &Table) {
    for (name, column) in &wanted.columns {
        match found.columns.get(name) {
            None => steps.together(format!(
                "ALTER TABLE dbos.{table} ADD COLUMN {}",
                definition(name, column)
            )),
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
    let column = quote(name);
    let alter = format!("ALTER TABLE dbos.{table} ALTER COLUMN {column}");
    if there.default != wanted.default {
        steps.together(match &wanted.default {
            Some(default) => format!("{alter} SET DEFAULT {default}"),
            None => format!("{alter} DROP DEFAULT"),
        });
    }
    match (there.not_null, wanted.not_null) {
        (false, true) => {
            if let Some(default) = &wanted.default {
                steps.together(format!(
                    "UPDATE dbos.{table} SET {column} = {default} WHERE {column} IS NULL"
                ));
            }
            steps.together(format!("{alter} SET NOT NULL"));
        }
        (true, false) => steps.together(format!("{alter} DROP NOT NULL")),
        (true, true) | (false, false) => {}
    }
}

/// Foreign keys between the system tables, of which the payloads and the steps have none any more.
pub(super) fn foreign_keys(steps: &mut Steps<'_>, table: &str, found: &Table, wanted: &Table) {
    const BETWEEN: &str = "REFERENCES workflow_status(";
    for key in of_kind(found, "f").filter(|key| key.definition.contains(BETWEEN)) {
        if !has(wanted, key) {
            steps.together(format!(
                "ALTER TABLE dbos.{table} DROP CONSTRAINT {}",
                quote(&key.name)
            ));
        }
    }
    for key in of_kind(wanted, "f").filter(|key| !has(found, key)) {
        let definition = key
            .definition
            .replacen("REFERENCES ", "REFERENCES dbos.", 1);
        steps.together(format!("ALTER TABLE dbos.{table} ADD {definition}"));
    }
}

/// Primary keys and unique constraints: their index is built first, while the table is in use.
pub(super) fn keys(steps: &mut Steps<'_>, table: &str, found: &Table, wanted: &Table) {
    for key in missing_keys(found, wanted) {
        let name = quote(&key.name);
        if found.indexes.contains_key(&key.name) {
            steps.push(
                How::Alone,
                format!("DROP INDEX CONCURRENTLY IF EXISTS dbos.{name}"),
            );
        }
        let (kind, columns) = key.definition.split_once('(').unwrap_or_default();
        steps.push(
            How::Alone,
            format!(
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {name} ON dbos.{table} ({columns}"
            ),
        );
        steps.together(format!(
            "ALTER TABLE dbos.{table} ADD CONSTRAINT {name} {kind}USING INDEX {name}"
        ));
    }
    for key in of_kind(wanted, "p").chain(of_kind(wanted, "u")) {
        let there = found
            .constraints
            .iter()
            .find(|there| same(there, key) && there.name != key.name);
        if let Some(there) = there {
            steps.together(format!(
                "ALTER TABLE dbos.{table} RENAME CONSTRAINT {} TO {}",
                quote(&there.name),
                quote(&key.name)
            ));
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
