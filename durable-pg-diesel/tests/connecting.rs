//! What a server and a pooler are found to be when a database is opened.

use durable_pg_diesel::DieselDriver;
use durable_testkit::pg::{local, refusals};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mode_of_a_pooler_is_seen_in_every_case() {
    local::session_mode_matrix::<DieselDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_slow_to_take_connections_is_not_taken_for_a_pooler() {
    local::slow_server::<DieselDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_whose_connection_is_closed_under_it_is_made_again() {
    local::hung_up_once::<DieselDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_as_encrypted_as_the_url_says() {
    local::tls_matrix::<DieselDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_is_told_with_what_helps() {
    refusals::each_reason_comes_with_its_advice::<DieselDriver>().await;
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    refusals::a_database_that_cannot_hold_every_text_is_refused::<DieselDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_leads_nowhere_is_told_with_what_is_wrong_and_no_password() {
    local::wrong_urls::<DieselDriver>().await;
}
