//! Leases, through sqlx.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::pg::leases;

/// Runs each of them as a test.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                leases::$name::<SqlxDriver>().await;
            }
        )*
    };
}

tests! {
    a_process_that_stands_still_loses_its_work_when_its_lease_ends,
    only_a_lease_that_was_declared_and_has_ended_counts,
    after_an_outage_nobody_is_judged_before_all_could_be_heard,
    locks_that_a_restart_has_freed_say_nothing,
    an_executor_that_left_has_no_lease,
    a_claim_does_not_keep_a_heartbeat_waiting,
}
