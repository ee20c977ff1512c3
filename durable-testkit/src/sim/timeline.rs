//! What happened, one line for each thing that a person would tell.

use std::{collections::VecDeque, time::Duration};

/// How many lines are kept when a run is long: the last ones.
const LINES: usize = 2_000;

/// The lines so far.
#[derive(Default)]
pub(super) struct Timeline {
    lines: VecDeque<Line>,
    left_out: usize,
}

struct Line {
    at: Duration,
    text: String,
    is_fault: bool,
    times: usize,
}

impl Timeline {
    /// Adds a line; one that says the same as the last is counted there.
    pub(super) fn push(&mut self, at: Duration, text: String, is_fault: bool) {
        if let Some(last) = self.lines.back_mut()
            && last.text == text
        {
            last.times += 1;
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.left_out += 1;
        }
        self.lines.push_back(Line {
            at,
            text,
            is_fault,
            times: 1,
        });
    }

    /// The text. What differs from a run without faults is marked.
    pub(super) fn into_lines(self) -> Vec<String> {
        let left_out =
            (self.left_out > 0).then(|| format!("     … {} earlier lines left out", self.left_out));
        let lines = self.lines.into_iter().map(Line::into_text);
        left_out.into_iter().chain(lines).collect()
    }
}

impl Line {
    fn into_text(self) -> String {
        let mark = if self.is_fault { '!' } else { ' ' };
        let at = self.at.as_secs_f64();
        let times = match self.times {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        format!("{mark}{at:>12.3}  {}{times}", self.text)
    }
}
