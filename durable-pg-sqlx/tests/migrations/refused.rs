//! Databases that are left as they are.

use crate::common::{Db, OLD, catalog, counts, made_by, migration};

/// Migrates, and gives why not; panics if anything was changed.
async fn refusal(database: &Db) -> String {
    let mut bare = database.bare().await;
    let before = (catalog(&mut bare, "dbos").await, counts(&mut bare).await);
    let error = migration(database).run().await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let after = (catalog(&mut bare, "dbos").await, counts(&mut bare).await);
    assert_eq!(before, after, "a refused database is untouched");
    let dry = migration(database).dry_run().await.unwrap_err();
    assert_eq!(
        dry.to_string(),
        error.to_string(),
        "a dry run says the same"
    );
    error.to_string()
}

#[tokio::test]
async fn what_cannot_be_converged_safely_is_refused_with_its_reason_and_untouched() {
    let cases = [
        (
            "ALTER TABLE dbos.workflow_status RENAME COLUMN inputs TO arguments",
            "table dbos.workflow_status has no column inputs, so it is not the DBOS system table",
        ),
        (
            "CREATE VIEW dbos.queues AS SELECT 1 AS name",
            "dbos.queues is not a plain table",
        ),
        (
            "ALTER TABLE dbos.workflow_status ALTER COLUMN created_at DROP DEFAULT, ALTER COLUMN created_at TYPE NUMERIC",
            "column created_at of table dbos.workflow_status is numeric, and bigint is needed",
        ),
        (
            "ALTER TABLE dbos.workflow_status DROP CONSTRAINT uq_workflow_status_queue_name_dedup_id;
             UPDATE dbos.workflow_status SET deduplication_id = 'twice' WHERE workflow_uuid IN ('enqueued-0', 'enqueued-2')",
            "2 rows of table dbos.workflow_status have the same queue_name, deduplication_id (elsewhere, twice)",
        ),
        (
            "ALTER TABLE dbos.notifications DROP CONSTRAINT notifications_pkey;
             UPDATE dbos.notifications SET message_uuid = 'same'",
            "3 rows of table dbos.notifications have the same message_uuid (same)",
        ),
        (
            "ALTER TABLE dbos.streams ADD COLUMN tenant TEXT NOT NULL DEFAULT 'x';
             ALTER TABLE dbos.streams ALTER COLUMN tenant DROP DEFAULT",
            "column tenant of table dbos.streams is not of the DBOS system tables and must be given",
        ),
        (
            "ALTER TABLE dbos.operation_outputs DROP CONSTRAINT operation_outputs_pkey, ADD PRIMARY KEY (function_id, workflow_uuid)",
            "table dbos.operation_outputs has PRIMARY KEY (function_id, workflow_uuid), and",
        ),
        (
            "ALTER TABLE dbos.workflow_events DROP CONSTRAINT workflow_events_workflow_uuid_fkey;
             INSERT INTO dbos.workflow_events (workflow_uuid, key, value) VALUES ('nobody', 'k', 'v')",
            "violates foreign key constraint",
        ),
    ];
    for (change, reason) in cases {
        let database = made_by(OLD).await;
        database.bare().await.batch(change).await;
        if reason.starts_with("violates") {
            // Found by the server, in the transaction of all changes.
            let mut bare = database.bare().await;
            let before = catalog(&mut bare, "dbos").await;
            let error = migration(&database).run().await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert_eq!(catalog(&mut bare, "dbos").await, before);
            continue;
        }
        let why = refusal(&database).await;
        assert!(why.contains(reason), "{reason}: {why}");
        assert!(why.contains("left as they are"), "{why}");
    }
}

#[tokio::test]
async fn a_table_of_the_application_is_not_taken_for_ours() {
    let database =
        made_by("CREATE SCHEMA dbos; CREATE TABLE dbos.workflow_status (id INT, state TEXT)").await;
    let why = refusal(&database).await;
    assert!(
        why.contains("table dbos.workflow_status has no column workflow_uuid"),
        "{why}"
    );
    let database = made_by("CREATE SCHEMA dbos; CREATE TABLE dbos.queues (name TEXT)").await;
    let why = refusal(&database).await;
    assert!(why.contains("table dbos.queues has no column"), "{why}");
}
