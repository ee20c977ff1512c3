//! `cargo xtask pg`: a Postgres server for the tests, used, found, installed or downloaded.
//!
//! What lives where:
//!
//! - here: what was asked for, and which server that means
//! - [`for_tests`], [`guard`]: the server of a run of the tests, and who stops it when that is interrupted
//! - [`cluster`], [`settings`], [`postmaster`]: making, starting and stopping a private cluster
//! - [`installed`], [`apt`], [`npm`], [`release`]: where a server's programs come from
//! - [`home`], [`account`]: where all that stands, and which user it belongs to
//! - [`url`]: how a server is named

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use crate::{failure::Failure, files, screen, workspace::Workspace};

mod account;
mod apt;
mod cluster;
pub(crate) mod for_tests;
mod guard;
mod home;
mod installed;
mod npm;
mod postmaster;
mod release;
mod settings;
mod url;

use account::Account;
use cluster::{Cluster, Lifetime, Name};
use home::Home;
use installed::Binaries;
use postmaster::State;
pub(crate) use release::Major;
pub(crate) use url::without_password;

/// The environment variable that names a server to be used as it is.
const VARIABLE: &str = "DATABASE_URL";

/// What is to be done with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Have it run, and print its URL.
    Up,
    /// Stop it, and remove its data.
    Down,
    /// Print its URL.
    Url,
    /// Stop what was started for tests, when the caller has ended: see [`guard`].
    Guard,
}

/// What `pg` was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What is to be done.
    pub(crate) action: Action,
    /// The server of this major version, downloaded, instead of the one that is installed.
    pub(crate) version: Option<Major>,
}

/// Which server is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// One that somebody else runs.
    Given(String),
    /// A private one, of the installed version.
    Installed,
    /// A private one, of this version.
    Downloaded(Major),
    /// The private one of this name.
    Named(Name),
}

impl Wanted {
    /// Whether the name is that of such a server.
    fn includes(&self, name: Name) -> bool {
        match (self, name) {
            (Self::Installed, Name::Installed(_)) => true,
            (Self::Downloaded(wanted), Name::Downloaded(major)) => *wanted == major,
            (Self::Named(wanted), name) => *wanted == name,
            _ => false,
        }
    }

    /// The call of `cargo xtask pg` that does this with it.
    fn call(&self, action: &str) -> String {
        match self {
            Self::Downloaded(major) | Self::Named(Name::Downloaded(major)) => {
                format!("cargo xtask pg {action} --version {major}")
            }
            Self::Given(_) | Self::Installed | Self::Named(Name::Installed(_)) => {
                format!("cargo xtask pg {action}")
            }
        }
    }
}

/// Does what was asked for.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Failure> {
    let state = state(workspace);
    if options.action == Action::Guard {
        return guard::run(&state);
    }
    let environment = env::var_os(VARIABLE);
    if options.action == Action::Down
        && let Some(name) = environment.as_deref().and_then(|url| own(&state, url))
    {
        // The call says more than what the environment happens to name.
        let wanted = options
            .version
            .map_or(Wanted::Named(name), Wanted::Downloaded);
        down(&state, &wanted)?;
        if wanted.includes(name) {
            screen::line(format_args!("{VARIABLE} still names it: unset {VARIABLE}"));
        }
        return Ok(());
    }
    let wanted = wanted(options.version, environment)?;
    match (options.action, &wanted) {
        (Action::Up | Action::Url, Wanted::Given(url)) => {
            screen::line(format_args!("The server that {VARIABLE} names:"));
            screen::print(url);
        }
        (Action::Up, _) => screen::print(&up(&state, &wanted, Lifetime::Stays)?),
        (Action::Url, _) => screen::print(&running(&state, &wanted)?),
        (Action::Down, Wanted::Given(_)) => screen::line(format_args!(
            "{VARIABLE} names a server that is not this command's: it is left as it is."
        )),
        (Action::Down, _) => down(&state, &wanted)?,
        (Action::Guard, _) => {}
    }
    Ok(())
}

/// Where it is remembered what runs, and where the clusters are unless they have to be elsewhere.
fn state(workspace: &Workspace) -> PathBuf {
    workspace.target().join("pg")
}

/// Which server the call and the environment mean.
fn wanted(version: Option<Major>, database_url: Option<OsString>) -> Result<Wanted, Failure> {
    let given = database_url
        .and_then(|url| url.into_string().ok())
        .filter(|url| url::is_postgres(url));
    match (given, version) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "both {VARIABLE} and --version name a server: unset {VARIABLE} for this call of `cargo xtask pg`, \
             or leave out --version"
        ))),
        (Some(url), None) => Ok(Wanted::Given(url)),
        (None, Some(major)) => Ok(Wanted::Downloaded(major)),
        (None, None) => Ok(Wanted::Installed),
    }
}

/// The private server that runs and has this URL.
fn own(state: &Path, url: &OsStr) -> Option<Name> {
    let clusters = Home::known(state).clusters();
    let running = clusters
        .iter()
        .map(|cluster| (cluster.name(), cluster.state()));
    named_by(url.to_str()?, running)
}

/// The one among these servers that has this URL.
fn named_by(url: &str, mut servers: impl Iterator<Item = (Name, State)>) -> Option<Name> {
    let port = url::port_of(url)?;
    let found = servers.find(|(_, state)| *state == State::Running { port });
    found.map(|(name, _)| name)
}

/// Has the private server run, and gives its URL.
fn up(state: &Path, wanted: &Wanted, lifetime: Lifetime) -> Result<String, Failure> {
    if !cfg!(unix) {
        return Err(Failure::failed(format!(
            "a server is not started by this command on this system; set {VARIABLE} to one that runs, as in\n  {}",
            url::of_port(5432)
        )));
    }
    let _lock = home::lock(state)?;
    let mut account = Account::find()?;
    let home = Home::find(state, &account)?;
    home.remove_remains();
    let (name, binaries) = match wanted {
        Wanted::Downloaded(major) => {
            let directory = npm::server(&home.downloads(), *major)?;
            let binaries = Binaries::in_directory(&directory, &account).ok_or_else(|| {
                Failure::failed(format!(
                    "the downloaded server in {} does not run here (it needs Linux on x86-64 with glibc); \
                     if it is damaged, remove that directory and call this again",
                    directory.display()
                ))
            })?;
            (Name::Downloaded(*major), binaries)
        }
        Wanted::Installed | Wanted::Given(_) | Wanted::Named(_) => {
            let binaries = installed_server(&mut account)?;
            (Name::Installed(binaries.major), binaries)
        }
    };
    let port = home.cluster(name).up(&binaries, &account, lifetime)?;
    Ok(url::of_port(port))
}

/// The installed server, or one that is installed now; the user it is to run as may come with it.
fn installed_server(account: &mut Account) -> Result<Binaries, Failure> {
    if let Some(binaries) = installed::find(account) {
        return Ok(binaries);
    }
    if crate::apt::is_usable() {
        apt::install().map_err(|failure| Failure::failed(format!("{failure}\n{}", ways())))?;
        *account = Account::find()?;
    }
    installed::find(account).ok_or_else(|| {
        Failure::failed(format!(
            "no Postgres server was found: initdb, pg_ctl and postgres are neither on PATH nor below \
             /usr/lib/postgresql\n{}",
            ways()
        ))
    })
}

/// The directory of the installed server's programs, all of them; it is installed if need be.
fn binaries() -> Result<PathBuf, Failure> {
    let mut account = Account::find()?;
    Ok(installed_server(&mut account)?.home())
}

/// How to come by a server.
fn ways() -> String {
    format!(
        "ways to have a server:
  - name one that runs: {VARIABLE}={}
  - install one: sudo apt-get install postgresql (Fedora: dnf install postgresql-server, macOS: brew install postgresql)
  - download one: cargo xtask pg up --version 18; for the tests: {VARIABLE}=$(cargo xtask pg up --version 18) cargo xtask test",
        url::of_port(5432)
    )
}

/// The URL of the private server, if it runs.
fn running(state: &Path, wanted: &Wanted) -> Result<String, Failure> {
    let clusters = Home::known(state).clusters();
    let port = clusters
        .iter()
        .rev()
        .filter(|cluster| wanted.includes(cluster.name()))
        .find_map(|cluster| match cluster.state() {
            State::Running { port } => Some(port),
            State::Busy | State::Stopped => None,
        });
    port.map(url::of_port).ok_or_else(|| {
        let others = clusters
            .iter()
            .filter(|other| other.state() != State::Stopped);
        Failure::failed(format!(
            "the Postgres server does not run; to have it run: {}{}",
            wanted.call("up"),
            told("url", others)
        ))
    })
}

/// Stops the private server and removes its cluster.
fn down(state: &Path, wanted: &Wanted) -> Result<(), Failure> {
    let _lock = home::lock(state)?;
    let home = Home::known(state);
    home.remove_remains();
    let (meant, others): (Vec<Cluster>, Vec<Cluster>) = home
        .clusters()
        .into_iter()
        .partition(|cluster| wanted.includes(cluster.name()));
    for cluster in &meant {
        cluster.remove()?;
        screen::line(format_args!(
            "Postgres {}: stopped and removed",
            cluster.name()
        ));
    }
    if meant.is_empty() {
        screen::line(format_args!(
            "There is nothing to stop.{}",
            told("down", others.iter())
        ));
    }
    home.leave_if_empty(state)
}

/// The calls that do this with other clusters.
fn told<'a>(action: &str, others: impl Iterator<Item = &'a Cluster>) -> String {
    let mut text = String::new();
    for cluster in others {
        let other = match cluster.name() {
            Name::Installed(_) => Wanted::Installed,
            Name::Downloaded(major) => Wanted::Downloaded(major),
        };
        let _ = write!(
            text,
            "\n  Postgres {}: {}",
            cluster.name(),
            other.call(action)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn major(text: &str) -> Major {
        text.parse().expect("a version to be had")
    }

    #[test]
    fn a_server_that_is_named_is_used_and_no_other() {
        for url in ["postgres://ann@db/shop", "postgresql://db"] {
            let given = wanted(None, Some(url.into()));
            assert_eq!(given, Ok(Wanted::Given(url.to_owned())));
            let Err(Failure::Usage(text)) = wanted(Some(major("17")), Some(url.into())) else {
                panic!("two servers were named");
            };
            assert!(text.contains(VARIABLE) && !text.contains("ann"), "{text}");
        }
    }

    #[test]
    fn the_url_of_another_database_names_no_server() {
        for url in [None, Some(""), Some("sqlite:shop.db"), Some("shop.db")] {
            let url = url.map(OsString::from);
            assert_eq!(wanted(None, url.clone()), Ok(Wanted::Installed));
            assert_eq!(
                wanted(Some(major("17")), url),
                Ok(Wanted::Downloaded(major("17")))
            );
        }
    }

    #[test]
    fn a_version_means_the_downloaded_server_alone() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        assert!(Wanted::Installed.includes(name("15")));
        assert!(!Wanted::Installed.includes(name("15-npm")));
        let fifteen = Wanted::Downloaded(major("15"));
        assert!(fifteen.includes(name("15-npm")));
        assert!(!fifteen.includes(name("15")) && !fifteen.includes(name("16-npm")));
    }

    #[test]
    fn a_server_of_ours_is_known_by_its_url_while_it_runs() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let servers = || {
            [
                (name("15"), State::Running { port: 5001 }),
                (name("15-npm"), State::Stopped),
                (name("18-npm"), State::Running { port: 5002 }),
            ]
            .into_iter()
        };
        let named = |port| named_by(&url::of_port(port), servers());
        assert_eq!(named(5001), Some(name("15")));
        assert_eq!(named(5002), Some(name("18-npm")));
        assert_eq!(named(5003), None);
        let elsewhere = "postgres://postgres@db:5001/postgres";
        assert_eq!(named_by(elsewhere, servers()), None);
        // It alone is meant, and not another of the same kind.
        let wanted = Wanted::Named(name("15"));
        assert!(wanted.includes(name("15")) && !wanted.includes(name("16")));
    }

    #[test]
    fn a_server_that_does_not_run_is_named_with_what_starts_it() {
        let scratch = Scratch::new("pg-not-running");
        scratch.file("17-npm/data/PG_VERSION", "17");
        let wanted = Wanted::Downloaded(major("17"));
        let Err(failure) = running(scratch.path(), &wanted) else {
            panic!("nothing runs");
        };
        let text = failure.to_string();
        assert!(text.contains("cargo xtask pg up --version 17"), "{text}");
    }

    #[test]
    fn a_cluster_that_was_not_meant_is_left_and_named() {
        let scratch = Scratch::new("pg-down");
        scratch.file("15/data/PG_VERSION", "15");
        scratch.file("17-npm/data/PG_VERSION", "17");
        down(scratch.path(), &Wanted::Installed).expect("nothing runs");
        let left = Home::known(scratch.path()).clusters();
        assert_eq!(
            told("down", left.iter()),
            "\n  Postgres 17-npm: cargo xtask pg down --version 17"
        );
        down(scratch.path(), &Wanted::Installed).expect("there is nothing to do");
        assert_eq!(Home::known(scratch.path()).clusters(), left);
    }

    #[test]
    fn every_way_to_have_a_server_is_named() {
        let text = ways();
        for way in [
            "DATABASE_URL=postgres://",
            "apt-get install postgresql",
            "--version 18",
        ] {
            assert!(text.contains(way), "{text}");
        }
    }
}
