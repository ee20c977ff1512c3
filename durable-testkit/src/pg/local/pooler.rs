//! A PgBouncer of a test's own.

use std::{
    fmt,
    fs::{self, File},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Stdio},
    time::Instant,
};

use super::{PATIENCE, account, directory::Directory, free_port};

/// The environment variable that names the program of the pooler.
const POOLER: &str = "DURABLE_TEST_PGBOUNCER";

/// Where packages put programs that are not on everybody's PATH.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];

/// What the variable names, or where the program is. Panics, and says how to have it, where it is nowhere.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os(POOLER) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("pgbouncer is not installed: run `cargo xtask test`, which installs it where it may, or set {POOLER}"))
}

/// Waits until `done`; panics with `what` when that takes too long.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// When a pooler takes a server's session from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// When the client goes.
    Session,
    /// After each transaction.
    Transaction,
    /// After each statement.
    Statement,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        })
    }
}

/// How a pooler is set up.
#[derive(Clone, Copy, Debug)]
pub struct PoolerOptions {
    /// `pool_mode`.
    pub mode: Mode,
    /// `default_pool_size`.
    pub size: u32,
    /// `server_round_robin`.
    pub round_robin: bool,
}

impl PoolerOptions {
    /// Starts one in front of the server of this URL. Panics where that fails.
    pub async fn start(self, url: &str) -> Pooler {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let place = rest.split(['/', '?']).next().unwrap_or(rest);
        let (login, server) = place.rsplit_once('@').unwrap_or(("", place));
        let (_, password) = login.split_once(':').unwrap_or_default();
        let (host, server_port) = server.split_once(':').unwrap_or((server, "5432"));
        let directory = Directory::new("bouncer").expect("a directory");
        let users = directory
            .write("users.txt", &format!("\"postgres\" \"{password}\"\n"))
            .expect("it can be written to");
        let port = free_port().expect("a free port");
        let settings = format!(
            "[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {}
pool_mode = {}
default_pool_size = {}
server_round_robin = {}
max_client_conn = 200
",
            users.display(),
            self.mode,
            self.size,
            u8::from(self.round_robin),
        );
        let settings = directory
            .write("pgbouncer.ini", &settings)
            .expect("it can be written to");
        let log = File::create(directory.path().join("log")).expect("a file for the log");
        let both = log.try_clone().expect("the file is open");
        let process = account::command(&program(), directory.path())
            .expect("the directory is there")
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn()
            .expect("pgbouncer can be called");
        let mut pooler = Pooler {
            directory,
            port,
            process,
        };
        until("pgbouncer does not start", || {
            if let Ok(Some(status)) = pooler.process.try_wait() {
                let log = fs::read_to_string(pooler.directory.path().join("log"));
                panic!(
                    "pgbouncer does not start: {status}\n{}",
                    log.unwrap_or_default()
                );
            }
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        pooler
    }
}

/// A pooler. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Pooler {
    directory: Directory,
    port: u16,
    process: Child,
}

impl Pooler {
    /// This database, through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It has ended, or ends now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
