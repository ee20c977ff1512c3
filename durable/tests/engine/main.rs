//! What the engine promises, on every backend: each test runs once on the in-memory model, once on SQLite, and with the features
//! of the Postgres backends once on each of those.

// A test program has no outside.
#![allow(unreachable_pub)]

mod cancellation;
mod capture;
mod children;
mod deadlines;
mod ended;
mod errors;
mod faults;
mod mailboxes;
mod methods;
mod misplaced;
mod names;
mod notices;
mod numbering;
mod outages;
mod panics;
mod producers;
mod queues;
mod recovery;
mod restarts;
mod retries;
mod shown;
mod sleeping;
mod starting;
mod support;
mod values;
mod versions;
