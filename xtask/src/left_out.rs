//! What the quick run of the tests leaves out, as the tests themselves say.
//!
//! A test that does less than it could appends a line to the file that the environment variable `DURABLE_LEFT_OUT`
//! names, saying what it left out. cargo hides what a passing test prints, so a file it is.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process,
};

use crate::{failure::Failure, screen};

/// The environment variable that names the file.
pub(crate) const VARIABLE: &str = "DURABLE_LEFT_OUT";

/// A line may start with this; it is taken off.
const PREFIX: &str = "LEFT OUT: ";

/// The file of one run, gone when the run ends.
#[derive(Debug)]
pub(crate) struct LeftOut {
    file: PathBuf,
}

impl LeftOut {
    /// A file below `directory` that no other run uses.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join(format!("left-out-{}.txt", process::id()));
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&file, ""))
            .map_err(|error| {
                Failure::failed(format!("cannot write {}: {error}", file.display()))
            })?;
        Ok(Self { file })
    }

    /// What [`VARIABLE`] is set to.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// What was left out, each thing once, in alphabetical order.
    pub(crate) fn lines(&self) -> Result<Vec<String>, Failure> {
        let bytes = match fs::read(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|error| {
                Failure::failed(format!("cannot read {}: {error}", self.file.display()))
            })?,
        };
        Ok(distinct(&String::from_utf8_lossy(&bytes)))
    }

    /// Shows what was left out; `complete` says whether all tests had their turn to tell.
    pub(crate) fn show(&self, complete: bool) -> Result<(), Failure> {
        let lines = self.lines()?;
        if lines.is_empty() {
            if complete {
                screen::heading("Nothing was left out.");
            }
            return Ok(());
        }
        screen::heading("Left out of this run (`cargo xtask test --full` runs all of it):");
        for line in lines {
            screen::line(format_args!("  - {line}"));
        }
        if !complete {
            screen::line("  and perhaps more: not all tests were run to their end");
        }
        Ok(())
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// The lines that say something, each once.
fn distinct(text: &str) -> Vec<String> {
    let lines: BTreeSet<&str> = text
        .lines()
        .map(|line| line.strip_prefix(PREFIX).unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
        .collect();
    lines.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn each_thing_left_out_is_told_once() {
        let text =
            "LEFT OUT: seeds 1,000..1,000,000\n\nkills 10..50\n  kills 10..50 \r\nkills 10..50";
        assert_eq!(distinct(text), ["kills 10..50", "seeds 1,000..1,000,000"]);
    }

    #[test]
    fn what_tests_append_is_read_back_and_the_file_goes_with_the_run() {
        let scratch = Scratch::new("left-out");
        let left_out = LeftOut::new(&scratch.path().join("not/yet/there")).expect("a fresh file");
        let file = left_out.file().to_owned();
        assert_eq!(left_out.lines(), Ok(vec![]));
        fs::write(&file, "b\na\nb\n").expect("the file can be written");
        assert_eq!(left_out.lines(), Ok(vec!["a".to_owned(), "b".to_owned()]));
        drop(left_out);
        assert!(!file.exists());
    }

    #[test]
    fn a_file_that_a_test_removed_means_that_nothing_was_said() {
        let scratch = Scratch::new("left-out-removed");
        let left_out = LeftOut::new(scratch.path()).expect("a fresh file");
        fs::remove_file(left_out.file()).expect("the file is there");
        assert_eq!(left_out.lines(), Ok(vec![]));
    }
}
