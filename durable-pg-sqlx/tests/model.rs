//! Postgres through sqlx answers calls drawn at random as the model does.

use durable_pg_sqlx::SqlxDriver;
use durable_testkit::{
    model_check::{self, Cases, Subject},
    pg::PgFactory,
};

#[test]
fn calls_in_sequence_are_answered_as_by_the_model() {
    let cases = Cases {
        quick: 100,
        full: 1_500,
    };
    model_check::sequences(cases, subject());
}

#[test]
fn calls_at_the_same_time_are_answered_as_in_an_order_of_the_model() {
    let cases = Cases {
        quick: 60,
        full: 600,
    };
    model_check::bursts(cases, async { subject().await.passing_over() });
}

async fn subject() -> Subject {
    let factory = PgFactory::<SqlxDriver>::new("pg-sqlx").with(|options| options.leases(false));
    Subject::of(&factory).await
}
