//! Calling other programs.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{failure::Failure, screen};

/// Shows the call as it would be typed, runs it with its output passed through, and waits for its end.
///
/// Errors: it cannot be started, or it ends without success.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let call = describe(command);
    screen::line(format_args!("$ {call}"));
    finish(&call, command)
}

/// Runs `call` with its output passed through, and waits for its end.
///
/// Errors: it cannot be started, or it ends without success.
pub(crate) fn finish(call: &str, command: &mut Command) -> Result<(), Failure> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::failed(format!("`{call}` failed ({status})"))),
        Err(error) => Err(Failure::failed(format!("cannot start `{call}`: {error}"))),
    }
}

/// Whether the program can be called like this with success; shows nothing.
pub(crate) fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The call as a person would type it: the variables that it sets, the program by its name, the arguments.
pub(crate) fn describe(command: &Command) -> String {
    let mut call = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let _ = write!(call, "{}={} ", name.to_string_lossy(), quoted(value));
        }
    }
    let program = Path::new(command.get_program());
    call.push_str(&quoted(program.file_stem().unwrap_or(program.as_os_str())));
    for argument in command.get_args() {
        let _ = write!(call, " {}", quoted(argument));
    }
    call
}

/// The word, in quotes if a shell would cut or change it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,@+%\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/some/where/cargo");
        command
            .args(["test", "it's", ""])
            .env("RUSTDOCFLAGS", "-D warnings")
            .env_remove("OTHER");
        assert_eq!(
            describe(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo test 'it'\''s' ''"
        );
    }

    #[test]
    fn a_program_answers_only_if_it_is_there_and_says_yes() {
        assert!(answers(
            Command::new(crate::workspace::cargo()).arg("--version")
        ));
        assert!(!answers(
            Command::new(crate::workspace::cargo()).arg("--no-such")
        ));
        assert!(!answers(&mut Command::new("no-such-program-anywhere")));
    }
}
