//! Postgres through diesel-async keeps every promise of a backend.

use durable_pg_diesel::DieselDriver;
use durable_testkit::{conformance, pg::PgFactory};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pg_diesel_keeps_every_promise_of_a_backend() {
    let report = conformance::run(&PgFactory::<DieselDriver>::new("pg-diesel")).await;
    assert_eq!(report.passed, conformance::cases().len());
}
