//! The plans of the statements, in sessions as diesel-async makes them.

use durable_pg_diesel::DieselDriver;
use durable_testkit::pg::plans;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_made_for_empty_tables_is_good_for_large_ones() {
    plans::every_statement_keeps_to_its_indexes::<DieselDriver>().await;
}
