//! Postgres through sqlx keeps every promise of a backend.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::{conformance, pg::PgFactory};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pg_sqlx_keeps_every_promise_of_a_backend() {
    let report = conformance::run(&PgFactory::<SqlxDriver>::new("pg-sqlx")).await;
    assert_eq!(report.passed, conformance::cases().len());
}
