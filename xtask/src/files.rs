//! Files and directories of our own below `target`, which a server's user can read whatever the caller's umask is.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process,
};

use crate::{failure::Failure, screen};

/// Makes the directory, if it is not there, so that others may enter it.
pub(crate) fn make_directory(directory: &Path) -> Result<(), Failure> {
    let made = || {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::create_dir(directory)?;
        open(directory, 0o755)
    };
    made().map_err(|error| cannot("make", directory, &error))
}

/// Writes the file, whole or not at all, so that others may read it.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let part = beside(file, NEW);
    fs::write(&part, text)
        .and_then(|()| open(&part, 0o644))
        .and_then(|()| fs::rename(&part, file))
        .map_err(|error| cannot("write", file, &error))
}

/// Removes a file that may not be there.
pub(crate) fn remove_file(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(cannot("remove", file, &error))
        }
        _ => Ok(()),
    }
}

/// Removes a directory with all that is in it. Interrupted, it leaves one that [`remove_remains`] removes.
pub(crate) fn remove_directory(directory: &Path) -> Result<(), Failure> {
    let old = beside(directory, OLD);
    fs::rename(directory, &old)
        .and_then(|()| fs::remove_dir_all(&old))
        .map_err(|error| cannot("remove", directory, &error))
}

/// What the name of something that is not done yet goes on with.
const NEW: &str = ".new-";

/// What the name of something that is being removed goes on with.
const OLD: &str = ".old-";

/// Where something is made that is then renamed to `place`: what has the final name is complete.
pub(crate) fn unfinished(place: &Path) -> PathBuf {
    beside(place, NEW)
}

/// Removes what calls that were interrupted have left below this directory.
pub(crate) fn remove_remains(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(NEW) || name.contains(OLD) {
            // A program that was not interrupted with its caller may be writing still: the next call removes the rest.
            let path = entry.path();
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

/// A path in the same directory that no other process uses.
fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!("{word}{}", process::id()));
    path.with_file_name(name)
}

/// Sets who may use it, where that is a matter of such bits.
pub(crate) fn open(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, mode);
        Ok(())
    }
}

/// What could not be done to what, and why.
pub(crate) fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot {what} {}: {error}", path.display()))
}

/// Waits until no other call works on what stands in this directory, which is made if need be, and is about `what`. The lock
/// ends with the file, or with the process.
pub(crate) fn lock(directory: &Path, what: &str) -> Result<File, Failure> {
    make_directory(directory)?;
    let path = directory.join("lock");
    let file = open_lock(&path)?;
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            screen::line(format_args!(
                "Waiting for another `cargo xtask` that works on {what} …"
            ));
            file.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    locked.map_err(|error| cannot("lock", &path, &error))?;
    Ok(file)
}

/// The file, to be locked.
pub(crate) fn open_lock(path: &Path) -> Result<File, Failure> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    options
        .open(path)
        .map_err(|error| cannot("open", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_was_left_unfinished_is_removed_and_nothing_else() {
        let scratch = Scratch::new("pg-remains");
        scratch.file("15/data/PG_VERSION", "15");
        scratch.file("15.new-7/data/half", "");
        scratch.file("15.old-8/half", "");
        scratch.file("bin.new-9", "");
        remove_remains(scratch.path());
        let left: Vec<_> = fs::read_dir(scratch.path())
            .expect("the directory is there")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, ["15"]);
    }

    #[test]
    fn a_file_is_written_whole_and_a_directory_removed_whole() {
        let scratch = Scratch::new("pg-files");
        let directory = scratch.path().join("a/b");
        make_directory(&directory).expect("it can be made");
        make_directory(&directory).expect("it is there");
        let file = directory.join("bin");
        write(&file, "first").expect("it can be written");
        write(&file, "second").expect("it can be written again");
        assert_eq!(fs::read_to_string(&file).ok().as_deref(), Some("second"));
        remove_file(&file).expect("it is there");
        remove_file(&file).expect("nothing to remove is no error");
        remove_directory(&directory).expect("it is there");
        let left = fs::read_dir(scratch.path().join("a")).map(Iterator::count);
        assert_eq!(left.ok(), Some(0));
    }
    #[test]
    fn a_second_holder_of_the_lock_has_to_wait_for_the_first() {
        let scratch = Scratch::new("lock");
        let held = lock(scratch.path(), "tests").expect("nobody holds it");
        let second = open_lock(&scratch.path().join("lock")).expect("it is there");
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        assert!(second.try_lock().is_ok());
    }
}
