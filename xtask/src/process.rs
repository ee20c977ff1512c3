//! Calling other programs.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{failure::Failure, pg, screen};

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

/// What the program prints on stdout; shows nothing.
///
/// Errors: it cannot be started, or it ends without success; then with what it said about that.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let call = describe(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::failed(format!("cannot start `{call}`: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = format!("`{call}` failed ({})", output.status);
    for said in [&output.stderr, &output.stdout] {
        let said = String::from_utf8_lossy(said);
        if !said.trim().is_empty() {
            let _ = write!(text, "\n{}", said.trim());
        }
    }
    Err(Failure::failed(text))
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

/// The number that the program prints, if it prints one.
pub(crate) fn number(command: &mut Command) -> Option<u32> {
    capture(command).ok()?.trim().parse().ok()
}

/// Whether the caller is root.
pub(crate) fn caller_is_root() -> bool {
    cfg!(unix) && number(Command::new("id").arg("-u")) == Some(0)
}

/// The call as a person would type it: the variables that it sets (but no password), the program by its name, the
/// arguments.
pub(crate) fn describe(command: &Command) -> String {
    let mut call = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let value = pg::without_password(&value.to_string_lossy());
            let _ = write!(
                call,
                "{}={} ",
                name.to_string_lossy(),
                quoted(OsStr::new(&value))
            );
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
    fn the_password_of_a_server_is_not_shown() {
        let mut command = Command::new("cargo");
        command.env("URL", "postgres://ann:hunter2@db/shop");
        assert_eq!(describe(&command), "URL='postgres://ann:***@db/shop' cargo");
    }

    #[test]
    fn what_a_program_prints_is_captured_and_so_is_why_it_failed() {
        let said = capture(Command::new(crate::workspace::cargo()).arg("--version"));
        assert!(said.is_ok_and(|said| said.starts_with("cargo")));
        let Err(failure) = capture(Command::new(crate::workspace::cargo()).arg("--no-such")) else {
            panic!("there is no such option");
        };
        let text = failure.to_string();
        assert!(text.matches("--no-such").count() > 1, "{text}");
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
