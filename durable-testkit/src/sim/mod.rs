//! Deterministic simulation: the engine, any number of executors and the database under one seed.
//!
//! A [`Scenario`] is run in a simulated world with a clock of its own. Everything that could go one way or another (which task goes on,
//! who crashes when, which answer is lost) is decided by a [`Chooser`], so a run can be repeated byte for byte, and shrunk to the few
//! decisions that matter. After the faults of a [`Plan`] everything must end, and the [invariants](invariant) must have held throughout.

mod blows;
mod check;
pub mod choice;
mod deadlock;
pub mod fact;
mod hash;
pub mod here;
pub mod invariant;
mod network;
pub mod plan;
mod record;
mod run;
mod runtime;
mod seat;
mod service;
pub mod shrink;
mod tables;
mod tasks;
mod timeline;
mod timers;
mod world;

/// A character that no text of the simulated database can have, as if its encoding lacked it.
pub const LACKED: char = '\u{FFFF}';

pub use check::{Check, Checked, Ended, Failure, check};
pub use choice::Chooser;
pub use plan::Plan;
pub use run::{Outcome, Scenario, Strays};
pub(crate) use seat::Waiting;
pub use seat::{Asking, Seat};
pub use service::{Call, Service};
pub use tables::Rows;
