//! Where the programs of a Postgres server are.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use super::BINARIES;

/// The programs without which there is no server.
const NEEDED: [&str; 2] = ["initdb", "postgres"];

/// Where packages put the programs of each version, away from PATH: a directory, what a version's name begins with, and where its programs
/// are. Debian and Ubuntu, PGDG on Red Hat and SUSE, Homebrew on both kinds of machine and on Linux, Postgres.app.
const PACKAGED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Why there are none; shown, it is where they were looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotFound(String);

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory that has all programs of a server: the one that [`BINARIES`] names, or the first on PATH, or the newest of a package.
pub(crate) fn find() -> Result<PathBuf, NotFound> {
    if let Some(named) = env::var_os(BINARIES).map(PathBuf::from) {
        return whole(&named).ok_or_else(|| {
            NotFound(format!(
                "{BINARIES} names {}, where they are not",
                named.display()
            ))
        });
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // A relative directory would mean another one to a call that is made elsewhere.
    let on_path = env::split_paths(&path).filter(|directory| directory.is_absolute());
    let packaged = PACKAGED
        .iter()
        .flat_map(|(parent, begins, rest)| versions(Path::new(parent), begins, rest));
    let looked = || {
        let shown = PACKAGED.map(|(parent, begins, rest)| format!("{parent}/{begins}*/{rest}"));
        NotFound(format!("looked in PATH, {}", shown.join(", ")))
    };
    on_path
        .chain(packaged)
        .find_map(|directory| whole(&directory))
        .ok_or_else(looked)
}

/// The program of this name, in the directory that was found.
pub(super) fn program(name: &str) -> io::Result<PathBuf> {
    match find() {
        Ok(directory) => Ok(directory.join(name)),
        Err(error) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no local `postgres` ({error})"),
        )),
    }
}

/// Where the programs really are that this directory has or leads to, if none is missing: on PATH there may be links to a few only.
fn whole(directory: &Path) -> Option<PathBuf> {
    let has_all = |directory: &PathBuf| NEEDED.iter().all(|name| file(directory, name).is_file());
    let real = file(directory, "postgres").canonicalize().ok()?;
    let home = real.parent().map(Path::to_owned);
    home.filter(has_all)
        .or_else(|| Some(directory.to_owned()).filter(has_all))
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// The directories of all versions below `parent`, newest first.
fn versions(parent: &Path, begins: &str, rest: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(begins)?.parse().ok()?;
            Some((version, entry.path().join(rest)))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::pg::local::directory::Directory;

    fn with(directory: &Path, files: &[&str]) {
        fs::create_dir_all(directory).unwrap();
        for name in files {
            fs::write(directory.join(name), "").unwrap();
        }
    }

    #[test]
    fn the_newest_version_goes_first_and_what_is_no_version_is_passed_over() {
        let scratch = Directory::new("versions").unwrap();
        for version in ["pgsql-9", "pgsql-13", "pgsql-17", "pgsql-common", "share"] {
            with(&scratch.path().join(version), &[]);
        }
        let found = versions(scratch.path(), "pgsql-", "bin");
        let wanted = ["pgsql-17", "pgsql-13", "pgsql-9"];
        assert_eq!(
            found,
            wanted.map(|name| scratch.path().join(name).join("bin"))
        );
    }

    #[test]
    fn a_link_to_one_program_leads_to_all_and_a_directory_without_some_is_passed_over() {
        let scratch = Directory::new("programs").unwrap();
        let root = scratch.path().canonicalize().unwrap();
        with(&root.join("real"), &NEEDED);
        with(&root.join("some"), &["postgres"]);
        with(&root.join("links"), &[]);
        std::os::unix::fs::symlink(root.join("real/postgres"), root.join("links/postgres"))
            .unwrap();
        assert_eq!(whole(&root.join("links")), Some(root.join("real")));
        assert_eq!(whole(&root.join("some")), None);
        assert_eq!(whole(&root.join("none")), None);
    }
}
