//! The system tables as they are to be: our own SQL, cut into statements, and what older SDKs made beside it.

use crate::text::SchemaName;

/// The version of the DBOS system tables that this library reads and writes.
pub(crate) const VERSION: i64 = 125;

const TABLES: &str = include_str!("tables.sql");
const INDEXES: &str = include_str!("indexes.sql");
const FUNCTIONS: &str = include_str!("functions.sql");
const NOTIFY: &str = include_str!("notify.sql");
const OWN: &str = include_str!("own.sql");

/// The table whose row tells the version.
pub(super) const MIGRATIONS: &str = "dbos_migrations";

/// The tables of our own.
pub(super) const OWN_TABLES: [&str; 3] = [
    "durable_executors",
    "durable_served_queues",
    "durable_attempts",
];

/// The columns that statements of this crate name. A newer version may have more; without one of these nothing works.
pub const NEEDED: [(&str, &str); 12] = [
    (MIGRATIONS, "version"),
    (
        "workflow_status",
        "workflow_uuid status name class_name config_name inputs output error serialization executor_id application_id application_name \
         application_version owner_xid creator_xid recovery_attempts queue_name queue_partition_key priority deduplication_id \
         delay_until_epoch_ms rate_limited workflow_timeout_ms workflow_deadline_epoch_ms parent_workflow_id forked_from \
         created_at updated_at started_at_epoch_ms completed_at",
    ),
    ("workflow_input", "workflow_uuid inputs retention_timestamp"),
    ("workflow_output", "workflow_uuid output error"),
    (
        "operation_outputs",
        "workflow_uuid function_id function_name output error serialization child_workflow_id started_at_epoch_ms \
         completed_at_epoch_ms application_name",
    ),
    (
        "notifications",
        "message_uuid destination_uuid topic message serialization consumed consumed_by_function_id created_at_epoch_ms",
    ),
    ("workflow_events", "workflow_uuid key value serialization"),
    (
        "workflow_events_history",
        "workflow_uuid function_id key value serialization",
    ),
    (
        "application_versions",
        "version_id version_name application_name version_timestamp created_at",
    ),
    (
        "durable_executors",
        "executor_id application_name incarnation last_seen_epoch_ms lease_ms",
    ),
    (
        "durable_served_queues",
        "executor_id incarnation queue_name application_version",
    ),
    (
        "durable_attempts",
        "workflow_uuid incarnation excused steps last_excused",
    ),
];

/// The tables that the application's role reads and writes. [`MIGRATIONS`] it only reads, and `event_dispatch_kv` is nothing to it.
pub(super) const WRITTEN: [&str; 14] = [
    "workflow_status",
    "workflow_input",
    "workflow_output",
    "operation_outputs",
    "notifications",
    "workflow_events",
    "workflow_events_history",
    "streams",
    "queues",
    "workflow_schedules",
    "application_versions",
    "durable_executors",
    "durable_served_queues",
    "durable_attempts",
];

/// The functions that are for callers, of whatever arguments: the forms that older SDKs left are dropped, as beside the present ones
/// each call would be ambiguous.
pub(super) const CALLED: [&str; 2] = ["enqueue_workflow", "send_message"];

/// A table of an older SDK is taken for what its name says only if it has these columns: those it had from the start, and those
/// without which the rows of the others could not be read.
pub(super) const CORE: [(&str, &str); 13] = [
    (MIGRATIONS, "version"),
    (
        "workflow_status",
        "workflow_uuid status name class_name config_name inputs output error executor_id application_version recovery_attempts \
         queue_name deduplication_id priority workflow_timeout_ms workflow_deadline_epoch_ms created_at updated_at \
         started_at_epoch_ms",
    ),
    ("workflow_input", "workflow_uuid inputs"),
    ("workflow_output", "workflow_uuid output error"),
    (
        "operation_outputs",
        "workflow_uuid function_id function_name output error child_workflow_id",
    ),
    (
        "notifications",
        "message_uuid destination_uuid topic message created_at_epoch_ms",
    ),
    ("workflow_events", "workflow_uuid key value"),
    (
        "workflow_events_history",
        "workflow_uuid function_id key value",
    ),
    ("streams", "workflow_uuid key offset value"),
    ("queues", "queue_id name concurrency worker_concurrency"),
    (
        "workflow_schedules",
        "schedule_id schedule_name workflow_name schedule context status",
    ),
    (
        "application_versions",
        "version_id version_name version_timestamp created_at",
    ),
    (
        "event_dispatch_kv",
        "service_name workflow_fn_name key value",
    ),
];

/// Indexes and constraints of older versions, which other indexes have replaced.
pub(super) const OLD_INDEXES: [&str; 9] = [
    "idx_notifications",
    "idx_operation_outputs_completed_at_function_name",
    "idx_workflow_status_in_flight",
    "idx_workflow_status_partition_dequeue",
    "idx_workflow_status_partition_dequeue_v2",
    "idx_workflow_status_queue_status_started",
    "uq_workflow_status_queue_name_dedup_id",
    "workflow_status_executor_id_index",
    "workflow_status_status_index",
];

/// Triggers of older versions, with their table and their function. Who changes what they told of notifies by itself now.
pub(super) const OLD_TRIGGERS: [(&str, &str, &str); 2] = [
    (
        "dbos_workflow_events_trigger",
        "workflow_events",
        "workflow_events_function",
    ),
    ("dbos_streams_trigger", "streams", "streams_function"),
];

/// Tables of older SDKs that nothing reads any more, and the ledgers of the tools that made their tables; with a column of each.
pub(super) const OLD_TABLES: [(&str, &str); 6] = [
    ("workflow_inputs", "workflow_uuid"),
    ("workflow_queue", "workflow_uuid"),
    ("scheduler_state", "workflow_fn_name"),
    ("knex_migrations", "migration_time"),
    ("knex_migrations_lock", "is_locked"),
    (SQLX_LEDGER, "checksum"),
];

/// Taken for an older SDK's only where that has no [`MIGRATIONS`]: an application may have one of its own.
pub(super) const SQLX_LEDGER: &str = "_sqlx_migrations";

/// A statement that makes something, written for the schema `dbos`, with the name of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// The tables, in an order in which they can be made; our own at the end.
pub(super) fn tables() -> impl Iterator<Item = Made> {
    statements(TABLES).chain(statements(OWN)).map(|sql| Made {
        name: word_after(sql, "CREATE TABLE IF NOT EXISTS dbos."),
        sql,
    })
}

/// The indexes that no constraint makes.
pub(super) fn indexes() -> impl Iterator<Item = Made> {
    statements(INDEXES).map(|sql| Made {
        name: word_after(sql, "INDEX IF NOT EXISTS "),
        sql,
    })
}

/// The functions that are called by name.
pub(super) fn functions() -> impl Iterator<Item = Made> {
    statements(FUNCTIONS).map(|sql| Made {
        name: word_after(sql, "CREATE OR REPLACE FUNCTION dbos."),
        sql,
    })
}

/// The trigger that notifies of messages, with its function first.
pub(super) fn notify() -> impl Iterator<Item = &'static str> {
    statements(NOTIFY)
}

/// The trigger of [`notify`] and its function.
pub(super) const NOTIFY_TRIGGER: &str = "dbos_notifications_trigger";
pub(super) const NOTIFY_FUNCTION: &str = "notifications_function";

/// The table that the index stands on.
pub(super) fn table_of(index: Made) -> &'static str {
    word_after(index.sql, "ON dbos.")
}

/// The statement that builds the index while the table is in use.
pub(super) fn concurrently(index: Made, schema: &SchemaName) -> String {
    let sql = index
        .sql
        .replacen("INDEX IF NOT EXISTS", "INDEX CONCURRENTLY IF NOT EXISTS", 1);
    schema.render(&sql)
}

/// The statements of a file, without the comments that stand before them.
fn statements(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.split("-- ;;").map(|part| {
        let mut rest = part.trim();
        while let Some(comment) = rest.strip_prefix("--") {
            rest = comment
                .split_once('\n')
                .map_or("", |(_, rest)| rest.trim_start());
        }
        rest
    })
}

/// The name that follows the text.
fn word_after(sql: &'static str, text: &str) -> &'static str {
    let rest = sql.split_once(text).map_or("", |(_, rest)| rest);
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(made: impl Iterator<Item = Made>) -> Vec<&'static str> {
        made.map(|made| made.name).collect()
    }

    #[test]
    fn the_files_are_cut_into_statements_with_the_names_of_what_they_make() {
        let tables = names(tables());
        assert_eq!(tables.len(), 16, "{tables:?}");
        assert_eq!(tables.first(), Some(&MIGRATIONS));
        assert!(tables.ends_with(&OWN_TABLES), "{tables:?}");
        assert_eq!(names(functions()), CALLED);
        assert_eq!(notify().count(), 2);
        let indexes: Vec<_> = indexes().collect();
        assert_eq!(indexes.len(), 24);
        for index in indexes {
            assert!(!index.name.is_empty(), "{}", index.sql);
            assert!(tables.contains(&table_of(index)), "{}", index.sql);
        }
    }

    #[test]
    fn no_statement_is_without_its_first_word() {
        let made = tables().chain(indexes()).chain(functions());
        for sql in made.map(|made| made.sql).chain(notify()) {
            assert!(sql.starts_with("CREATE") || sql.starts_with("DO"), "{sql}");
        }
    }

    #[test]
    fn an_index_is_built_while_its_table_is_in_use() {
        let schema = SchemaName::new("shop").unwrap();
        let first = indexes().next().unwrap();
        let sql = concurrently(first, &schema);
        assert!(
            sql.starts_with(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS workflow_status_created_at_index"
            ),
            "{sql}"
        );
        assert!(sql.contains("ON \"shop\".workflow_status"), "{sql}");
    }

    #[test]
    fn what_is_needed_written_and_looked_at_is_made() {
        let made = names(tables());
        let needed = NEEDED.iter().chain(&CORE).map(|(table, _)| *table);
        for table in needed.chain(WRITTEN) {
            assert!(made.contains(&table), "{table}");
        }
        let own = made.iter().filter(|table| table.starts_with("durable_"));
        assert_eq!(own.count(), OWN_TABLES.len(), "{made:?}");
        assert_eq!(
            made.len(),
            CORE.len() + OWN_TABLES.len(),
            "each but our own can be an older SDK's"
        );
    }
}
