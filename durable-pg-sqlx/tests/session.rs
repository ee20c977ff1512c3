//! The session that shows that an executor lives.

use std::time::{Duration, Instant};

use durable_core::{
    db::{Executors as _, Serves, WantedExecutor},
    ids::ExecutorId,
};
use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::{Bare, TestDb};

const KEY: &str = "hashtextextended('durable executor dbos till', 0)";

/// Asks until the answer is this number.
async fn until(bare: &mut Bare<SqlxDriver>, statement: &str, number: i64) {
    let begun = Instant::now();
    while bare.number(statement).await != number {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "never {number}: {statement}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_another_session_kept_is_taken_again_once_it_is_free() {
    let database = TestDb::<SqlxDriver>::migrated().await;
    let system = database.options().connect().await.unwrap();
    let wanted = WantedExecutor {
        id: ExecutorId::from("till"),
        given: true,
        application: "shop".into(),
        serves: Serves::default(),
    };
    system.join(&wanted).await.unwrap();
    let mut bare = database.bare().await;
    // Its session ends, and ours has the lock before it comes back, as the server may keep the lock of a session whose network is gone.
    bare.query(
        "SELECT pg_terminate_backend(l.pid)::text FROM pg_locks AS l
         WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        &[],
    )
    .await;
    let take = format!("SELECT pg_try_advisory_lock({KEY})::int");
    until(&mut bare, &take, 1).await;
    let tried = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'";
    until(&mut bare, tried, 1).await;
    bare.batch(&format!("SELECT pg_advisory_unlock({KEY})"))
        .await;
    let held = "SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    until(&mut bare, held, 1).await;
    system.leave(&wanted.id).await.unwrap();
    until(&mut bare, held, 0).await;
}
