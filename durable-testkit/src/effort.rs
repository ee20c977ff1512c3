//! How much a long test does: all of it, or a part that it names.

use std::{fmt, fs::OpenOptions, io::Write as _};

/// Whether long tests are run whole: `DURABLE_FULL` is set, as by `cargo xtask test --full`.
pub fn is_full() -> bool {
    std::env::var_os("DURABLE_FULL").is_some()
}

/// Says what a test leaves out, in the file that `DURABLE_LEFT_OUT` names, if it names one: `cargo xtask test` shows it at its end.
///
/// Panics if that file cannot be written, for nobody would see what was left out.
pub fn left_out(what: impl fmt::Display) {
    let Some(path) = std::env::var_os("DURABLE_LEFT_OUT") else {
        return;
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    // In one write: several tests may say something at the same time.
    let written = file.and_then(|mut file| file.write_all(format!("{what}\n").as_bytes()));
    written.expect("the file that DURABLE_LEFT_OUT names can be written");
}
