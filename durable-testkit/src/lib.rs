//! For tests of `durable` and of programs that use it, and for those who write a backend.
//!
//! - [`Memory`]: a database in memory, made of the life-cycle machine of `durable_core::state`. It says what a backend means.
//! - [`ManualClock`]: a database clock that only tests move.
//! - [`conformance`]: what every backend must do, one named case per promise.
//! - [`dbos`]: the real package for Python, to compare with.
//! - [`effort`]: how much a long test does, and what it leaves out.
//! - [`faults`]: a layer over any backend that loses calls and answers.
//! - `model_check`, with the feature of that name: backends against the model, by calls drawn at random
//! - `pg`, with the feature of that name: a Postgres server for tests, a database for each, and a proxy that makes trouble
//! - [`replay`]: histories of production against the code of today
//! - [`sim`]: the engine and users' workflows in a simulated world
//! - [`testing`]: what `#[durable::test]` runs on
//! - [`raw`]: rows as other SDKs, older versions or broken tools leave them.
//! - [`testing`]: what `#[durable::test]` runs on: tests of workflows in virtual time.

#[cfg(any(feature = "pg", feature = "model-check"))]
#[cfg_attr(
    not(all(feature = "pg", feature = "model-check")),
    allow(dead_code, reason = "each needs a part")
)]
mod calls;
pub mod clock;
pub mod conformance;
pub mod dbos;
pub mod effort;
pub mod faults;
pub mod memory;
#[cfg(feature = "model-check")]
pub mod model_check;
#[cfg(feature = "pg")]
pub mod pg;
pub mod raw;
pub mod replay;
pub mod sim;
pub mod testing;

pub use clock::ManualClock;
pub use dbos::Dbos;
pub use memory::Memory;
pub use testing::TestApp;
