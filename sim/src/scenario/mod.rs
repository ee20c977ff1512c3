//! What is simulated.

mod poison;
mod program;
mod programs;
mod restarts;
mod steps;

use durable_testkit::sim::{
    Chooser, Plan, Scenario,
    invariant::{self, AttemptsAreCounted, Invariant},
};

/// A scenario of the batch.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// Its share in the seeds of a whole batch, in percent.
    pub(crate) share: u64,
    /// Whether its code is as the invariants of the engine ask for.
    plain: bool,
    draw: fn(&mut Chooser, &Plan) -> Scenario,
    invariants: fn(&Plan) -> Vec<Box<dyn Invariant>>,
}

impl Named {
    /// Draws what is run under a plan.
    pub(crate) fn draw(&self, chooser: &mut Chooser, plan: &Plan) -> Scenario {
        (self.draw)(chooser, plan)
    }

    /// What must hold in it: what always must, and what is the scenario's own.
    pub(crate) fn invariants(&self, plan: &Plan) -> Vec<Box<dyn Invariant>> {
        let mut invariants = invariant::all();
        if self.plain {
            invariants.extend(invariant::of_engine(plan));
        }
        invariants.extend((self.invariants)(plan));
        invariants
    }
}

/// All scenarios.
pub(crate) const ALL: &[Named] = &[
    Named {
        name: "steps",
        share: 50,
        plain: true,
        draw: steps::draw,
        invariants: |_| vec![Box::new(AttemptsAreCounted::default())],
    },
    Named {
        name: "programs",
        share: 30,
        plain: true,
        draw: programs::draw,
        invariants: |_| programs::invariants(),
    },
    Named {
        name: "signals",
        share: 10,
        plain: true,
        draw: programs::draw_signals,
        invariants: |_| programs::invariants(),
    },
    Named {
        name: "poison",
        share: 8,
        plain: true,
        draw: poison::draw,
        invariants: |_| poison::invariants(),
    },
    Named {
        name: "restarts",
        share: 2,
        plain: false,
        draw: restarts::draw,
        invariants: |_| vec![Box::new(AttemptsAreCounted::default())],
    },
];

/// The scenario of this name.
pub(crate) fn by_name(name: &str) -> Option<&'static Named> {
    ALL.iter().find(|named| named.name == name)
}
