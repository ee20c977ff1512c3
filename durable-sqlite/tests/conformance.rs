//! SQLite keeps every promise of a backend.

mod common;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::Directory;
use durable_core::{
    db::SystemDb,
    ids::{Format, WorkflowId},
    payload::{Encoded, Outcome},
    time::Timestamp,
};
use durable_sqlite::Sqlite;
use durable_testkit::{
    Dbos, ManualClock,
    conformance::{self, Factory, TestDatabase},
    raw::{Payloads, RawWorkflow},
};
use sqlx::{ConnectOptions, Row, SqliteConnection, sqlite::SqliteConnectOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_keeps_every_promise_of_a_backend() {
    let report = conformance::run(&Files::default()).await;
    assert_eq!(report.passed, conformance::cases().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_keeps_every_promise_in_a_file_that_dbos_made() {
    let directory = Directory::new();
    let path = directory.file("theirs.db");
    let url = format!("sqlite:///{}", path.display());
    Dbos::new().cli(&["migrate", "--sys-db-url", &url]);
    let files = Files {
        made_by_dbos: Some(std::fs::read(path).unwrap()),
    };
    let report = conformance::run(&files).await;
    assert_eq!(report.passed, conformance::cases().len());
}

/// A file for each case.
#[derive(Default)]
struct Files {
    /// What stands in it before we come.
    made_by_dbos: Option<Vec<u8>>,
}

#[async_trait]
impl Factory for Files {
    fn name(&self) -> String {
        match self.made_by_dbos {
            None => "sqlite".to_owned(),
            Some(_) => "sqlite, in a file of dbos".to_owned(),
        }
    }

    async fn database(&self) -> Box<dyn TestDatabase> {
        let directory = Directory::new();
        let database = Case {
            path: directory.file("case.db"),
            clock: ManualClock::default(),
            _directory: directory,
        };
        if let Some(content) = &self.made_by_dbos {
            std::fs::write(&database.path, content).unwrap();
        }
        database.open().await.migrate().await.unwrap();
        Box::new(database)
    }
}

struct Case {
    path: PathBuf,
    clock: ManualClock,
    _directory: Directory,
}

impl Case {
    async fn open(&self) -> Sqlite {
        let options = Sqlite::options(&self.path).clock(self.clock.source());
        options.open().await.unwrap()
    }

    /// A bare connection, for what no call does.
    async fn bare(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(Duration::from_secs(5));
        options.connect().await.unwrap()
    }
}

#[async_trait]
impl TestDatabase for Case {
    async fn connect(&self) -> Arc<dyn SystemDb> {
        Arc::new(self.open().await)
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn put_workflow(&self, raw: &RawWorkflow) {
        let mut conn = self.bare().await;
        put_row(&mut conn, raw).await;
        let (output, error) = outcome(raw);
        let id = raw.row.id.as_str();
        match raw.payloads {
            Payloads::Columns => {
                sqlx::query("UPDATE workflow_status SET inputs = ?2, output = ?3, error = ?4 WHERE workflow_uuid = ?1")
                    .bind(id)
                    .bind(raw.input.as_deref())
                    .bind(output)
                    .bind(error)
                    .execute(&mut conn)
                    .await
                    .unwrap();
            }
            Payloads::Tables => {
                if let Some(input) = &raw.input {
                    sqlx::query("INSERT OR REPLACE INTO workflow_input (workflow_uuid, inputs) VALUES (?1, ?2)")
                        .bind(id)
                        .bind(input.as_str())
                        .execute(&mut conn)
                        .await
                        .unwrap();
                }
                if raw.outcome.is_some() {
                    sqlx::query("INSERT OR REPLACE INTO workflow_output (workflow_uuid, output, error) VALUES (?1, ?2, ?3)")
                        .bind(id)
                        .bind(output)
                        .bind(error)
                        .execute(&mut conn)
                        .await
                        .unwrap();
                }
            }
        }
    }

    async fn delete_row(&self, workflow: &WorkflowId) {
        sqlx::query("DELETE FROM workflow_status WHERE workflow_uuid = ?1")
            .bind(workflow.as_str())
            .execute(&mut self.bare().await)
            .await
            .unwrap();
    }

    async fn event_history(&self, workflow: &WorkflowId, key: &str) -> Vec<(i32, Encoded)> {
        let rows = sqlx::query(
            "SELECT function_id, value, serialization
             FROM workflow_events_history
             WHERE workflow_uuid = ?1 AND key = ?2
             ORDER BY function_id",
        )
        .bind(workflow.as_str())
        .bind(key)
        .fetch_all(&mut self.bare().await)
        .await
        .unwrap();
        let value = |row: &sqlx::sqlite::SqliteRow| {
            let format: Option<String> = row.get(2);
            let value = Encoded {
                text: row.get(1),
                format: format.map(Format::from),
            };
            (row.get(0), value)
        };
        rows.iter().map(value).collect()
    }
}

async fn put_row(conn: &mut SqliteConnection, raw: &RawWorkflow) {
    let row = &raw.row;
    let at = |instant: Option<Timestamp>| instant.map(Timestamp::as_millis);
    sqlx::query(
        "INSERT OR REPLACE INTO workflow_status (
             workflow_uuid, status, name, class_name, config_name, application_name, application_version, executor_id,
             owner_xid, creator_xid, recovery_attempts, queue_name, priority, deduplication_id, queue_partition_key,
             workflow_timeout_ms, workflow_deadline_epoch_ms, delay_until_epoch_ms, parent_workflow_id, forked_from,
             serialization, created_at, updated_at, started_at_epoch_ms, completed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, ?24, ?25)",
    )
    .bind(row.id.as_str())
    .bind(row.status.as_str())
    .bind(row.key.name.as_str())
    .bind(row.key.class.as_deref())
    .bind(row.key.config.as_deref())
    .bind(row.application.as_deref())
    .bind(row.version.as_deref())
    .bind(row.executor.as_ref().map(|id| id.as_str().to_owned()))
    .bind(row.owner.as_ref().map(|token| token.as_str().to_owned()))
    .bind(row.creator.as_ref().map(|token| token.as_str().to_owned()))
    .bind(row.attempts)
    .bind(row.queue.as_deref())
    .bind(row.priority)
    .bind(row.deduplication_id.as_deref())
    .bind(row.partition_key.as_deref())
    .bind(row.timeout_ms)
    .bind(at(row.deadline))
    .bind(at(row.delay_until))
    .bind(row.parent.as_ref().map(|id| id.as_str().to_owned()))
    .bind(row.forked_from.as_ref().map(|id| id.as_str().to_owned()))
    .bind(row.format.as_ref().map(|format| format.as_str().to_owned()))
    .bind(row.created_at.as_millis())
    .bind(row.updated_at.as_millis())
    .bind(at(row.started_at))
    .bind(at(row.completed_at))
    .execute(conn)
    .await
    .unwrap();
}

/// The texts of output and error.
fn outcome(raw: &RawWorkflow) -> (Option<&str>, Option<&str>) {
    match &raw.outcome {
        Some(Outcome::Success(value)) => (Some(&value.text), None),
        Some(Outcome::Failure(error)) => (None, Some(&error.text)),
        None => (None, None),
    }
}
