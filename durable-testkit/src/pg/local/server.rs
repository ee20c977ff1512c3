//! A Postgres server of a test's own.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Stdio},
};

use super::{BINARIES, account, directory::Directory, free_port, until};

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    settings: Vec<(String, String)>,
    access: Vec<String>,
    files: Vec<(String, String)>,
}

impl ServerOptions {
    /// A setting of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of `pg_hba.conf`, before those that let everybody in from this machine.
    #[must_use]
    pub fn access(mut self, line: &str) -> Self {
        self.access.push(line.to_owned());
        self
    }

    /// A file beside the data, for settings that name one.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// Makes the server and starts it. Panics where that fails.
    pub async fn start(self) -> Server {
        let directory = Directory::new("pg");
        let data = directory.path().join("data");
        let initdb = account::command(&program("initdb"), directory.path())
            .arg("-D")
            .arg(&data)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync"])
            .output()
            .expect("initdb can be called");
        assert!(
            initdb.status.success(),
            "{}",
            String::from_utf8_lossy(&initdb.stderr)
        );
        self.started(directory).await
    }

    /// The server on data that is there.
    async fn started(self, directory: Directory) -> Server {
        for (name, content) in &self.files {
            directory.write(name, content);
        }
        let port = free_port();
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\nmax_connections = 200\n\
             shared_buffers = '16MB'\n"
        );
        for (name, value) in &self.settings {
            let _ = writeln!(settings, "{name} = '{value}'");
        }
        let data = directory.path().join("data");
        append(&data, "postgresql.conf", &settings);
        let access: String = self.access.iter().map(|line| format!("{line}\n")).collect();
        let access = format!("{access}host all,replication all 127.0.0.1/32 trust\n");
        fs::write(data.join("pg_hba.conf"), access).expect("the data can be written to");
        let mut server = Server {
            directory,
            port,
            process: None,
        };
        server.start().await;
        server
    }
}

fn append(data: &std::path::Path, name: &str, content: &str) {
    let path = data.join(name);
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, before + "\n" + content).expect("the data can be written to");
}

fn program(name: &str) -> PathBuf {
    match std::env::var_os(BINARIES) {
        Some(directory) => PathBuf::from(directory).join(name),
        None => panic!(
            "no Postgres programs for tests: run `cargo xtask test`, or set {BINARIES} to the directory of initdb and postgres"
        ),
    }
}

/// A server. It is stopped and removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    directory: Directory,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// How to set one up.
    pub fn options() -> ServerOptions {
        ServerOptions::default()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its database `postgres`, as its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// A file beside the data.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file beside the data.
    pub fn write(&self, name: &str, content: &str) {
        self.directory.write(name, content);
    }

    /// Starts it, if it is stopped, and waits until it takes connections.
    pub async fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let log = File::create(self.directory.path().join("log")).expect("a file for the log");
        let both = log.try_clone().expect("the file is open");
        let child = account::command(&program("postgres"), self.directory.path())
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn()
            .expect("the server can be called");
        self.process = Some(child);
        let pid_file = self.directory.path().join("data/postmaster.pid");
        let what = format!("the server on port {} does not start", self.port);
        let process = &mut self.process;
        let ended = |process: &mut Option<Child>| {
            let child = process.as_mut()?;
            child.try_wait().ok().flatten()
        };
        let log = self.directory.path().join("log");
        until(&what, || {
            if let Some(status) = ended(process) {
                panic!(
                    "{what}: {status}\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            // Its last line tells.
            fs::read_to_string(&pid_file).is_ok_and(|text| {
                text.lines()
                    .nth(7)
                    .is_some_and(|state| state.trim() == "ready")
            })
        })
        .await;
    }

    /// Stops it at once, as a crash does: what was not committed is lost, and it recovers at its next start.
    pub fn crash(&mut self) {
        self.signal("QUIT");
        if let Some(mut child) = self.process.take() {
            let _ = child.wait();
        }
    }

    /// Stops it at once and starts it again: `pg_ctl restart -m immediate`.
    pub async fn restart(&mut self) {
        self.crash();
        self.start().await;
    }

    /// Has it read its settings and certificates again.
    pub fn reload(&self) {
        self.signal("HUP");
    }

    /// Stops all of its processes where they stand, connections included, or lets them go on: a machine that hangs.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "STOP" } else { "CONT" };
        let Some(child) = &self.process else { return };
        let pid = child.id().to_string();
        let children = std::process::Command::new("pgrep")
            .args(["-P", &pid])
            .output();
        let children = children.expect("pgrep can be called");
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        for pid in children.split_whitespace().chain([&*pid]) {
            kill(signal, pid);
        }
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.process {
            kill(signal, &child.id().to_string());
        }
    }

    /// A standby that follows this server, and takes connections that only read.
    pub async fn standby(&self) -> Self {
        let directory = Directory::new("standby");
        let backup = account::command(&program("pg_basebackup"), directory.path())
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["--write-recovery-conf", "--no-sync", "--checkpoint=fast"])
            .args(["--host=127.0.0.1", "--username=postgres"])
            .arg(format!("--port={}", self.port))
            .output()
            .expect("pg_basebackup can be called");
        assert!(
            backup.status.success(),
            "{}",
            String::from_utf8_lossy(&backup.stderr)
        );
        // It is to take writes by itself once it is promoted.
        let alone = ServerOptions::default().setting("synchronous_standby_names", "");
        alone.started(directory).await
    }

    /// Makes a standby a server that takes writes, and waits until it does.
    pub async fn promote(&self) {
        let promoted = account::command(&program("pg_ctl"), self.directory.path())
            .args(["promote", "--wait", "-D"])
            .arg(self.directory.path().join("data"))
            .output()
            .expect("pg_ctl can be called");
        assert!(
            promoted.status.success(),
            "{}",
            String::from_utf8_lossy(&promoted.stderr)
        );
    }
}

fn kill(signal: &str, pid: &str) {
    // One that has ended meanwhile is as wanted.
    let _ = std::process::Command::new("kill")
        .args([&format!("-{signal}"), pid])
        .stderr(Stdio::null())
        .status();
}

impl Drop for Server {
    fn drop(&mut self) {
        self.freeze(false);
        self.crash();
    }
}
