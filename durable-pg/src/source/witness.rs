//! The table of witnesses: which steps have committed what they did in this database.

use durable_core::{
    db::{DbError, Result as DbResult},
    source::Trouble,
};

use crate::{
    Connection as _, Driver, DriverError,
    error::code,
    text::{SchemaName, quote, tag_beside},
};

use super::{Tables, open::away_or_engine};

/// By the primary key.
pub(crate) const WITNESS: &str = "
    SELECT w.function_name, w.output, w.serialization
    FROM dbos.durable_transactions AS w
    WHERE w.workflow_uuid = $1
      AND w.incarnation = $2
      AND w.function_id = $3::bigint::int";

/// By the primary key. Waits for another transaction that leaves the same witness.
pub(crate) const LEAVE: &str = "
    INSERT INTO dbos.durable_transactions (
        workflow_uuid, incarnation, function_id, function_name, output, serialization)
    VALUES ($1, $2, $3::bigint::int, $4, $5, $6)
    ON CONFLICT (workflow_uuid, incarnation, function_id) DO NOTHING
    RETURNING function_id";

/// The table. An `incarnation` is the token of the call that inserted the workflow's row, so that a new workflow with the id of a deleted
/// one does not take its witness.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS dbos.durable_transactions (
        workflow_uuid text NOT NULL,
        incarnation text NOT NULL,
        function_id integer NOT NULL,
        function_name text NOT NULL,
        output text NOT NULL,
        serialization text,
        created_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::bigint,
        PRIMARY KEY (workflow_uuid, incarnation, function_id))";

/// Held while the table is made: two sessions that create the same at once fail.
const LOCK: &str =
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('durable_transactions'))";

pub(super) async fn migrate<D: Driver>(tables: &Tables<D>, role: Option<&str>) -> DbResult<()> {
    const DOING: &str = "make the table of witnesses";
    let schema = tables.texts.schema();
    let made = async {
        let mut connection = tables.driver.dedicated().await?;
        connection.batch(&script(schema, role)).await
    };
    made.await.map_err(|error| match error.code() {
        Some(code::INSUFFICIENT_PRIVILEGE) => DbError::Refused(format!(
            "the database role may not make the table of witnesses: {error}; run `cargo xtask migrate --data-source URL` with a role \
             that may create the schema {} and a table in it, and `--app-role ROLE` for the application's",
            schema.quoted()
        )),
        _ => error.into_error(DOING),
    })
}

/// All or nothing. What is there is left alone, also for a role that may not create anything.
fn script(schema: &SchemaName, role: Option<&str>) -> String {
    let name = schema.quoted();
    let grants = role.map_or_else(String::new, |role| {
        let role = quote(role);
        format!(
            "GRANT USAGE ON SCHEMA {name} TO {role};
            GRANT SELECT, INSERT, DELETE ON {name}.durable_transactions TO {role};"
        )
    });
    let literal = schema.as_str().replace('\'', "''");
    let tag = tag_beside("make", &name);
    format!(
        "BEGIN;
        {LOCK};
        DO ${tag}$
        BEGIN
            IF to_regclass('{}') IS NULL THEN
                IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = '{literal}') THEN
                    CREATE SCHEMA {name};
                END IF;
                {};
            END IF;
        END
        ${tag}$;
        {grants}
        COMMIT",
        format!("{name}.durable_transactions").replace('\'', "''"),
        schema.render(TABLE),
    )
}

/// What it means that the table cannot be read.
pub(super) fn trouble(error: DriverError, schema: &SchemaName) -> Trouble {
    let missing = matches!(
        error.code(),
        Some(code::UNDEFINED_TABLE | code::UNDEFINED_COLUMN | code::INVALID_SCHEMA)
    );
    let denied = error.code() == Some(code::INSUFFICIENT_PRIVILEGE);
    let schema = schema.quoted();
    if missing {
        return Trouble::Engine(DbError::Refused(format!(
            "the table {schema}.durable_transactions is not in the data source's database: {error}; make it by `cargo xtask migrate \
             --data-source URL`, or by `migrate()` of the data source"
        )));
    }
    if denied {
        return Trouble::Engine(DbError::Refused(format!(
            "the role of the data source may not read {schema}.durable_transactions: {error}; grant it by `cargo xtask migrate \
             --data-source URL --app-role ROLE`"
        )));
    }
    if let Some(code::SERIALIZATION | code::DEADLOCK) = error.code() {
        return Trouble::Contended(error.to_string());
    }
    away_or_engine(error, "read a witness")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_made_in_the_schema_that_is_named_whatever_is_in_the_name() {
        let schema = SchemaName::new("it's").unwrap();
        let script = script(&schema, Some("a\"b"));
        for part in [
            "nspname = 'it''s'",
            "to_regclass('\"it''s\".durable_transactions')",
            "CREATE TABLE IF NOT EXISTS \"it's\".durable_transactions",
            "TO \"a\"\"b\"",
        ] {
            assert!(script.contains(part), "{part} in {script}");
        }
    }

    #[test]
    fn a_name_with_our_tag_in_it_does_not_end_the_script() {
        let schema = SchemaName::new("$make$ dbos.").unwrap();
        let script = script(&schema, None);
        assert_eq!(script.matches("$make_$").count(), 2, "{script}");
        let made = r#"CREATE TABLE IF NOT EXISTS "$make$ dbos.".durable_transactions"#;
        assert!(script.contains(made), "{script}");
    }
}
