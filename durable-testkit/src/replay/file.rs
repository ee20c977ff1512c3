//! Histories out of a file.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::{
    History,
    line::{Line, VERSION},
};

/// Reads a file of histories whole: one workflow on each line, as a JSON object; empty lines are passed over.
///
/// ```text
/// {"v":1,"id":"order-7","name":"checkout","status":"SUCCESS","application":"shop","version":"2024-06","attempts":1,
///  "created_at_ms":1700000000000,"input":{"text":"{\"positionalArgs\":[7]}","format":"portable_json"},
///  "steps":[{"number":1,"name":"charge","output":{"text":"12","format":"portable_json"}}],
///  "output":{"text":"12","format":"portable_json"}}
/// ```
///
/// (in one line.) `v` is the version of the format, 1. Optional are `class` and `config` of a method's workflow, `application`, `version`,
/// `attempts`, `deadline_ms`, `parent`, `input`, and `output` or `error` once it has ended by itself. A step has `number` (from 1, rising) and
/// `name`, and may have `output` or `error`, `child` (an id), `started_at_ms` and `completed_at_ms`. Instants are milliseconds since
/// the Unix epoch; a payload is its stored `text` and its `format`. Other fields are refused.
///
/// Errors: the file cannot be read, or a line is wrong; the first one is told, with its number.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<History>, ReadError> {
    Lines::open(path)?.collect()
}

/// The histories of a file, one at a time: for more than fit into memory. A wrong line does not end it.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    number: usize,
    broken: bool,
}

impl Lines {
    /// Opens the file; [`read`] says what it holds.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref().to_owned();
        match File::open(&path) {
            Ok(file) => Ok(Self {
                path,
                reader: BufReader::new(file),
                number: 0,
                broken: false,
            }),
            Err(source) => Err(ReadError::Open { path, source }),
        }
    }
}

impl Iterator for Lines {
    type Item = Result<History, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.broken {
            let mut text = String::new();
            self.number += 1;
            let (path, line) = (self.path.clone(), self.number);
            match self.reader.read_line(&mut text) {
                Ok(0) => return None,
                Ok(_) if text.trim().is_empty() => {}
                Ok(_) => {
                    let parsed = Line::parse(&text);
                    return Some(parsed.map_err(|wrong| ReadError::Line { path, line, wrong }));
                }
                Err(source) => {
                    self.broken = true;
                    return Some(Err(ReadError::Read { path, line, source }));
                }
            }
        }
        None
    }
}

/// Why histories cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be opened.
    #[error("the histories in {} cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file could not be read on; nothing after this line is read.
    #[error("{}:{line}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is no history.
    #[error("{}:{line}: {wrong}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        wrong: Wrong,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// It is not JSON, or not of the fields of a history.
    #[error("this line is no history: {0}; was it cut off, or written by hand?")]
    Json(String),
    /// It is of a version of the format that this program does not read.
    #[error(
        "this history is of version {0} of the format, and this program reads version {VERSION}; export it anew with the same version of this library"
    )]
    Version(u64),
    /// A status that no workflow has.
    #[error("{0:?} is not a workflow status")]
    Status(String),
    /// Something has an output and an error.
    #[error("{whose} has an `output` and an `error`; only one of them can be")]
    TwoResults {
        /// What has both.
        whose: String,
    },
    /// The steps are not in the order of their numbers, or one comes twice.
    #[error(
        "step {number} comes after step {after}; steps stand in the order of their numbers, each once"
    )]
    Order {
        /// The later one's number.
        number: i32,
        /// The number before it.
        after: i32,
    },
}
