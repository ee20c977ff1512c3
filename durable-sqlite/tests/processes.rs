//! One file, several handles, as several processes have it; and the lane that writes for one of them.

mod common;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use common::{
    Directory, claim, close, here, in_memory, json, number, open, queued, raw, soon, start, step,
};
use durable_core::{
    db::{Hint, Inserted, Message, Messages, Queues, Recorded, Steps, SystemDb, Waits, Workflows},
    ids::WorkflowId,
    time::Timestamp,
};
use durable_sqlite::Sqlite;
use futures_util::{StreamExt, future::join_all, stream::BoxStream};

#[tokio::test]
async fn what_one_process_has_written_the_other_reads() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (one, other) = (open(&path).await, open(&path).await);
    let owner = start(&one, "w", "a").await;
    assert!(other.workflow(&"w".into()).await.unwrap().is_some());
    one.record_step(&owner, &step(1, "1")).await.unwrap();
    let again = other.record_step(&owner, &step(1, "1")).await.unwrap();
    assert_eq!(again, Recorded::Written);
    let history = other.histories(&["w".into()]).await.unwrap();
    assert_eq!(history[0].steps, [step(1, "1")]);
}

#[tokio::test]
async fn two_processes_that_write_at_the_same_time_lose_nothing() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (one, other) = (open(&path).await, open(&path).await);
    let starts = (0..400).map(|n| {
        let database = if n % 2 == 0 { &one } else { &other };
        async move {
            database
                .insert_workflow(&here(&format!("w{}", n / 4), "a"))
                .await
        }
    });
    for answer in soon(join_all(starts)).await {
        answer.unwrap();
    }
    assert_eq!(
        number(&path, "SELECT count(*) FROM workflow_status").await,
        100
    );
    assert_eq!(
        number(&path, "SELECT count(*) FROM workflow_input").await,
        100
    );
}

#[tokio::test]
async fn many_writes_ride_in_few_commits() {
    let directory = Directory::new();
    let database = open(&directory.file("shop.db")).await;
    let owner = start(&database, "w", "a").await;
    let before = database.commits();
    let steps = (1..=2000).map(|n| {
        let (database, owner) = (&database, &owner);
        async move { database.record_step(owner, &step(n, "1")).await }
    });
    for answer in join_all(steps).await {
        assert_eq!(answer.unwrap(), Recorded::Written);
    }
    let commits = database.commits() - before;
    assert!(commits <= 20, "{commits} commits for 2000 writes");
    assert_eq!(
        database.histories(&["w".into()]).await.unwrap()[0]
            .steps
            .len(),
        2000
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_only_those_who_ask_for_it() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    let owner = start(&database, "good", "a").await;
    start(&database, "bad", "a").await;
    raw(
        &path,
        "UPDATE workflow_status SET status = 'PAUSED' WHERE workflow_uuid = 'bad'",
    )
    .await;

    let (bad, good): ([WorkflowId; 1], _) = (["bad".into()], step(1, "1"));
    let (cancelled, recorded) =
        tokio::join!(database.cancel(&bad), database.record_step(&owner, &good));
    let error = cancelled.unwrap_err();
    assert!(
        !error.is_retryable() && error.to_string().contains("\"bad\""),
        "{error}"
    );
    assert_eq!(recorded.unwrap(), Recorded::Written);

    let error = database.workflow(&bad[0]).await.unwrap_err();
    assert!(error.to_string().contains("PAUSED"), "{error}");
    let waits = Waits {
        results: vec!["bad".into(), "none".into()],
        ..Waits::default()
    };
    let wakes = database.poll(&waits).await.unwrap();
    assert_eq!(wakes.results.len(), 1, "the one that is missing: {wakes:?}");
}

#[tokio::test]
async fn a_write_that_waits_too_long_for_another_process_is_unavailable_and_comes_through_later() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    close(open(&path).await, &path).await;
    let database = Sqlite::options(&path)
        .busy_timeout(Duration::from_millis(50))
        .open()
        .await
        .unwrap();
    let holder = Holder::begin(&path).await;
    let (workflow, other) = (here("w", "a"), here("v", "a"));
    let (one, two) = tokio::join!(
        database.insert_workflow(&workflow),
        database.insert_workflow(&other)
    );
    assert!(one.unwrap_err().is_retryable() && two.unwrap_err().is_retryable());
    holder.end().await;
    let inserted = database.insert_workflow(&workflow).await.unwrap();
    assert_eq!(inserted, Inserted::Created { deadline: None });
}

/// A connection that holds the write lock.
struct Holder(sqlx::SqliteConnection);

impl Holder {
    async fn begin(path: &Path) -> Self {
        use sqlx::ConnectOptions;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut conn = options.connect().await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut conn)
            .await
            .unwrap();
        Self(conn)
    }

    async fn end(mut self) {
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut self.0)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn commits_of_another_process_are_hinted_and_silence_is_not() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (one, other) = (open(&path).await, open(&path).await);
    let mut hints = one.hints();
    // The other's coming may be news of its own.
    while quiet(&mut hints).await.is_some() {}
    // Its own writes are hinted as what they are.
    one.insert_workflow(&queued("w", "q")).await.unwrap();
    assert_eq!(soon(hints.next()).await, Some(Hint::Queue("q".into())));
    // Several looks find nothing new.
    assert_eq!(quiet(&mut hints).await, None);
    other.insert_workflow(&queued("v", "q")).await.unwrap();
    assert_eq!(soon(hints.next()).await, Some(Hint::Anything));
}

/// The next hint, unless none comes for the time of several looks.
async fn quiet(hints: &mut BoxStream<'static, Hint>) -> Option<Hint> {
    let next = tokio::time::timeout(Duration::from_millis(250), hints.next());
    next.await.ok().flatten()
}

#[tokio::test]
async fn what_was_committed_before_the_first_look_is_hinted() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (one, other) = (open(&path).await, open(&path).await);
    let mut hints = one.hints();
    while quiet(&mut hints).await.is_some() {}
    drop(hints);
    // With nobody listening, nobody looks; the next listener comes before the next look.
    other.insert_workflow(&queued("v", "q")).await.unwrap();
    let mut hints = one.hints();
    assert_eq!(soon(hints.next()).await, Some(Hint::Anything));
}

#[tokio::test]
async fn hints_end_with_the_database() {
    let database = in_memory().await;
    let mut hints = database.hints();
    start(&database, "w", "a").await;
    database.cancel(&["w".into()]).await.unwrap();
    drop(database);
    assert_eq!(soon(hints.next()).await, Some(Hint::Workflow("w".into())));
    assert_eq!(soon(hints.next()).await, None);
}

#[tokio::test]
async fn enqueues_and_messages_of_one_instant_keep_their_order() {
    let now = Arc::new(AtomicI64::new(1_000));
    let source = Arc::clone(&now);
    let database = durable_sqlite::SqliteOptions::in_memory()
        .clock(Arc::new(move || {
            Timestamp::from_millis(source.load(Ordering::SeqCst))
        }))
        .open()
        .await
        .unwrap();
    database.migrate().await.unwrap();
    assert_eq!(database.now().await.unwrap(), Timestamp::from_millis(1_000));
    // Ids and message ids against the order in which they come.
    let ids = ["c", "b", "a"];
    for id in ids {
        database.insert_workflow(&queued(id, "q")).await.unwrap();
    }
    now.store(900, Ordering::SeqCst);
    database.insert_workflow(&queued("0", "q")).await.unwrap();
    let claimed = database
        .claim(&claim("q", &["1", "2", "3", "4", "5"]))
        .await
        .unwrap();
    let order: Vec<_> = claimed
        .iter()
        .map(|claimed| claimed.row.id.as_str())
        .collect();
    assert_eq!(order, ["c", "b", "a", "0"]);
    let created: Vec<_> = claimed
        .iter()
        .map(|claimed| claimed.row.created_at.as_millis())
        .collect();
    assert_eq!(created, [1_000, 1_001, 1_002, 1_003]);

    let owner = durable_core::ids::Owner {
        workflow: "c".into(),
        token: "1".into(),
    };
    for id in ids {
        let message = Message {
            id: id.into(),
            destination: "c".into(),
            topic: "t".into(),
            payload: json(&format!("{id:?}")),
        };
        database.send(&message, None).await.unwrap();
    }
    for (n, id) in (1..).zip(ids) {
        let received = database
            .receive(&owner, "t", &common::stamp(n, "DBOS.recv"), None)
            .await;
        let expected = durable_core::db::Received::Message(json(&format!("{id:?}")));
        assert_eq!(received.unwrap(), expected);
    }
}
