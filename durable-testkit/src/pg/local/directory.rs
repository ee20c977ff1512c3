//! A directory of a test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::account;

/// A directory that belongs to the user that servers run as, and is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(what: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("durable-{what}-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("the temporary directory can be written to");
        account::hand_over(&path);
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only the server's user may read.
    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("the directory can be written to");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let only_owner = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&path, only_owner).expect("it is ours");
        }
        account::hand_over(&path);
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left is the temporary directory's.
        let _ = fs::remove_dir_all(&self.0);
    }
}
