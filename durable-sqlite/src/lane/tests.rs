//! The lane by itself, on a database in memory with a table of its own.

use std::sync::atomic::AtomicUsize;

use futures_util::future::join_all;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tokio::sync::Notify;

use super::*;
use durable_core::db::HintHub;

use crate::watch::{Seen, Watch};

async fn lane() -> Lane {
    let mut conn = SqliteConnectOptions::new()
        .filename(":memory:")
        .connect()
        .await
        .unwrap();
    sqlx::query("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
        .execute(&mut conn)
        .await
        .unwrap();
    let seen = Seen::on(&mut conn, 0).await.unwrap();
    let subscribers = HintHub::new();
    let clock = Arc::new(|| durable_core::time::Timestamp::from_millis(7));
    let session = Session::new(conn, None, clock, subscribers.clone(), Arc::default());
    Lane::start(
        session,
        Watch::new(subscribers, Arc::new(Notify::new()), false, seen),
    )
}

async fn put(lane: &Lane, n: i64) -> Result<i64> {
    lane.run("put a number", n, |session, n| {
        Box::pin(async move {
            sqlx::query("INSERT INTO numbers VALUES (?1)")
                .bind(n)
                .execute(&mut session.conn)
                .await?;
            Ok(*n)
        })
    })
    .await
}

async fn sum(lane: &Lane) -> i64 {
    lane.run("sum", (), |session, ()| {
        Box::pin(async move {
            let sum = sqlx::query_scalar("SELECT COALESCE(SUM(n), 0) FROM numbers");
            Ok(sum.fetch_one(&mut session.conn).await?)
        })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn operations_that_wait_together_are_committed_together() {
    let lane = lane().await;
    let answers = join_all((0..1000).map(|n| put(&lane, n))).await;
    assert!(
        answers
            .iter()
            .zip(0..)
            .all(|(answer, n)| *answer.as_ref().unwrap() == n)
    );
    // Four full batches; the first may have left early with one operation.
    assert!(
        (4..=6).contains(&lane.commits()),
        "{} commits",
        lane.commits()
    );
    assert_eq!(sum(&lane).await, 999 * 1000 / 2);
}

#[tokio::test]
async fn an_operation_that_fails_does_not_fail_its_neighbours() {
    let lane = lane().await;
    put(&lane, 3).await.unwrap();
    let before = lane.commits();
    let answers = join_all((0..10).map(|n| put(&lane, n))).await;
    for (n, answer) in (0..).zip(answers) {
        assert_eq!(answer.is_ok(), n != 3, "{n}: {answer:?}");
    }
    assert_eq!(lane.commits() - before, 9, "each of the others went alone");
    assert_eq!(sum(&lane).await, 45);
}

#[tokio::test]
async fn what_a_failed_operation_wrote_is_taken_back() {
    let lane = lane().await;
    let failing = lane.run("put a number and fail", (), |session, ()| {
        Box::pin(async move {
            sqlx::query("INSERT INTO numbers VALUES (100)")
                .execute(&mut session.conn)
                .await?;
            Err::<(), _>(Failure::broken("on purpose"))
        })
    });
    let (failed, put) = tokio::join!(failing, put(&lane, 1));
    let message = failed.unwrap_err().to_string();
    assert!(
        message.contains("put a number and fail") && message.contains("on purpose"),
        "{message}"
    );
    put.unwrap();
    assert_eq!(sum(&lane).await, 1);
}

#[tokio::test]
async fn an_operation_happens_though_its_caller_has_gone() {
    let lane = lane().await;
    {
        let put = put(&lane, 5);
        tokio::pin!(put);
        assert!(futures_util::poll!(&mut put).is_pending());
    }
    assert_eq!(sum(&lane).await, 5);
}

#[tokio::test]
async fn an_operation_is_run_again_as_if_for_the_first_time() {
    let lane = lane().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = lane.run("count", Arc::clone(&runs), |session, runs| {
        Box::pin(async move {
            runs.fetch_add(1, Ordering::Relaxed);
            sqlx::query("INSERT INTO numbers VALUES (8)")
                .execute(&mut session.conn)
                .await?;
            Ok(())
        })
    });
    let failing = lane.run("fail", (), |_, ()| {
        Box::pin(async { Err::<(), _>(Failure::broken("on purpose")) })
    });
    let (counted, failed) = tokio::join!(counted, failing);
    counted.unwrap();
    failed.unwrap_err();
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(sum(&lane).await, 8);
}

#[test]
fn a_lane_whose_runtime_has_ended_refuses_what_is_asked() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let lane = first.block_on(lane());
    drop(first);
    let answer = runtime().block_on(put(&lane, 1));
    // Asking again would not help, ever.
    assert!(!answer.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_file_that_can_only_be_read_is_told_as_that_and_not_as_away() {
    let path = std::env::temp_dir().join(format!("durable-lane-{}.db", std::process::id()));
    let options = SqliteConnectOptions::new().filename(&path);
    let made = options.clone().create_if_missing(true).connect().await;
    sqlx::query("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
        .execute(&mut made.unwrap())
        .await
        .unwrap();
    // What SQLite falls back to by itself where the system does not let it write.
    let options = options.read_only(true);
    let mut conn = options.connect().await.unwrap();
    let seen = Seen::on(&mut conn, 0).await.unwrap();
    let subscribers = HintHub::new();
    let clock = Arc::new(|| durable_core::time::Timestamp::from_millis(7));
    let again = Some(options);
    let session = Session::new(conn, again, clock, subscribers.clone(), Arc::default());
    let watch = Watch::new(subscribers, Arc::new(Notify::new()), false, seen);
    let lane = Lane::start(session, watch);
    for _ in 0..2 {
        let error = put(&lane, 1).await.unwrap_err();
        let why = error.to_string();
        assert!(!error.is_retryable(), "{why}");
        for part in [
            "cannot put a number",
            "can only be read",
            "let this user write",
        ] {
            assert!(why.contains(part), "{part:?} in {why}");
        }
    }
    std::fs::remove_file(path).unwrap();
}
