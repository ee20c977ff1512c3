//! Postgres through Diesel answers calls drawn at random as the model does.

use durable_pg_diesel::DieselDriver;
use durable_testkit::model_check::postgres;

#[test]
fn calls_in_sequence_are_answered_as_by_the_model() {
    postgres::in_sequence::<DieselDriver>("pg-diesel");
}

#[test]
fn calls_at_the_same_time_are_answered_as_in_an_order_of_the_model() {
    postgres::at_the_same_time::<DieselDriver>("pg-diesel");
}
