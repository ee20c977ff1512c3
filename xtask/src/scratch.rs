//! A directory for one test, gone when the test ends.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

/// A fresh directory of the test that names it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it, empty; `name` must be the test's own.
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("xtask-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below it, with the directories on the way.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        let parent = path.parent().expect("a file below the directory");
        fs::create_dir_all(parent).expect("the temporary directory can be written");
        fs::write(&path, text).expect("the temporary directory can be written");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
