//! Servers and poolers of a test's own, for what may not happen to the server that all tests share: restarts, fail-overs, certificates,
//! pool modes.
//!
//! The programs are those that [`BINARIES`] names, those on PATH, or those of a package. As root they run as another user, as they
//! refuse to run as root.
//!
//! - `server`, `pooler`: what a test starts; `programs`, `account`, `directory`: what it runs, as whom, and where; `guard`: its end
//! - `matrix`, `tls`, `login`: what every driver must see in front of them, as tables that are printed; with `pooler` they are there with
//!   the feature `pg-local`

mod account;
mod directory;
mod guard;
#[cfg(feature = "pg-local")]
mod login;
#[cfg(feature = "pg-local")]
mod matrix;
#[cfg(feature = "pg-local")]
mod pooler;
mod programs;
mod server;
#[cfg(feature = "pg-local")]
mod tls;

#[cfg(feature = "pg-local")]
pub use login::wrong_urls;
#[cfg(feature = "pg-local")]
pub use matrix::{hung_up_once, session_mode_matrix, slow_server};
#[cfg(feature = "pg-local")]
pub use pooler::{Mode, Pooler, PoolerOptions};
pub(super) use programs::find;
pub use server::{Server, ServerOptions};
#[cfg(feature = "pg-local")]
pub use tls::tls_matrix;

use std::{io, net::TcpListener, time::Duration};

/// The environment variable that names the directory of the server's programs.
pub const BINARIES: &str = "DURABLE_TEST_PG_BIN";

/// How long anything may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many lines of what a program says are shown, at most: its last.
const LINES: usize = 15;

/// A port that nobody uses now.
fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

/// The last words of a program.
fn words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
