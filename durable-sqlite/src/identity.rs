//! Seeing that a file is still the one that was opened.
//!
//! A file that is removed under a process takes its writes all the same, and they are gone with the
//! process. On Unix a file is known by its device and its number there; elsewhere the system does
//! not let a file be removed that is open, and nothing is looked at.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Which file a path led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    path: PathBuf,
    file: Number,
}

#[cfg(unix)]
type Number = (u64, u64);

#[cfg(not(unix))]
type Number = ();

impl Identity {
    /// The file at this path; `None` if it cannot be looked at.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        Some(Self {
            path: path.to_owned(),
            file: number(&fs::metadata(path).ok()?),
        })
    }

    /// The file that was opened at this path.
    pub(crate) fn of_open(file: &File, path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: number(&file.metadata()?),
        })
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path leads to that file still. One that cannot be looked at counts as there: its
    /// writes tell.
    ///
    /// Blocks for no longer than the file system takes to answer.
    pub(crate) fn is_there(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(found) => number(&found) == self.file,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

#[cfg(unix)]
fn number(found: &fs::Metadata) -> Number {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn number(_found: &fs::Metadata) -> Number {}
