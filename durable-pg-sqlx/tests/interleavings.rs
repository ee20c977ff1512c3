//! Whatever the order in which the statements of two operations come, what comes of it is what the model gives.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::interleave;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_order_of_statements_agrees_with_an_order_of_the_model() {
    interleave::run::<SqlxDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_statement_that_is_broken_on_purpose_is_found() {
    interleave::finds_what_is_broken::<SqlxDriver>().await;
}
