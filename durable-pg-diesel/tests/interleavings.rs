//! Whatever the order in which the statements of two operations come, what comes of it is what the model gives.

use durable_pg_diesel::DieselDriver;
use durable_testkit::pg::interleave;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_of_statements_agree_with_an_order_of_the_model() {
    interleave::run_few::<DieselDriver>().await;
}
