//! A directory of a test's own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::account;

/// How many names are tried: a process of the same number may have left some.
const TRIES: u32 = 100;

/// A directory that belongs to the user that servers run as, and is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// One in the temporary directory. Errors: that one cannot be written to, or the user that root lends is missing.
    pub(super) fn new(what: &str) -> io::Result<Self> {
        let path = fresh(what).map_err(|error| {
            let place = std::env::temp_dir();
            io::Error::new(
                error.kind(),
                format!("no directory can be made in {}: {error}", place.display()),
            )
        })?;
        // From here on it is removed again where something fails.
        let directory = Self(path);
        account::hand_over(&directory.0)?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only the server's user may read.
    pub(super) fn write(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, content)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
        account::hand_over(&path)?;
        Ok(path)
    }
}

fn fresh(what: &str) -> io::Result<PathBuf> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let mut tries = 0;
    loop {
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("durable-{what}-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {
                tries += 1;
            }
            made => return made.map(|()| path),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left is the temporary directory's.
        let _ = fs::remove_dir_all(&self.0);
    }
}
