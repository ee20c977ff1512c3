//! Servers and poolers of a test's own, for what may not happen to the server that all tests share: restarts, fail-overs, certificates,
//! pool modes.
//!
//! `cargo xtask test` finds or installs the programs, and names them in the environment. As root they run as another user, as they
//! refuse to run as root.
//!
//! - `server`, `pooler`, `proxy`: what a test starts; `account`, `directory`: who it runs as, and where
//! - `matrix`, `tls`, `login`: what every driver must see in front of them, as tables that are printed

mod account;
mod directory;
mod login;
mod matrix;
mod pooler;
mod proxy;
mod server;
mod tls;

pub use login::wrong_urls;
pub use matrix::{session_mode_matrix, slow_server};
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

/// Where packages put programs that are not on everybody's PATH.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];

/// What this variable names, or the program of this name. Panics, and says how to have it, where there is neither.
fn named(variable: &str, program: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed: run `cargo xtask test`, which installs it where it may, or set {variable}"))
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
