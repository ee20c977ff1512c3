//! Servers and poolers of a test's own, for what may not happen to the server that all tests share: restarts, fail-overs, certificates,
//! pool modes.
//!
//! `cargo xtask test` finds or installs the programs, and names them in the environment. As root they run as another user, as they
//! refuse to run as root.

mod account;
mod directory;
mod matrix;
mod pooler;
mod proxy;
mod server;
mod tls;

pub use matrix::session_mode_matrix;
pub use pooler::{Mode, Pooler, PoolerOptions};
pub use proxy::{Lost, Proxy};
pub use server::{Server, ServerOptions};
pub use tls::tls_matrix;

use std::{
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The environment variable that names the directory of the server's programs.
pub const BINARIES: &str = "DURABLE_TEST_PG_BIN";

/// The environment variable that names the program of the pooler.
pub const POOLER: &str = "DURABLE_TEST_PGBOUNCER";

/// How long anything may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// What this variable names. Panics, and says how to have it, where it is not set.
fn named(variable: &str, what: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.unwrap_or_else(|| {
        panic!("no {what} for tests: run `cargo xtask test`, or set {variable} to it")
    })
}

/// A port that nobody uses now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Waits until `done`; panics with `what` when that takes too long.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
