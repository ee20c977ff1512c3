//! What the tests share: directories of their own, and workflows to fill a database with.

#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use durable_core::{
    db::{
        ClaimRequest, Inserted, NewWorkflow, Placement, Serves, StepRecord, StepResult, StepStamp,
        SystemDb, Timing, WantedExecutor, Workflows,
    },
    ids::{ExecutorId, Owner, OwnerToken, WorkflowKey},
    payload::Encoded,
    state::claim::Claimant,
    time::Timestamp,
};
use durable_sqlite::Sqlite;

/// A directory that is removed with all that is in it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("durable-sqlite-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A migrated database in this file, as one more process would open it.
pub(crate) async fn open(path: &Path) -> Sqlite {
    let database = Sqlite::open(path).await.unwrap();
    database.migrate().await.unwrap();
    database
}

/// Drops the last handle of the file, and waits until its connections are closed: the last one takes the log with it.
pub(crate) async fn close(database: Sqlite, path: &Path) {
    drop(database);
    let log = path.with_extension("db-wal");
    soon(async {
        while log.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A migrated database in memory.
pub(crate) async fn in_memory() -> Sqlite {
    let database = Sqlite::in_memory().await.unwrap();
    database.migrate().await.unwrap();
    database
}

/// A bare connection to the file, for what no call does.
pub(crate) async fn raw(path: &Path, script: &'static str) {
    use sqlx::{ConnectOptions, Connection};
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(script).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// The number that a query gives, by a connection of its own.
pub(crate) async fn number(path: &Path, query: &'static str) -> i64 {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut conn = options.connect().await.unwrap();
    let number = sqlx::query_scalar(query)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    number
}

pub(crate) fn json(text: &str) -> Encoded {
    Encoded::new(text, "portable_json")
}

/// A workflow `demo` of application `shop`, version `v1`, started here by `executor`; its token is `<id>-token`.
pub(crate) fn here(id: &str, executor: &str) -> NewWorkflow {
    NewWorkflow {
        id: id.into(),
        key: WorkflowKey::function("demo"),
        input: json(r#"{"positionalArgs":[1]}"#),
        placement: Placement::Here,
        creator: format!("{id}-token").into(),
        executor: executor.into(),
        application: "shop".into(),
        version: Some("v1".into()),
        timing: Timing::Unbounded,
        parent: None,
    }
}

/// The same, on a queue.
pub(crate) fn queued(id: &str, queue: &str) -> NewWorkflow {
    NewWorkflow {
        placement: Placement::Queue {
            name: queue.into(),
            priority: 0,
        },
        ..here(id, "enqueuer")
    }
}

/// The owner that [`here`] makes.
pub(crate) fn owner(id: &str) -> Owner {
    Owner {
        workflow: id.into(),
        token: format!("{id}-token").into(),
    }
}

/// Starts [`here`]'s workflow.
pub(crate) async fn start(database: &Sqlite, id: &str, executor: &str) -> Owner {
    let inserted = database.insert_workflow(&here(id, executor)).await.unwrap();
    assert_eq!(inserted, Inserted::Created { deadline: None });
    owner(id)
}

pub(crate) fn stamp(number: i32, name: &str) -> StepStamp {
    StepStamp {
        number,
        name: name.into(),
        started_at: Timestamp::from_millis(10),
        completed_at: Timestamp::from_millis(20),
    }
}

pub(crate) fn step(number: i32, text: &str) -> StepRecord {
    stamp(number, "step").record(StepResult::Output(json(text)), None)
}

pub(crate) fn claimant(executor: &str, incarnation: i64) -> Claimant {
    Claimant {
        executor: executor.into(),
        incarnation,
        application: "shop".into(),
        version: "v1".into(),
        runnable: vec![WorkflowKey::function("demo")].into(),
        formats: vec!["portable_json".into()].into(),
    }
}

pub(crate) fn claim(queue: &str, tokens: &[&str]) -> ClaimRequest {
    ClaimRequest {
        queue: queue.into(),
        claimant: claimant("worker", 1),
        tokens: tokens
            .iter()
            .map(|token| OwnerToken::from(*token))
            .collect(),
    }
}

pub(crate) fn wanted(id: &str, given: bool) -> WantedExecutor {
    WantedExecutor {
        id: ExecutorId::from(id),
        given,
        application: "shop".into(),
        serves: Serves::default(),
    }
}

/// Fails instead of waiting for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it happens within 20 s")
}
