//! Postgres through sqlx answers calls drawn at random as the model does.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::{
    model_check::{self, Cases, Subject},
    pg::PgFactory,
};

#[test]
fn calls_in_sequence_are_answered_as_by_the_model() {
    let cases = Cases {
        quick: 150,
        full: 1_500,
    };
    let factory = PgFactory::<SqlxDriver>::new("pg-sqlx").with(|options| options.leases(false));
    model_check::sequences(cases, Subject::of(&factory));
}
