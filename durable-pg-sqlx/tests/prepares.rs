//! How often sqlx has statements prepared.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::prepares;

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_is_prepared_twice_on_a_connection() {
    prepares::no_statement_is_prepared_twice::<SqlxDriver>(|options| options).await;
}
