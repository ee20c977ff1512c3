//! What every backend must do: one named case per promise of `SystemDb`, each on a database of its own.
//!
//! A backend implements [`Factory`] and [`TestDatabase`] and calls [`run`] in a test. `DURABLE_CASE=text` runs only the
//! cases whose name contains the text. A case fails by a panic; the others go on. One file per concern; a new promise is
//! a new function there, named by a sentence and listed in the file's `cases!`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::{db::SystemDb, ids::WorkflowId, payload::Encoded, runtime::BoxFuture};

use crate::raw::RawWorkflow;

mod context;
mod make;
mod report;

pub use context::Context;
pub use report::{Failure, Report, check, run};

/// Makes databases of one backend.
#[async_trait]
pub trait Factory: Send + Sync {
    /// The backend's name, for the report.
    fn name(&self) -> String;

    /// A fresh, migrated database that nobody else uses; it is removed when the answer is dropped.
    async fn database(&self) -> Box<dyn TestDatabase>;
}

/// A database of one case, with what a test must be able to do to it and `SystemDb` cannot.
#[async_trait]
pub trait TestDatabase: Send + Sync {
    /// Opens it as one more process would. That process dies when the last clone of the answer is dropped.
    async fn connect(&self) -> Arc<dyn SystemDb>;

    /// Moves its clock forward by at least so much, or waits until so much time has passed.
    async fn advance(&self, by: Duration);

    /// Puts a workflow in as it stands, past all checks.
    async fn put_workflow(&self, raw: &RawWorkflow);

    /// Deletes a workflow's row, with what hangs on it by a foreign key, but neither its payloads nor its steps.
    async fn delete_row(&self, workflow: &WorkflowId);

    /// What was ever published under a key, with the numbers of the steps that did, in their order.
    async fn event_history(&self, workflow: &WorkflowId, key: &str) -> Vec<(i32, Encoded)>;

    /// Whether the cases about hints apply: they may be lost, so a backend without any is correct too.
    fn gives_hints(&self) -> bool {
        true
    }

    /// How long a case waits for what need not happen at once: a hint, or the end of a dropped process.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// One promise that a backend must keep.
#[derive(Clone, Copy)]
pub struct Case {
    /// The promise, as a sentence in snake case.
    pub name: &'static str,
    /// The concern that it belongs to.
    pub concern: &'static str,
    /// Checks it on a fresh database; a broken promise panics.
    pub run: fn(Context) -> BoxFuture<'static, ()>,
}

/// Lists the cases of a file, so that a forgotten one is reported as dead code.
macro_rules! cases {
    ($concern:literal: $($name:ident),* $(,)?) => {
        pub(super) const CASES: &[$crate::conformance::Case] = &[$($crate::conformance::Case {
            name: stringify!($name),
            concern: $concern,
            run: |context| Box::pin($name(context)),
        }),*];
    };
}

mod abandoned;
mod adoption;
mod attempts;
mod children;
mod claim_order;
mod claim_rights;
mod claims;
mod deadlines;
mod ending;
mod events;
mod executors;
mod fencing;
mod hints;
mod legacy;
mod listing;
mod messages;
mod races;
mod receiving;
mod resuming;
mod starting;
mod steps;
mod texts;
mod versions;
mod waits;

/// All cases, concern by concern.
pub fn cases() -> Vec<Case> {
    [
        starting::CASES,
        ending::CASES,
        resuming::CASES,
        fencing::CASES,
        children::CASES,
        steps::CASES,
        texts::CASES,
        claims::CASES,
        claim_order::CASES,
        claim_rights::CASES,
        versions::CASES,
        messages::CASES,
        receiving::CASES,
        events::CASES,
        waits::CASES,
        legacy::CASES,
        listing::CASES,
        executors::CASES,
        abandoned::CASES,
        adoption::CASES,
        attempts::CASES,
        deadlines::CASES,
        hints::CASES,
        races::CASES,
    ]
    .concat()
}
