//! The Postgres server that is installed on this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::account::Account;
use crate::process;

/// The programs that make and run a cluster, all of which stand in one directory.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Where Debian's packages put each major version's programs, which are not on PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one Postgres server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    /// Where they are.
    pub(super) directory: PathBuf,
    /// The server's major version.
    pub(super) major: u32,
}

impl Binaries {
    /// Those in this directory, if they are there and can be called by this user.
    pub(super) fn in_directory(directory: &Path, account: &Account) -> Option<Self> {
        let there = PROGRAMS
            .iter()
            .all(|name| program(directory, name).is_file());
        let mut version = account.command(program(directory, "postgres"));
        let major = there
            .then(|| process::capture(version.arg("--version")).ok())
            .flatten()
            .and_then(|text| major(&text))?;
        Some(Self {
            directory: directory.to_owned(),
            major,
        })
    }

    /// Where they really are: a directory on PATH may have links to a few of them only.
    pub(super) fn home(&self) -> PathBuf {
        let program = self.program("postgres").canonicalize();
        let home = program
            .ok()
            .and_then(|program| Some(program.parent()?.to_owned()));
        home.unwrap_or_else(|| self.directory.clone())
    }

    /// One of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        program(&self.directory, name)
    }
}

/// The installed server: the one on PATH, or else the newest of Debian's.
pub(super) fn find(account: &Account) -> Option<Binaries> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = env::split_paths(&path).collect();
    candidates(on_path, Path::new(DEBIAN))
        .iter()
        .find_map(|directory| Binaries::in_directory(directory, account))
}

/// The directories to look into, in this order.
fn candidates(on_path: Vec<PathBuf>, debian: &Path) -> Vec<PathBuf> {
    let mut packaged: Vec<(u32, PathBuf)> = fs::read_dir(debian)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    packaged.sort();
    let newest_first = packaged.into_iter().rev().map(|(_, directory)| directory);
    // A relative directory would mean another one to a call that is made elsewhere.
    let on_path = on_path.into_iter().filter(|path| path.is_absolute());
    on_path.chain(newest_first).collect()
}

/// The program's file.
fn program(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// The major version in what `postgres --version` prints: `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    let end = version.find(|c: char| !c.is_ascii_digit());
    version[..end.unwrap_or(version.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_major_version_is_read_from_what_the_server_says() {
        let cases = [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 18.4\n", Some(18)),
            ("postgres (PostgreSQL) 19beta1\n", Some(19)),
            ("postgres (PostgreSQL) \n", None),
            ("pg 15", None),
        ];
        for (text, expected) in cases {
            assert_eq!(major(text), expected, "{text}");
        }
    }

    #[test]
    fn path_goes_first_and_then_the_newest_version() {
        let scratch = Scratch::new("pg-candidates");
        for version in ["9", "13", "17", "common"] {
            scratch.file(&format!("{version}/bin/postgres"), "");
        }
        let root = scratch.path().to_owned();
        let first = root.join("first");
        let found = candidates(vec![first.clone(), "relative".into()], &root);
        let versions = ["17", "13", "9"].map(|version| root.join(version).join("bin"));
        assert_eq!(found[0], first);
        assert_eq!(found[1..], versions);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_some_of_the_programs_lead_to_all_of_them() {
        let scratch = Scratch::new("pg-links");
        scratch.file("real/postgres", "");
        scratch.file("links/other", "");
        let root = scratch.path().canonicalize().expect("it is there");
        let link = root.join("links/postgres");
        std::os::unix::fs::symlink(root.join("real/postgres"), link).expect("a link can be made");
        let binaries = |directory| Binaries {
            directory,
            major: 15,
        };
        assert_eq!(binaries(root.join("links")).home(), root.join("real"));
        assert_eq!(binaries(root.join("none")).home(), root.join("none"));
    }

    #[test]
    fn a_directory_that_holds_only_some_of_the_programs_is_passed_over() {
        let scratch = Scratch::new("pg-some");
        scratch.file("postgres", "");
        scratch.file("initdb", "");
        let account = Account::owner_of(scratch.path()).expect("the directory is there");
        assert_eq!(Binaries::in_directory(scratch.path(), &account), None);
    }
}
