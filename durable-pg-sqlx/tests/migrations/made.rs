//! An empty database.

use durable_core::db::{SystemDb as _, Workflows as _};
use durable_pg::FoundSchema;
use durable_testkit::pg::APP_ROLE;

use crate::common::{Db, assert_current, migrate, migration, version};

#[tokio::test]
async fn an_empty_database_becomes_version_125_in_one_go() {
    let database = Db::empty().await;
    let report = migrate(&database).await;
    assert_eq!(report.found, FoundSchema::Nothing);
    let mut bare = database.bare().await;
    assert_current(&mut bare, "dbos").await;
    assert_eq!(version(&mut bare).await, 125);
    let again = migrate(&database).await;
    assert_eq!(again.found, FoundSchema::Version(125));
    assert!(again.is_empty(), "{:#?}", again.statements);
    let handle = database.options().connect().await.unwrap();
    handle.verify().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_its_statements_are_those_of_a_run() {
    let database = Db::empty().await;
    let dry = migration(&database).dry_run().await.unwrap();
    let mut bare = database.bare().await;
    assert_eq!(
        bare.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'dbos'")
            .await,
        0
    );
    assert_eq!(migrate(&database).await, dry);
    // And run by hand they make the same.
    let other = Db::empty().await;
    let mut bare = other.bare().await;
    for statement in &dry.statements {
        bare.batch(statement).await;
    }
    assert_current(&mut bare, "dbos").await;
    assert!(migration(&other).dry_run().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_script_for_a_new_database_is_what_a_run_does_there() {
    let database = Db::empty().await;
    // Makes the role.
    drop(database.app_role_options().await);
    for (schema, listen) in [("dbos", true), ("two words", false)] {
        let options = database.options().schema(schema).listen_notify(listen);
        let script = options.migration().unwrap().app_role(APP_ROLE).script();
        let options = database.options().schema(schema).listen_notify(listen);
        let migration = options.migration().unwrap().app_role(APP_ROLE);
        assert_eq!(migration.dry_run().await.unwrap(), script);
    }
}

#[tokio::test]
async fn a_check_of_an_empty_database_says_what_to_do() {
    let database = Db::empty().await;
    let options = database.options().schema("jobs");
    let check = options.migration().unwrap().check().await;
    let error = check.unwrap_err().to_string();
    assert_eq!(
        error,
        "schema \"jobs\" holds no DBOS system tables; run `cargo xtask migrate --database-url URL --schema jobs` in a checkout of \
         durable, or `Postgres::options(URL).schema(\"jobs\").migration()?.run()` in a program of your own"
    );
}

#[tokio::test]
async fn the_tables_stand_in_a_schema_of_any_name() {
    let database = Db::empty().await;
    let mut bare = database.bare().await;
    for schema in ["shop", "Two Words", "with.\"quotes\" USING ("] {
        let options = || database.options().schema(schema);
        options().migration().unwrap().run().await.unwrap();
        options().migration().unwrap().check().await.unwrap();
        options().connect().await.unwrap().verify().await.unwrap();
    }
    assert_current(&mut bare, "shop").await;
    let others = "SELECT count(*) FROM pg_namespace WHERE nspname = 'dbos'";
    assert_eq!(bare.number(others).await, 0);
    let called = "SELECT count(*) FROM (SELECT \"Two Words\".enqueue_workflow('a', 'b')) AS x, \"Two Words\".workflow_input AS i";
    assert_eq!(
        bare.number(called).await,
        0,
        "the row is not seen by the statement that makes it"
    );
    assert_eq!(
        bare.number("SELECT count(*) FROM \"Two Words\".workflow_input")
            .await,
        1
    );
}

#[tokio::test]
async fn an_older_database_in_another_schema_converges_too() {
    let old = crate::common::OLD
        .replace("dbos.", "\"Old one\".")
        .replace("SCHEMA dbos", "SCHEMA \"Old one\"");
    let database = crate::common::made_by(&old).await;
    let options = || database.options().schema("Old one");
    options().migration().unwrap().run().await.unwrap();
    options().migration().unwrap().check().await.unwrap();
    let mut bare = database.bare().await;
    bare.batch("ALTER SCHEMA \"Old one\" RENAME TO dbos").await;
    assert_current(&mut bare, "dbos").await;
}

#[tokio::test]
async fn without_listen_and_notify_there_is_no_trigger_and_it_can_be_made_later() {
    let database = Db::empty().await;
    let quiet = database.options().listen_notify(false).migration().unwrap();
    quiet.run().await.unwrap();
    let mut bare = database.bare().await;
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'dbos%'";
    assert_eq!(bare.number(triggers).await, 0);
    let quiet = || database.options().listen_notify(false).migration().unwrap();
    quiet().check().await.unwrap();
    migrate(&database).await;
    assert_current(&mut bare, "dbos").await;
    // Other processes may rely on it: one that does not leaves it.
    quiet().check().await.unwrap();
    assert_eq!(bare.number(triggers).await, 1);
}

#[tokio::test]
async fn what_is_missing_in_a_current_database_is_made_again() {
    let database = Db::migrated().await;
    let mut bare = database.bare().await;
    bare.batch(
        "DROP INDEX dbos.idx_workflow_status_pending; DROP TABLE dbos.durable_executors; DROP TABLE dbos.queues;
         ALTER TABLE dbos.workflow_status DROP COLUMN attributes; DROP FUNCTION dbos.send_message",
    )
    .await;
    let error = migration(&database).check().await.unwrap_err().to_string();
    assert!(
        error.contains("of version 125, but not complete; run `cargo xtask migrate")
            && error.contains("a run would do this:")
            && error.contains("CREATE TABLE IF NOT EXISTS dbos.queues"),
        "{error}"
    );
    migrate(&database).await;
    assert_current(&mut bare, "dbos").await;
}

/// Names that look like what is in our SQL.
const ODD_SCHEMAS: [&str; 5] = [
    "my.dbos.x",
    "dbos.",
    "$notify$ $trigger$ $enqueue$ $send$ $former$",
    "it's \"REFERENCES a(b\" USING c",
    "INDEX IF NOT EXISTS x ON dbos.y",
];

#[tokio::test]
async fn whatever_is_in_the_name_of_a_schema_it_is_made_mended_and_used() {
    let database = Db::empty().await;
    let mut bare = database.bare().await;
    for schema in ODD_SCHEMAS {
        let options = || database.options().schema(schema).pool_size(2);
        let migration = || options().migration().unwrap();
        let made = migration().run().await;
        made.unwrap_or_else(|error| panic!("{schema}: {error}"));
        let again = migration().run().await.unwrap();
        assert!(again.is_empty(), "{schema}: {:#?}", again.statements);
        // As an older version would be, with all that is altered.
        let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
        bare.batch(&format!(
            "UPDATE {quoted}.dbos_migrations SET version = 124;
            ALTER TABLE {quoted}.workflow_status DROP COLUMN attributes;
            ALTER TABLE {quoted}.workflow_status ALTER COLUMN priority DROP NOT NULL;
            ALTER TABLE {quoted}.notifications DROP CONSTRAINT notifications_destination_uuid_fkey;
            ALTER TABLE {quoted}.notifications DROP CONSTRAINT notifications_pkey;
            DROP INDEX {quoted}.uq_workflow_status_dedup_id;
            DROP FUNCTION {quoted}.send_message;
            CREATE TABLE {quoted}.workflow_queue (workflow_uuid text)"
        ))
        .await;
        let mended = migration().run().await;
        mended.unwrap_or_else(|error| panic!("{schema}: {error}"));
        let again = migration().run().await.unwrap();
        assert!(again.is_empty(), "{schema}: {:#?}", again.statements);
        let handle = options().connect().await.unwrap();
        handle.verify().await.unwrap();
        bare.batch(&format!(
            "SELECT {quoted}.enqueue_workflow('work', 'q', workflow_id => 'w');
            SELECT {quoted}.send_message('w', '1')"
        ))
        .await;
        let row = handle.workflow(&"w".into()).await.unwrap().unwrap();
        assert_eq!(row.queue.as_deref(), Some("q"), "{schema}");
    }
}
