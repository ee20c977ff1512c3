//! What is simulated.

mod steps;

use durable_testkit::sim::{Scenario, invariant::Invariant};

/// A scenario of the batch.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) scenario: fn() -> Scenario,
    /// What must hold in it, besides what always must.
    pub(crate) invariants: fn() -> Vec<Box<dyn Invariant>>,
}

/// All scenarios.
pub(crate) const ALL: &[Named] = &[Named {
    name: "steps",
    scenario: steps::scenario,
    invariants: Vec::new,
}];
