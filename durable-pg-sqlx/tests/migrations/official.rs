//! The real package, version 3.4.0: neither its migration nor ours changes what the other made, and the functions behave alike.

use durable_pg::{Connection as _, Driver as _, Listener as _, PoolSettings, Servers};
use durable_pg_sqlx::SqlxDriver;
use durable_testkit::{Dbos, pg::Bare};

use crate::common::{Db, assert_current, catalog, migrate};

/// Has the package migrate the database.
async fn migrate_officially(database: &Db) {
    let url = database.url().replacen("postgres://", "postgresql://", 1);
    let migration =
        tokio::task::spawn_blocking(move || Dbos::new().cli(&["migrate", "--sys-db-url", &url]));
    migration.await.expect("the package migrates");
}

/// All that a database holds beside our own objects: its catalog, the bodies of its functions, its version.
async fn state(bare: &mut Bare<SqlxDriver>) -> Vec<String> {
    let mut state = vec![catalog(bare, "dbos").await];
    let functions = "SELECT proname || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'dbos'::regnamespace ORDER BY 1";
    state.extend(bare.texts(functions).await);
    let version = bare
        .texts("SELECT version::text FROM dbos.dbos_migrations")
        .await;
    state.extend(version);
    state
}

#[tokio::test]
async fn the_packages_migration_changes_nothing_that_ours_has_made() {
    let database = Db::migrated().await;
    let mut bare = database.bare().await;
    let before = state(&mut bare).await;
    migrate_officially(&database).await;
    assert_eq!(state(&mut bare).await, before);
}

#[tokio::test]
async fn our_migration_changes_nothing_that_the_packages_has_made() {
    let database = Db::empty().await;
    migrate_officially(&database).await;
    let mut bare = database.bare().await;
    assert_current(&mut bare, "dbos").await;
    let before = state(&mut bare).await;
    let report = migrate(&database).await;
    // The tables of ours, in one transaction.
    let [begin, executors, served, attempts, commit] = &report.statements[..] else {
        panic!("{:#?}", report.statements);
    };
    assert_eq!([begin.as_str(), commit], ["BEGIN", "COMMIT"]);
    assert!(executors.contains("CREATE TABLE IF NOT EXISTS dbos.durable_executors"));
    assert!(served.contains("CREATE TABLE IF NOT EXISTS dbos.durable_served_queues"));
    assert!(attempts.contains("CREATE TABLE IF NOT EXISTS dbos.durable_attempts"));
    assert_eq!(state(&mut bare).await, before);
}

/// Calls of the functions, in an order in which later ones meet what earlier ones left.
const CALLS: &[&str] = &[
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'plain')",
    "SELECT dbos.enqueue_workflow('w', 'q', ARRAY['1', '\"x\"', 'null', '{\"a\": [1.50, true]}', '1e400']::json[], '{\"k\" : 1}', 'c', \
     'i', 'all', 'v1', 1000, 2000, 'd', 7, 'p', 'ann', '[\"admin\"]', 3000, 'shop')",
    "SELECT dbos.enqueue_workflow('w', 'q', ARRAY[]::json[], '{}', NULL, NULL, 'nulls', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
     NULL, NULL)",
    "SELECT dbos.enqueue_workflow('w', 'q', NULL, NULL, workflow_id => 'null arguments')",
    "SELECT length(dbos.enqueue_workflow('w', 'random id'))",
    "SELECT dbos.enqueue_workflow('other', 'other', ARRAY['9']::json[], workflow_id => 'plain')",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'taken', deduplication_id => 'd')",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'all', deduplication_id => 'd')",
    "SELECT dbos.enqueue_workflow('w', 'q2', workflow_id => 'elsewhere', deduplication_id => 'd')",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'empty deduplication', deduplication_id => '')",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'now', delay_until_epoch_ms => 0)",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'delay', delay_until_epoch_ms => -1)",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'negative', priority => -5, timeout_ms => -1, deadline_epoch_ms => -1)",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => 'partition', queue_partition_key => '')",
    "SELECT dbos.enqueue_workflow('', 'q')",
    "SELECT dbos.enqueue_workflow(NULL, 'q')",
    "SELECT dbos.enqueue_workflow('w', '')",
    "SELECT dbos.enqueue_workflow('w', NULL)",
    "SELECT dbos.enqueue_workflow('w', 'q', workflow_id => '')",
    "SELECT dbos.enqueue_workflow('w', 'q', named_args => '[1]')",
    "SELECT dbos.enqueue_workflow('w', 'q', named_args => 'null')",
    "SELECT dbos.enqueue_workflow('w', 'q', named_args => '{\"a\": 1, \"a\": 2}', workflow_id => 'twice')",
    "SELECT dbos.enqueue_workflow('w', 'q', application_name => '', authenticated_user => '', authenticated_roles => 'no json', \
     workflow_id => 'texts')",
    "SELECT dbos.enqueue_workflow('w')",
    "SELECT dbos.enqueue_workflow('w', 'q', nonsense => 1)",
    "SELECT dbos.send_message('plain', '{\"b\" : [1, null]}', 'topic', 'id-1')::text",
    "SELECT dbos.send_message('plain', '2', 'other', 'id-1')::text",
    "SELECT dbos.send_message('plain', '\"text\"')::text",
    "SELECT dbos.send_message('plain', 'null', NULL, NULL)::text",
    "SELECT dbos.send_message('plain', 'true', '', 'id-2')::text",
    "SELECT dbos.send_message('plain', 'false', 'topic', '')::text",
    "SELECT dbos.send_message('plain', NULL, 'topic', 'id-3')::text",
    "SELECT dbos.send_message('nobody', '1')::text",
    "SELECT dbos.send_message(NULL, '1')::text",
    "SELECT dbos.send_message('nobody', '1', 'topic', 'id-1')::text",
];

/// What the calls leave. Ids that are made up and times are shown by what they are.
const LEFT: [&str; 3] = [
    "SELECT jsonb_build_object(
        'id', CASE WHEN queue_name = 'random id' THEN 'random' ELSE workflow_uuid END,
        'owner', owner_xid IS NOT NULL, 'creator', creator_xid IS NOT NULL, 'created', created_at > 1700000000000,
        'moved', updated_at > created_at)::text || (to_jsonb(s) - '{workflow_uuid,owner_xid,creator_xid,created_at,updated_at}'::text[])::text
     FROM dbos.workflow_status AS s ORDER BY 1",
    "SELECT s.queue_name || CASE WHEN s.queue_name = 'random id' THEN '' ELSE i.workflow_uuid END || coalesce(i.inputs, 'NULL')
        || (i.retention_timestamp > 1700000000000)
     FROM dbos.workflow_input AS i JOIN dbos.workflow_status AS s USING (workflow_uuid) ORDER BY 1",
    "SELECT CASE WHEN message_uuid ~ '^[0-9a-f-]{36}$' THEN 'random' ELSE message_uuid END
        || (to_jsonb(n) - '{message_uuid,created_at_epoch_ms}'::text[])::text
     FROM dbos.notifications AS n ORDER BY 1",
];

/// What each call gives, what all of them leave, and whom they notify.
async fn behaviour(database: &Db) -> Vec<String> {
    let driver = SqlxDriver::open(Servers::of(database.url()).unwrap(), &PoolSettings::bare(1));
    let mut listener = driver
        .listen(&["dbos_notifications_channel"])
        .await
        .unwrap();
    let mut bare = database.bare().await;
    let mut seen = Vec::new();
    for call in CALLS {
        // A millisecond at least between two of them.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let answer = bare.connection().query(&(*call).into(), &[]).await;
        seen.push(match answer {
            Ok(mut rows) => {
                let mut row = rows.pop().expect("a call gives a row");
                let text = row.clone().text().map(|text| format!("{text:?}"));
                let number = row.integer().map(|number| format!("{number:?}"));
                format!("{call}: {}", text.or(number).unwrap())
            }
            Err(error) => {
                let message = error.to_string();
                let message = message.split(" (").next().unwrap_or_default();
                format!("{call}: {:?} {message}", error.code())
            }
        });
    }
    for left in LEFT {
        seen.extend(bare.texts(left).await);
    }
    bare.batch("NOTIFY dbos_notifications_channel, 'the end'")
        .await;
    loop {
        let heard = listener.next().await.unwrap();
        if heard.payload == "the end" {
            return seen;
        }
        seen.push(format!("{}: {}", heard.channel, heard.payload));
    }
}

#[tokio::test]
async fn the_functions_and_the_trigger_behave_as_the_packages() {
    let official = Db::empty().await;
    migrate_officially(&official).await;
    let ours = Db::migrated().await;
    let (expected, found) = (behaviour(&official).await, behaviour(&ours).await);
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}
