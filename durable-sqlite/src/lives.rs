//! Which executors are alive.
//!
//! An executor of a file is alive while its process holds a lock of the operating system on `<database file>-executors/<id>.lock`; the
//! system frees it when the process dies, however it dies. The files stay: one that was deleted could be locked by two processes, each
//! holding another file of the same name. Executors of a database in memory live as long as they have not left.
//!
//! Where a file was removed all the same, by hand or with its directory, its lock shows nobody that
//! the process lives, and another may live under the same id. Then the handle refuses every write.
//!
//! A life holds its lock alone, a look shares it: so whoever finds a lock taken can tell a life, which does not share, from a look that
//! is over in a moment.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use durable_core::{db::DbError, ids::ExecutorId};

use crate::{
    course::{self, Course},
    error::Failure,
    identity::Identity,
    options::Place,
};

/// How often a lock that somebody looks at is tried again, and after which wait.
const ATTEMPTS: u32 = 20;
const WAIT: Duration = Duration::from_millis(5);

/// The executors that live through one database handle, and the means to see those of others.
pub(crate) struct Lives {
    /// Where the lock files are; `None` for a database in memory.
    directory: Option<PathBuf>,
    /// The ids taken through this handle, each with its lock; `None` in memory.
    held: Mutex<HashMap<ExecutorId, Option<Lock>>>,
}

/// A life that has just begun. Dropping it ends it, unless it is [kept](Self::keep).
pub(crate) struct Taken<'a> {
    lives: &'a Lives,
    id: &'a ExecutorId,
    kept: bool,
}

/// What the system said of a lock file, or of the directory of all of them.
#[derive(Debug)]
pub(crate) struct LockTrouble {
    path: PathBuf,
    source: io::Error,
}

impl LockTrouble {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self { path, source }
    }

    pub(crate) fn into_error(self, doing: &'static str) -> DbError {
        let Self { path, source } = self;
        let path = path.display();
        match course::of_io(&source) {
            Course::Passes | Course::Renews => {
                let source = io::Error::new(source.kind(), format!("\"{path}\": {source}"));
                DbError::unavailable(doing, source)
            }
            Course::Lasts | Course::ReadOnly => DbError::Refused(format!(
                "cannot {doing}: \"{path}\": {source}; a process shows that it lives by the lock of \
                a file in a directory beside the database \
                 file, so let this user make that directory and files in it, and move away what \
                 is in its place"
            )),
        }
    }
}

impl Lives {
    pub(crate) fn of(place: &Place) -> Self {
        let directory = match place {
            Place::Memory => None,
            Place::File(path) => {
                let mut directory = path.clone().into_os_string();
                directory.push("-executors");
                Some(directory.into())
            }
        };
        Self {
            directory,
            held: Mutex::new(HashMap::new()),
        }
    }

    /// Begins the life of an executor; `None` if one with this id lives.
    pub(crate) async fn take<'a>(
        &'a self,
        id: &'a ExecutorId,
    ) -> Result<Option<Taken<'a>>, LockTrouble> {
        let lock = match &self.directory {
            None => None,
            Some(directory) => {
                fs::create_dir_all(directory).map_err(LockTrouble::at(directory))?;
                let file = lock_file(directory, id);
                let Some(lock) = lock(&file).await.map_err(LockTrouble::at(&file))? else {
                    return Ok(None);
                };
                Some(lock)
            }
        };
        let mut held = self.held();
        if held.contains_key(id) {
            return Ok(None);
        }
        held.insert(id.clone(), lock);
        Ok(Some(Taken {
            lives: self,
            id,
            kept: false,
        }))
    }

    /// Ends the life of an executor that was taken through this handle; does nothing for others.
    pub(crate) fn end(&self, id: &ExecutorId) {
        self.held().remove(id);
    }

    /// Whether an executor is alive, in this process or another.
    pub(crate) fn is_alive(&self, id: &ExecutorId) -> Result<bool, LockTrouble> {
        let Some(directory) = &self.directory else {
            return Ok(self.held().contains_key(id));
        };
        let path = lock_file(directory, id);
        let held = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(file) => is_held(&file),
        };
        held.map_err(LockTrouble::at(&path))
    }

    /// Refuses what is asked once the lock of a life is no longer where others look for it.
    ///
    /// Blocks for no longer than the file system takes to answer.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for lock in self.held().values().flatten() {
            if !lock.place.is_there() {
                return Err(Failure::lock_removed(lock.place.path()));
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ExecutorId, Option<Lock>>> {
        // Whoever panicked left the map whole: each change of it is one call.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// Lets the life go on after this is dropped.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.lives.end(self.id);
        }
    }
}

/// The lock of a life, which it has alone until this is dropped.
struct Lock {
    file: File,
    place: Identity,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file is not enough: a child process has it open too between its fork and its exec, and the lock with it.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "an executor's lock is not freed before its file is closed");
        }
    }
}

/// The lock of this file; `None` if a life has it.
///
/// These calls block for no longer than the file system takes to answer, so they need no thread of their own.
async fn lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Ok(()) => {
                let place = Identity::of_open(&file, path)?;
                return Ok(Some(Lock { file, place }));
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if is_held(&file)? {
            return Ok(None);
        }
        tokio::time::sleep(WAIT).await;
    }
    Ok(None)
}

/// Whether a life has the lock of this file; another look has not.
fn is_held(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => {
            file.unlock()?;
            Ok(false)
        }
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The lock file of an executor. What a file system may not take in a name is replaced, and the name then told apart by a hash.
fn lock_file(directory: &Path, id: &ExecutorId) -> PathBuf {
    let id = id.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !id.is_empty() && id.len() <= MAX_NAME && id.chars().all(plain) {
        return directory.join(format!("{id}.lock"));
    }
    let name: String = id
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(MAX_NAME)
        .collect();
    directory.join(format!("{name}-{:016x}.lock", fnv1a(id.as_bytes())))
}

/// The longest id that is a file's name as it is: most file systems take 255 bytes.
const MAX_NAME: usize = 200;

/// A hash that is the same in every program, whatever built it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        process::Command,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    /// Whether the id could be taken, left, taken again and given back with its handle.
    async fn comes_and_goes(place: &Place, id: &ExecutorId) -> Result<bool, LockTrouble> {
        let lives = Lives::of(place);
        for leaves in [true, false] {
            let Some(taken) = lives.take(id).await? else {
                return Ok(false);
            };
            taken.keep();
            if leaves {
                lives.end(id);
            }
        }
        Ok(true)
    }

    #[test]
    fn an_id_is_free_at_once_though_child_processes_are_being_started() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let directory = std::env::temp_dir().join(format!("durable-lives-{}", std::process::id()));
        let (place, id) = (Place::File(directory.join("shop.db")), "a".into());
        let done = AtomicBool::new(false);
        let held_on = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // A program that is there on every machine.
                    let mut child = Command::new(std::env::current_exe().unwrap());
                    child.arg("--help").output().unwrap();
                }
            });
            let mut rounds = 0..20_000;
            let held_on =
                rounds.find(|_| !matches!(runtime.block_on(comes_and_goes(&place, &id)), Ok(true)));
            done.store(true, Ordering::Relaxed);
            held_on
        });
        fs::remove_dir_all(directory).unwrap();
        assert_eq!(held_on, None, "a round in which the id was not free");
    }

    fn name(id: &str) -> String {
        let path = lock_file(Path::new("d"), &ExecutorId::from(id));
        assert_eq!(
            path.parent(),
            Some(Path::new("d")),
            "{id:?} leaves the directory"
        );
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn plain_ids_name_their_files() {
        assert_eq!(name("local-2"), "local-2.lock");
        assert_eq!(name("pod_7.eu"), "pod_7.eu.lock");
    }

    #[test]
    fn ids_that_look_alike_as_file_names_have_files_of_their_own() {
        let long = "x".repeat(300);
        let names = [
            "a/b", "a_b", "a:b", "a\\b", "", "..", "../x", "ä", "ö", &long,
        ]
        .map(name);
        for (i, one) in names.iter().enumerate() {
            assert!(!names[..i].contains(one), "{one} stands for two ids");
            assert!(one.len() < 256, "{one} is too long");
        }
    }
}
