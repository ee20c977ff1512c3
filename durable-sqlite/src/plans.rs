//! That each statement rides on the index named beside it, on tables that hold nothing yet: a plan must not depend on statistics.

use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{attempts, executors, messages, queues, steps, versions, waits, workflows};

async fn tables() -> SqliteConnection {
    let mut conn = SqliteConnectOptions::new()
        .filename(":memory:")
        .connect()
        .await
        .unwrap();
    for script in [
        include_str!("schema/tables.sql"),
        include_str!("schema/indexes.sql"),
        include_str!("schema/own.sql"),
    ] {
        sqlx::raw_sql(script).execute(&mut conn).await.unwrap();
    }
    conn
}

async fn plan(conn: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

fn has(plan: &[String], what: &str) -> bool {
    plan.iter().any(|line| line.contains(what))
}

#[tokio::test]
async fn a_claim_reads_its_queue_in_order_and_sorts_nothing() {
    for statement in [queues::CANDIDATES, queues::ANY_CANDIDATE] {
        let plan = plan(&mut tables().await, statement).await;
        let rides = "SEARCH s USING INDEX durable_enqueued (queue_name=?)";
        assert!(has(&plan, rides), "{plan:#?}");
        assert!(!has(&plan, "ORDER BY"), "{plan:#?}");
    }
}

#[tokio::test]
async fn statements_ride_on_the_indexes_named_beside_them() {
    let mut conn = tables().await;
    let statements = [
        (
            attempts::KNOWN,
            "sqlite_autoindex_durable_attempts_1 (workflow_uuid=?)",
        ),
        (
            attempts::KNOWN,
            "sqlite_autoindex_operation_outputs_1 (workflow_uuid=?)",
        ),
        (executors::EXECUTORS, "idx_workflow_status_pending"),
        (executors::LEFT, "idx_workflow_status_pending"),
        (executors::ADOPTABLE, "sqlite_autoindex_workflow_status_1"),
        (workflows::LIST, "sqlite_autoindex_workflow_status_1"),
        (queues::CLAIMED_BY, "idx_workflow_status_pending"),
        (queues::NEWEST, "idx_application_versions_owner_timestamp"),
        (
            workflows::DUE,
            "idx_workflow_status_deadline (workflow_deadline_epoch_ms<?)",
        ),
        (
            workflows::ANY_DUE,
            "idx_workflow_status_deadline (workflow_deadline_epoch_ms<?)",
        ),
        (versions::STRANDED, "idx_workflow_status_pending"),
        (versions::STRANDED, "durable_enqueued"),
        (versions::STRANDED, "idx_workflow_status_delayed"),
        (queues::WAITING, "durable_enqueued"),
        (queues::WAITING, "idx_workflow_status_delayed"),
        (versions::UNRUNNABLE, "idx_workflow_status_pending"),
        (versions::UNRUNNABLE, "durable_enqueued"),
        (versions::UNRUNNABLE, "idx_workflow_status_delayed"),
        (
            steps::HISTORIES,
            "sqlite_autoindex_operation_outputs_1 (workflow_uuid=?)",
        ),
        (
            messages::CONSUME,
            "idx_workflow_topic (destination_uuid=? AND topic=? AND consumed=?)",
        ),
        (
            messages::DELIVER,
            "idx_workflow_topic (destination_uuid=? AND topic=? AND consumed=?)",
        ),
        (
            waits::RESULTS,
            "sqlite_autoindex_workflow_status_1 (workflow_uuid=?)",
        ),
        (
            waits::MESSAGES,
            "idx_workflow_topic (destination_uuid=? AND topic=? AND consumed=?)",
        ),
        (
            waits::EVENTS,
            "sqlite_autoindex_workflow_events_1 (workflow_uuid=? AND key=?)",
        ),
        (
            waits::LOSERS,
            "sqlite_autoindex_workflow_status_1 (workflow_uuid=?)",
        ),
    ];
    for (statement, index) in statements {
        let plan = plan(&mut conn, statement).await;
        assert!(has(&plan, index), "{index}: {statement}\n{plan:#?}");
        for table in [
            "s",
            "n",
            "o",
            "i",
            "workflow_status",
            "notifications",
            "operation_outputs",
        ] {
            let whole = |line: &String| line == &format!("SCAN {table}");
            assert!(
                !plan.iter().any(whole),
                "reads all of {table}: {statement}\n{plan:#?}"
            );
        }
    }
}
