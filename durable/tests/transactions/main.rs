//! What transactional steps promise, on SQLite and on Postgres through both drivers, in both layouts.

// A test program has no outside.
#![allow(unreachable_pub)]

mod bank;
mod contention;
mod exactly_once;
mod held;
mod in_tests;
mod lost_answers;
mod outbox;
mod outcomes;
mod place;
mod shapes;
mod stale;
#[allow(dead_code, unused)]
#[path = "../engine/support.rs"]
mod support;
mod witnesses;
