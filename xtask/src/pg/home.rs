//! Where the clusters and the downloaded servers stand: below `target/pg`, or elsewhere if a server could not get there.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{
    account::{Account, owned_by_caller},
    cluster::{Cluster, Name},
    files,
};
use crate::{failure::Failure, screen};

/// The file below `target/pg` that remembers where else the clusters are.
const ELSEWHERE: &str = "elsewhere";

/// How many names are tried for a directory elsewhere.
const TRIES: usize = 10;

/// Where the clusters and the downloaded servers stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    directory: PathBuf,
}

impl Home {
    /// A home that this user can get to, made if need be.
    pub(super) fn find(state: &Path, account: &Account) -> Result<Self, Failure> {
        files::make_directory(state)?;
        let known = Self::known(state);
        if account.can_enter(&known.directory) {
            return Ok(known);
        }
        let directory = elsewhere(state, account)?;
        screen::line(format_args!(
            "A server's user cannot get to {}: using {} instead.",
            state.display(),
            directory.display()
        ));
        files::write(&state.join(ELSEWHERE), &directory.to_string_lossy())?;
        Ok(Self { directory })
    }

    /// The home as it was found the last time; it may not be there.
    pub(super) fn known(state: &Path) -> Self {
        let remembered = fs::read_to_string(state.join(ELSEWHERE)).map(PathBuf::from);
        // A temporary directory may have been removed, and made again by somebody else.
        let directory = remembered.ok().filter(|path| owned_by_caller(path));
        Self {
            directory: directory.unwrap_or_else(|| state.to_owned()),
        }
    }

    /// The cluster of that name, made or not.
    pub(super) fn cluster(&self, name: Name) -> Cluster {
        Cluster::new(self.directory.join(name.to_string()), name)
    }

    /// All clusters that are made, oldest version first.
    pub(super) fn clusters(&self) -> Vec<Cluster> {
        let mut names: Vec<Name> = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        names.sort();
        names.into_iter().map(|name| self.cluster(name)).collect()
    }

    /// Where the downloaded servers stand.
    pub(super) fn downloads(&self) -> PathBuf {
        self.directory.join("npm")
    }

    /// Removes what interrupted calls have left.
    pub(super) fn remove_remains(&self) {
        files::remove_remains(&self.directory);
        files::remove_remains(&self.downloads());
    }

    /// Forgets a directory elsewhere in which nothing is left.
    pub(super) fn leave_if_empty(&self, state: &Path) -> Result<(), Failure> {
        if self.directory != state && fs::remove_dir(&self.directory).is_ok() {
            files::remove_file(&state.join(ELSEWHERE))?;
        }
        Ok(())
    }
}

/// A directory that this user can get to, for all that belongs below `state`.
fn elsewhere(state: &Path, account: &Account) -> Result<PathBuf, Failure> {
    let name = format!("durable-pg-{:016x}", fingerprint(state));
    let places = [env::temp_dir(), PathBuf::from("/tmp")];
    for place in places.iter().filter(|place| place.is_absolute()) {
        for number in 0..TRIES {
            let directory = place.join(format!("{name}-{number}"));
            // Anybody can make it first, and would own all that is put there.
            let usable = fs::create_dir(&directory).is_ok() || owned_by_caller(&directory);
            if usable && files::open(&directory, 0o755).is_ok() && account.can_enter(&directory) {
                return Ok(directory);
            }
        }
    }
    Err(Failure::failed(format!(
        "a server's user can get neither to {} nor to a directory in {}; \
         set TMPDIR to a directory that all users can enter",
        state.display(),
        places[0].display()
    )))
}

/// A number that tells one path from another, the same in every version of this program (FNV-1a).
fn fingerprint(path: &Path) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Waits until no other call works on the clusters; the lock ends with the file, or with the process.
pub(super) fn lock(state: &Path) -> Result<File, Failure> {
    files::lock(state, "Postgres")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_home_elsewhere_is_remembered_while_it_is_there() {
        let scratch = Scratch::new("pg-home");
        let state = scratch.path().join("target/pg");
        let other = scratch.path().join("other");
        files::make_directory(&other).expect("it can be made");
        scratch.file("target/pg/elsewhere", &other.to_string_lossy());
        assert_eq!(Home::known(&state).directory, other);
        Home::known(&state)
            .leave_if_empty(&state)
            .expect("it is empty");
        assert!(!other.exists() && !state.join(ELSEWHERE).exists());
        scratch.file("target/pg/elsewhere", &other.to_string_lossy());
        assert_eq!(Home::known(&state).directory, state);
    }

    #[test]
    fn a_home_elsewhere_with_something_in_it_stays() {
        let scratch = Scratch::new("pg-home-stays");
        let state = scratch.path().join("target/pg");
        let other = scratch.path().join("other");
        scratch.file("other/npm/18/package.json", "{}");
        scratch.file("target/pg/elsewhere", &other.to_string_lossy());
        let home = Home::known(&state);
        home.leave_if_empty(&state).expect("nothing is done");
        assert_eq!(Home::known(&state), home);
    }

    #[test]
    fn only_clusters_are_listed_oldest_first() {
        let scratch = Scratch::new("pg-clusters");
        for name in ["18-npm", "9", "15", "15.new-3", "lock", "npm"] {
            scratch.file(&format!("{name}/data/PG_VERSION"), "");
        }
        let listed: Vec<String> = Home::known(scratch.path())
            .clusters()
            .iter()
            .map(|cluster| cluster.name().to_string())
            .collect();
        assert_eq!(listed, ["9", "15", "18-npm"]);
    }

    #[test]
    fn two_checkouts_have_two_homes_elsewhere() {
        let one = fingerprint(Path::new("/a/target/pg"));
        assert_ne!(one, fingerprint(Path::new("/b/target/pg")));
        assert_eq!(fingerprint(Path::new("")), 0xcbf2_9ce4_8422_2325);
    }
}
