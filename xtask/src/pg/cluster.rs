//! One private cluster: its directory, and the server that runs on it.
//!
//! What the server's user may write stands in directories of its own (`data`, `socket`, `log`). All else belongs to the
//! caller, who may be root and would otherwise write to wherever a link leads that the other user put there.

use std::{
    fmt, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use super::{
    account::Account,
    files::{self, cannot},
    installed::{self, Binaries},
    postmaster::{self, State},
    release::Major,
    settings,
};
use crate::{failure::Failure, process, screen};

/// How often a start is tried: the free port that was found may be taken before the server has it.
const STARTS: usize = 3;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time between two looks at a server that is busy.
const LOOK: Duration = Duration::from_millis(50);

/// How many lines of the server's log are shown when it does not start.
const LOG_LINES: usize = 15;

/// The file that says where the server's programs are.
const BINARIES: &str = "binaries";

/// The file that says that the cluster is there for tests only.
const PASSING: &str = "passing";

/// Which server a cluster is of. Shown, it is the name of the cluster's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// The one that is installed, of this major version: `15`.
    Installed(u32),
    /// The one that is downloaded, of this major version: `15-npm`.
    Downloaded(Major),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed(major) => write!(f, "{major}"),
            Self::Downloaded(major) => write!(f, "{major}-npm"),
        }
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_suffix("-npm") {
            Some(major) => major.parse().map(Self::Downloaded).map_err(|_| ()),
            None => text.parse().map(Self::Installed).map_err(|_| ()),
        }
    }
}

/// How long a server is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Until it is taken down.
    Stays,
    /// Until the last run of the tests that uses it has ended.
    OfTests,
}

/// What is left of a cluster when the tests have ended for which its server was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// Nothing: it was made for them.
    Made,
    /// The cluster, stopped as it was.
    Started,
}

impl Passing {
    /// How it is written down.
    fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Started => "started",
        }
    }

    /// Writes it down for the cluster in this directory.
    fn note(self, directory: &Path) -> Result<(), Failure> {
        files::write(&directory.join(PASSING), self.word())
    }
}

/// One private cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    directory: PathBuf,
    name: Name,
}

impl Cluster {
    /// The cluster in this directory, made or not.
    pub(super) fn new(directory: PathBuf, name: Name) -> Self {
        Self { directory, name }
    }

    /// Which server it is of.
    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// What its server is doing.
    pub(super) fn state(&self) -> State {
        postmaster::state(&self.data())
    }

    /// Makes the cluster if need be, starts its server if need be, and gives the server's port.
    pub(super) fn up(
        &self,
        binaries: &Binaries,
        account: &Account,
        lifetime: Lifetime,
    ) -> Result<u16, Failure> {
        if self.directory.exists() && !self.is_whole() {
            screen::line(format_args!(
                "Postgres {}: its data is damaged and made again.",
                self.name
            ));
            self.remove()?;
        }
        if !self.directory.exists() {
            account.announce();
            self.make(binaries, account, lifetime)?;
        }
        if lifetime == Lifetime::Stays {
            files::remove_file(&self.directory.join(PASSING))?;
        }
        if let State::Running { port } = self.settled()? {
            return Ok(port);
        }
        if lifetime == Lifetime::OfTests && self.passing().is_none() {
            Passing::Started.note(&self.directory)?;
        }
        self.start(binaries)
    }

    /// Makes the cluster. Interrupted, it leaves nothing under the cluster's own name.
    fn make(
        &self,
        binaries: &Binaries,
        account: &Account,
        lifetime: Lifetime,
    ) -> Result<(), Failure> {
        screen::line(format_args!(
            "Postgres {}: making a cluster in {}",
            self.name,
            self.directory.display()
        ));
        let unfinished = files::unfinished(&self.directory);
        files::make_directory(&unfinished)?;
        for name in ["data", "socket", "log"] {
            let directory = unfinished.join(name);
            files::make_directory(&directory)?;
            account
                .take(&directory)
                .map_err(|error| cannot("hand over", &directory, &error))?;
        }
        let mut initdb = account.command(binaries.program("initdb"));
        initdb.arg("-D").arg(unfinished.join("data")).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        process::capture(&mut initdb)?;
        files::write(&unfinished.join("access.conf"), settings::ACCESS)?;
        if lifetime == Lifetime::OfTests {
            Passing::Made.note(&unfinished)?;
        }
        fs::rename(&unfinished, &self.directory)
            .map_err(|error| cannot("make", &self.directory, &error))
    }

    /// Starts the server of a cluster that is made, and waits until it takes connections.
    fn start(&self, binaries: &Binaries) -> Result<u16, Failure> {
        files::write(
            &self.directory.join(BINARIES),
            &binaries.directory.to_string_lossy(),
        )?;
        let account = Account::owner_of(&self.data())?;
        let mut why = String::new();
        for _ in 0..STARTS {
            // The server itself would take a number that is now of another process for a server that still runs.
            files::remove_file(&self.data().join(postmaster::FILE))?;
            let port = free_port()?;
            let settings = self.directory.join("postgresql.conf");
            let access = self.directory.join("access.conf");
            let socket = self.directory.join("socket");
            files::write(
                &settings,
                &settings::text(port, &socket, &access, &self.data()),
            )?;
            let mut command = account.command(binaries.program("pg_ctl"));
            command
                .args(["start", "-w", "-s", "-t", &PATIENCE.as_secs().to_string()])
                .arg("-D")
                .arg(self.data())
                .arg("-l")
                .arg(self.log())
                .arg("-o")
                .arg(format!("-c {}", for_shell(&settings)));
            let started = process::capture(&mut command);
            match (self.settled()?, started) {
                (State::Running { port }, _) => {
                    screen::line(format_args!("Postgres {}: started", self.name));
                    return Ok(port);
                }
                (_, Err(failure)) => why = failure.to_string(),
                (_, Ok(_)) => "it started, and stopped at once".clone_into(&mut why),
            }
        }
        Err(Failure::failed(format!(
            "Postgres {} does not start: {why}\nthe end of {}:\n{}",
            self.name,
            self.log().display(),
            self.last_words()
        )))
    }

    /// Stops the server, if it runs.
    pub(super) fn stop(&self) -> Result<(), Failure> {
        if self.state() == State::Stopped {
            return Ok(());
        }
        let account = Account::owner_of(&self.data())?;
        let recorded = fs::read_to_string(self.directory.join(BINARIES)).unwrap_or_default();
        // To stop a server is the same in all versions.
        let binaries = Binaries::in_directory(Path::new(&recorded), &account)
            .or_else(|| installed::find(&account))
            .ok_or_else(|| {
                Failure::failed(format!(
                    "Postgres {} runs, and the `pg_ctl` that could stop it is gone from {recorded}; \
                     its process is named in the first line of {}",
                    self.name,
                    self.data().join(postmaster::FILE).display()
                ))
            })?;
        let mut stop = account.command(binaries.program("pg_ctl"));
        stop.args(["stop", "-w", "-s", "-m", "fast"])
            .args(["-t", &PATIENCE.as_secs().to_string(), "-D"])
            .arg(self.data());
        let stopped = process::capture(&mut stop);
        if self.state() == State::Stopped {
            return Ok(());
        }
        // It cannot be stopped as is proper, or not where its data is damaged: a signal ends it at once.
        if let Some(pid) = postmaster::pid(&self.data()) {
            let mut kill = account.command(binaries.program("pg_ctl"));
            process::capture(kill.args(["kill", "QUIT", &pid.to_string()]))?;
        }
        if self.after(|state| state != State::Stopped) == State::Stopped {
            return Ok(());
        }
        stopped.map(drop)
    }

    /// Stops the server and removes the cluster.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        self.stop()?;
        files::remove_directory(&self.directory)
    }

    /// Leaves behind what was there before the tests that have ended, if the server was started for them.
    ///
    /// Says whether it was.
    pub(super) fn retire(&self) -> Result<bool, Failure> {
        match self.passing() {
            None => return Ok(false),
            Some(Passing::Made) => self.remove()?,
            Some(Passing::Started) => {
                self.stop()?;
                files::remove_file(&self.directory.join(PASSING))?;
            }
        }
        Ok(true)
    }

    /// What is to be left of it after the tests, if it is there for them only.
    fn passing(&self) -> Option<Passing> {
        let word = fs::read_to_string(self.directory.join(PASSING)).ok()?;
        [Passing::Made, Passing::Started]
            .into_iter()
            .find(|passing| passing.word() == word)
    }

    /// Whether there is something that a server could run on.
    fn is_whole(&self) -> bool {
        let parts = ["data/PG_VERSION", "access.conf", "socket", "log"];
        parts.iter().all(|part| self.directory.join(part).exists())
    }

    /// What the server is doing when it has done with starting or stopping.
    fn settled(&self) -> Result<State, Failure> {
        match self.after(|state| state == State::Busy) {
            State::Busy => {}
            settled => return Ok(settled),
        }
        Err(Failure::failed(format!(
            "Postgres {} neither starts nor stops within {} s; the end of {}:\n{}",
            self.name,
            PATIENCE.as_secs(),
            self.log().display(),
            self.last_words()
        )))
    }

    /// What the server is doing when it does not do that any more, or when patience is at its end.
    fn after(&self, busy: impl Fn(State) -> bool) -> State {
        let start = Instant::now();
        loop {
            let state = self.state();
            if !busy(state) || start.elapsed() > PATIENCE {
                return state;
            }
            thread::sleep(LOOK);
        }
    }

    /// The last lines of the server's log.
    fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// The data directory.
    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The server's log.
    fn log(&self) -> PathBuf {
        self.directory.join("log").join("postgres.log")
    }
}

/// A port that nobody listens on at this moment.
fn free_port() -> Result<u16, Failure> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::failed(format!("no free port on 127.0.0.1: {error}")))
}

/// The setting that names the file with all others, for the shell that `pg_ctl` gives its options to.
fn for_shell(settings: &Path) -> String {
    let path = settings.to_string_lossy();
    format!("config_file='{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn in_scratch(scratch: &Scratch) -> Cluster {
        Cluster::new(scratch.path().join("15"), Name::Installed(15))
    }

    #[test]
    fn a_name_is_read_back_as_it_is_shown() {
        for text in ["9", "15", "13-npm", "18-npm"] {
            let name: Result<Name, ()> = text.parse();
            assert_eq!(name.map(|name| name.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "npm", "-npm", "12-npm", "15.new-7", "15-npm.old-7"] {
            let name: Result<Name, ()> = text.parse();
            assert_eq!(name, Err(()), "{text}");
        }
    }

    #[test]
    fn a_cluster_that_lacks_a_part_is_not_whole() {
        let scratch = Scratch::new("pg-whole");
        let cluster = in_scratch(&scratch);
        for part in ["data/PG_VERSION", "access.conf", "socket/x", "log/x"] {
            assert!(!cluster.is_whole(), "without {part}");
            scratch.file(&format!("15/{part}"), "");
        }
        assert!(cluster.is_whole());
    }

    #[test]
    fn a_cluster_made_for_tests_goes_with_them_and_another_is_left_alone() {
        let scratch = Scratch::new("pg-retire");
        let cluster = in_scratch(&scratch);
        scratch.file("15/data/PG_VERSION", "15");
        assert_eq!(cluster.retire(), Ok(false));
        scratch.file("15/passing", "started");
        assert_eq!(cluster.retire(), Ok(true));
        assert!(cluster.directory.exists() && cluster.passing().is_none());
        scratch.file("15/passing", "made");
        assert_eq!(cluster.retire(), Ok(true));
        assert!(!cluster.directory.exists());
    }

    #[test]
    fn a_quote_in_a_path_reaches_the_server() {
        assert_eq!(
            for_shell(Path::new("/it's/a.conf")),
            r"config_file='/it'\''s/a.conf'"
        );
    }

    #[test]
    fn a_free_port_can_be_listened_on() {
        let port = free_port().expect("there is one");
        assert!(port > 0);
    }
}
