//! Connections of diesel-async whose prepared statements are of no use any more.

use diesel_async::{AsyncPgConnection, pooled_connection::AsyncDieselConnectionManager};
use durable_pg_diesel::DieselDriver;
use durable_testkit::pg::stale::{Change, From, POOL, no_call_fails_for_what_was_prepared_before};

fn pool(url: &str) -> durable_pg_diesel::Pool {
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    durable_pg_diesel::Pool::builder()
        .max_size(POOL)
        .build_unchecked(manager)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_has_another_type_now_fails_no_call() {
    no_call_fails_for_what_was_prepared_before::<DieselDriver>(From::Url, Change::Columns).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_reset_fail_no_call() {
    no_call_fails_for_what_was_prepared_before::<DieselDriver>(From::Url, Change::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_has_another_type_now_fails_no_call_through_a_pool_of_the_application() {
    let from = From::Pool(&pool);
    no_call_fails_for_what_was_prepared_before::<DieselDriver>(from, Change::Columns).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_reset_fail_no_call_through_a_pool_of_the_application() {
    let from = From::Pool(&pool);
    no_call_fails_for_what_was_prepared_before::<DieselDriver>(from, Change::Reset).await;
}
