//! A Postgres server of a test's own.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    path::PathBuf,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use super::{
    PATIENCE, account, directory::Directory, free_port, guard::Guard, programs::program, words,
};

/// How often a start is tried: the free port that was found may be taken before the server has it.
const STARTS: usize = 3;

/// How a server is set up.
#[derive(Clone, Default)]
pub struct ServerOptions {
    settings: Vec<(String, String)>,
    access: Vec<String>,
    files: Vec<(String, String)>,
    password: Option<String>,
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

    /// Asks everybody for a password; without this, everybody on the machine may connect as the superuser `postgres`. This is that user's.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Makes the server and starts it. Panics where that fails.
    pub async fn start(self) -> Server {
        let started = self.try_start().await;
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the server and starts it, within 30 s. Errors: no programs of a server are found, or what they say where they fail.
    pub async fn try_start(self) -> io::Result<Server> {
        let directory = Directory::new("pg")?;
        let mut initdb = account::command(&program("initdb")?, directory.path())?;
        initdb
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync"]);
        match &self.password {
            None => initdb.arg("--auth=trust"),
            Some(password) => {
                let file = directory.write("password", password)?;
                let file = format!("--pwfile={}", file.display());
                initdb.args(["--auth=scram-sha-256".to_owned(), file])
            }
        };
        let made = initdb.output()?;
        if !made.status.success() {
            return Err(io::Error::other(format!("initdb: {}", words(&made.stderr))));
        }
        self.started(directory).await
    }

    /// The server on data that is there.
    async fn started(self, directory: Directory) -> io::Result<Server> {
        for (name, content) in &self.files {
            directory.write(name, content)?;
        }
        let mut settings = "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nmax_connections = 200\n\
             shared_buffers = '16MB'\n"
            .to_owned();
        for (name, value) in &self.settings {
            let _ = writeln!(settings, "{name} = '{value}'");
        }
        let data = directory.path().join("data");
        append(&data, "postgresql.conf", &settings)?;
        let method = self.password.as_ref().map_or("trust", |_| "scram-sha-256");
        let access = self.access.join("\n");
        let all = format!("{access}\nhost all,replication all 127.0.0.1/32 {method}\n");
        fs::write(data.join("pg_hba.conf"), all)?;
        let guard = Guard::of(directory.path())?;
        let mut server = Server {
            port: 0,
            password: self.password,
            process: None,
            frozen: AtomicBool::new(false),
            directory,
            _guard: guard,
        };
        server.find_port().await?;
        Ok(server)
    }
}

fn append(data: &std::path::Path, name: &str, content: &str) -> io::Result<()> {
    let path = data.join(name);
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, before + "\n" + content)
}

/// A server. It is stopped and removed when this is dropped, and when the process ends in whatever way.
pub struct Server {
    port: u16,
    password: Option<String>,
    process: Option<Child>,
    frozen: AtomicBool,
    directory: Directory,
    // The last to go: then there is nothing left for it to do.
    _guard: Guard,
}

/// Shows no password.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("port", &self.port)
            .field("directory", &self.directory.path())
            .field("runs", &self.process.is_some())
            .finish_non_exhaustive()
    }
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
        let password = self.password.as_ref().map(|word| format!(":{word}"));
        format!(
            "postgres://postgres{}@127.0.0.1:{}/postgres",
            password.unwrap_or_default(),
            self.port
        )
    }

    /// A file beside the data.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file beside the data. Panics where that fails.
    pub fn write(&self, name: &str, content: &str) {
        let written = self.directory.write(name, content);
        written.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Starts it, if it is stopped, and waits until it takes connections. Panics where that fails.
    pub async fn start(&mut self) {
        let started = self.try_start().await;
        started.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts it for the first time, on a port that it keeps.
    async fn find_port(&mut self) -> io::Result<()> {
        let mut tries = 0;
        loop {
            self.port = free_port()?;
            let port = format!("port = {}\n", self.port);
            append(&self.file("data"), "postgresql.conf", &port)?;
            tries += 1;
            match self.try_start().await {
                Err(error) if tries < STARTS && error.to_string().contains("in use") => {}
                started => return started,
            }
        }
    }

    async fn try_start(&mut self) -> io::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let log = File::create(self.file("log"))?;
        let child = account::command(&program("postgres")?, self.directory.path())?
            .arg("-D")
            .arg(self.file("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let child = self.process.insert(child);
        let begun = Instant::now();
        let why = loop {
            if let Some(status) = child.try_wait()? {
                self.process = None;
                break status.to_string();
            }
            // Its last line tells.
            let state = fs::read_to_string(self.directory.path().join("data/postmaster.pid"));
            if state.is_ok_and(|text| text.lines().nth(7).is_some_and(|s| s.trim() == "ready")) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                break format!("not ready after {PATIENCE:?}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        let log = fs::read(self.file("log")).unwrap_or_default();
        Err(io::Error::other(format!(
            "the server on port {} does not start: {why}\n{}",
            self.port,
            words(&log)
        )))
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
        self.frozen.store(frozen, Ordering::Relaxed);
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

    /// A standby that follows this server, and takes connections that only read. Panics where it does not start, as where this one asks for a
    /// password.
    pub async fn standby(&self) -> Self {
        let standby = self.try_standby().await;
        standby.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_standby(&self) -> io::Result<Self> {
        let directory = Directory::new("standby")?;
        let backup = account::command(&program("pg_basebackup")?, directory.path())?
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["--write-recovery-conf", "--no-sync", "--checkpoint=fast"])
            .args(["--host=127.0.0.1", "--username=postgres"])
            .args([format!("--port={}", self.port), "--no-password".to_owned()])
            .output()?;
        if !backup.status.success() {
            return Err(io::Error::other(words(&backup.stderr)));
        }
        // It is to take writes by itself once it is promoted.
        let alone = ServerOptions::default().setting("synchronous_standby_names", "");
        alone.started(directory).await
    }

    /// Makes a standby a server that takes writes, and waits until it does. Panics where that fails.
    pub fn promote(&self) {
        let promote = || {
            account::command(&program("pg_ctl")?, self.directory.path())?
                .args(["promote", "--wait", "-D"])
                .arg(self.file("data"))
                .output()
        };
        let promoted = promote().unwrap_or_else(|error| panic!("{error}"));
        assert!(promoted.status.success(), "{}", words(&promoted.stderr));
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
        if self.frozen.load(Ordering::Relaxed) {
            self.freeze(false);
        }
        self.crash();
    }
}
