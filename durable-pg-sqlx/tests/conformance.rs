//! Postgres through sqlx keeps every promise of a backend.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::{
    conformance,
    pg::{PgFactory, values},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pg_sqlx_keeps_every_promise_of_a_backend() {
    let report = conformance::run(&PgFactory::<SqlxDriver>::new("pg-sqlx")).await;
    assert_eq!(report.passed, conformance::cases().len());
}

#[tokio::test]
async fn a_row_that_no_index_takes_keeps_no_other_from_being_claimed() {
    values::a_row_that_no_index_takes_keeps_no_other_from_being_claimed::<SqlxDriver>().await;
}

#[tokio::test]
async fn a_name_that_is_too_long_for_an_index_is_refused_for_its_call_only() {
    values::a_name_that_is_too_long_for_an_index_is_refused_for_its_call_only::<SqlxDriver>().await;
}
