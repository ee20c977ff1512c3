//! What a person sees: a line for each step that is rewritten on a terminal, and plain lines where the output goes elsewhere.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How a line looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As everything else.
    Plain,
    /// Less bright.
    Dim,
    /// Done.
    Green,
    /// Gone wrong.
    Red,
}

/// Where the lines go.
pub struct Screen {
    out: Mutex<Out>,
    is_terminal: bool,
    has_colours: bool,
}

struct Out {
    sink: Box<dyn Write + Send>,
    /// What the line is about that the cursor still stands on.
    open: Option<String>,
}

impl Screen {
    /// Standard output. The variable `NO_COLOR` turns the colours off.
    pub fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let has_colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self::to(Box::new(io::stdout()), is_terminal, has_colours)
    }

    fn to(sink: Box<dyn Write + Send>, is_terminal: bool, has_colours: bool) -> Self {
        let out = Mutex::new(Out { sink, open: None });
        Self {
            out,
            is_terminal,
            has_colours,
        }
    }

    /// Prints a line.
    pub fn line(&self, tone: Tone, text: impl AsRef<str>) {
        self.print(None, tone, text.as_ref(), false);
    }

    /// Prints how `about` goes on: on a terminal the next [`progress`](Self::progress) of it, or its [`end`](Self::end), replaces this.
    pub fn progress(&self, about: &str, tone: Tone, text: impl AsRef<str>) {
        self.print(Some(about), tone, text.as_ref(), true);
    }

    /// Prints how `about` ended.
    pub fn end(&self, about: &str, tone: Tone, text: impl AsRef<str>) {
        self.print(Some(about), tone, text.as_ref(), false);
    }

    fn print(&self, about: Option<&str>, tone: Tone, text: &str, stays_open: bool) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match out.open.take() {
            Some(open) if about == Some(&*open) => "\r\u{1b}[2K",
            Some(_) => "\n",
            None => "",
        };
        let stays_open = stays_open && self.is_terminal;
        out.open = about.filter(|_| stays_open).map(str::to_owned);
        let after = if stays_open { "" } else { "\n" };
        let text = self.coloured(tone, text);
        // Whoever reads may have gone: the work goes on.
        let _ = write!(out.sink, "{before}{text}{after}").and_then(|()| out.sink.flush());
    }

    fn coloured(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.has_colours => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Dim => "2",
            Tone::Green => "32",
            Tone::Red => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A duration in words: "70 milliseconds", "1.4 seconds", "2 minutes".
pub fn words(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (tenths, seconds) = ((millis + 50) / 100, (millis + 500) / 1000);
    match millis {
        0..950 => counted(millis, "millisecond"),
        950..9_950 if tenths % 10 != 0 => format!("{}.{} seconds", tenths / 10, tenths % 10),
        950..59_500 => counted(seconds, "second"),
        59_500..3_570_000 => counted((seconds + 30) / 60, "minute"),
        _ => counted((seconds + 1800) / 3600, "hour"),
    }
}

fn counted(count: u128, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(is_terminal: bool, print: impl FnOnce(&Screen)) -> String {
        let paper = Paper::default();
        print(&Screen::to(
            Box::new(paper.clone()),
            is_terminal,
            is_terminal,
        ));
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn two_steps(screen: &Screen) {
        screen.progress("one", Tone::Plain, "one runs");
        screen.end("one", Tone::Green, "one is done");
        screen.progress("two", Tone::Plain, "two runs");
        screen.line(Tone::Plain, "something else");
        screen.end("two", Tone::Red, "two failed");
    }

    #[test]
    fn a_step_is_one_line_on_a_terminal_unless_something_comes_between() {
        assert_eq!(
            printed(true, two_steps),
            "one runs\r\u{1b}[2K\u{1b}[32mone is done\u{1b}[0m\n\
             two runs\nsomething else\n\u{1b}[31mtwo failed\u{1b}[0m\n"
        );
    }

    #[test]
    fn what_is_piped_has_a_line_for_each_thing_and_no_colours() {
        assert_eq!(
            printed(false, two_steps),
            "one runs\none is done\ntwo runs\nsomething else\ntwo failed\n"
        );
    }

    #[test]
    fn durations_are_said_in_words() {
        for (millis, text) in [
            (0, "0 milliseconds"),
            (1, "1 millisecond"),
            (700, "700 milliseconds"),
            (960, "1 second"),
            (1_000, "1 second"),
            (1_449, "1.4 seconds"),
            (2_000, "2 seconds"),
            (9_960, "10 seconds"),
            (12_400, "12 seconds"),
            (59_499, "59 seconds"),
            (59_500, "1 minute"),
            (150_000, "3 minutes"),
            (3_570_000, "1 hour"),
            (7_200_000, "2 hours"),
        ] {
            assert_eq!(words(Duration::from_millis(millis)), text, "{millis}");
        }
    }
}
