//! Connections of sqlx whose prepared statements are of no use any more.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::stale::{Change, From, POOL, no_call_fails_for_what_was_prepared_before};

fn pool(url: &str) -> sqlx::PgPool {
    sqlx::postgres::PgPoolOptions::new()
        .max_connections(POOL)
        .connect_lazy(url)
        .expect("a URL")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_has_another_type_now_fails_no_call() {
    no_call_fails_for_what_was_prepared_before::<SqlxDriver>(From::Url, Change::Columns).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_reset_fail_no_call() {
    no_call_fails_for_what_was_prepared_before::<SqlxDriver>(From::Url, Change::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_has_another_type_now_fails_no_call_through_a_pool_of_the_application() {
    let from = From::Pool(&pool);
    no_call_fails_for_what_was_prepared_before::<SqlxDriver>(from, Change::Columns).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_reset_fail_no_call_through_a_pool_of_the_application() {
    let from = From::Pool(&pool);
    no_call_fails_for_what_was_prepared_before::<SqlxDriver>(from, Change::Reset).await;
}
