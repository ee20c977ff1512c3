//! Real processes, killed with SIGKILL: the examples, as a user runs them.

// A test program has no outside.
#![allow(unreachable_pub)]

mod process;
mod queue;
mod quickstart;
mod transfer;
