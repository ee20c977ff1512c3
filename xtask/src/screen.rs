//! What a person sees: plain lines on stderr, with colour only where a terminal shows it.

use std::{
    env, fmt,
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// How a word is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    /// As it stands.
    Plain,
    /// A heading.
    Bold,
    /// Good.
    Green,
    /// Bad.
    Red,
    /// To be noticed.
    Yellow,
}

/// A line of progress. If it cannot be written it is dropped: a closed pipe must not fail a check.
pub(crate) fn line(text: impl fmt::Display) {
    if cfg!(test) {
        // The harness shows what is printed by this macro only if the test fails.
        eprintln!("{text}");
    } else {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// The line that opens a stage, after an empty one.
pub(crate) fn heading(text: &str) {
    line(format_args!("\n{}", paint(Tone::Bold, text)));
}

/// What went wrong.
pub(crate) fn error(text: &str) {
    line(format_args!("{}: {text}", paint(Tone::Red, "error")));
}

/// The text in the tone, if stderr is a terminal and nothing asks for no colour (`NO_COLOR`, `CARGO_TERM_COLOR`).
pub(crate) fn paint(tone: Tone, text: &str) -> String {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("CARGO_TERM_COLOR").is_some_and(|value| value == "never");
    if io::stderr().is_terminal() && !unwanted {
        coloured(tone, text)
    } else {
        text.to_owned()
    }
}

/// The text in the tone, as a terminal wants it.
fn coloured(tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Bold => "1",
        Tone::Green => "32",
        Tone::Red => "31",
        Tone::Yellow => "33",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Prints what was asked for (help, an answer) on stdout.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A duration as a person says it: `0.4 s`, `3 min 05 s`.
pub(crate) fn spoken(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        let seconds = (tenths + 5) / 10;
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_to_what_a_person_reads() {
        let cases = [
            (0, "0.0 s"),
            (449, "0.4 s"),
            (450, "0.5 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min 00 s"),
            (185_400, "3 min 05 s"),
            (3_600_000, "60 min 00 s"),
        ];
        for (millis, text) in cases {
            assert_eq!(spoken(Duration::from_millis(millis)), text, "{millis} ms");
        }
    }

    #[test]
    fn a_colour_ends_with_its_word() {
        assert_eq!(coloured(Tone::Red, "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(coloured(Tone::Plain, "not run"), "not run");
    }
}
