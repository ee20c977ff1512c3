//! A PgBouncer of a test's own.

use std::{
    fmt,
    fs::{self, File},
    net::TcpStream,
    process::{Child, Stdio},
};

use super::{POOLER, account, directory::Directory, free_port, named, until};

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
        let server = place.rsplit('@').next().unwrap_or(place);
        let (host, server_port) = server.split_once(':').unwrap_or((server, "5432"));
        let directory = Directory::new("bouncer");
        let users = directory.write("users.txt", "\"postgres\" \"\"\n");
        let port = free_port();
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
        let settings = directory.write("pgbouncer.ini", &settings);
        let log = File::create(directory.path().join("log")).expect("a file for the log");
        let both = log.try_clone().expect("the file is open");
        let process = account::command(&named(POOLER, "pgbouncer"), directory.path())
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
