//! Real processes, killed with SIGKILL or paused with SIGSTOP: the examples, as a user runs them.

// A test program has no outside.
#![allow(unreachable_pub)]

#[cfg(all(unix, feature = "pg-sqlx"))]
mod pause;
#[cfg(all(unix, feature = "pooler"))]
mod pooler;
mod process;
mod queue;
mod quickstart;
#[path = "../../../durable/tests/outage/random.rs"]
mod random;
mod saga;
mod transfer;
