//! What both Postgres drivers are compared with the model by.

use durable_pg::Driver;

use super::{Cases, Subject, bursts, sequences};
use crate::pg::PgFactory;

/// Calls in sequence.
pub fn in_sequence<D: Driver>(name: &'static str) {
    let cases = Cases {
        quick: 100,
        full: 1_500,
    };
    sequences(cases, subject::<D>(name));
}

/// Calls at the same time.
pub fn at_the_same_time<D: Driver>(name: &'static str) {
    let cases = Cases {
        quick: 60,
        full: 600,
    };
    bursts(cases, async { subject::<D>(name).await.passing_over() });
}

async fn subject<D: Driver>(name: &'static str) -> Subject {
    let factory = PgFactory::<D>::new(name).with(|options| options.leases(false));
    Subject::of(&factory).await
}
