//! What happened, one line for each thing that a person would tell.

use std::{collections::VecDeque, fmt, time::Duration};

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
        let times: Vec<_> = self
            .lines
            .iter()
            .map(|line| Since(line.at).to_string())
            .collect();
        let width = times.iter().map(String::len).max().unwrap_or(0).max(12);
        let lines = self.lines.into_iter().zip(times);
        let lines = lines.map(|(line, at)| line.into_text(&format!("{at:>width$}")));
        left_out.into_iter().chain(lines).collect()
    }
}

impl Line {
    fn into_text(self, at: &str) -> String {
        let mark = if self.is_fault { '!' } else { ' ' };
        let times = match self.times {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        format!("{mark}{at}  {}{times}", self.text)
    }
}

/// A time since a run's beginning: in seconds, from an hour on in hours, and from a day on in days.
struct Since(Duration);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, ms) = (self.0.as_secs(), self.0.subsec_millis());
        let (minutes, hours, days) = (all / 60, all / 3_600, all / 86_400);
        if hours == 0 {
            return write!(f, "{all}.{ms:03}");
        }
        if days > 0 {
            write!(f, "{days}d ")?;
        }
        write!(
            f,
            "{:02}:{:02}:{:02}.{ms:03}",
            hours % 24,
            minutes % 60,
            all % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_units_that_a_person_reads() {
        for (ms, text) in [
            (0, "0.000"),
            (3_599_999, "3599.999"),
            (3_600_000, "01:00:00.000"),
            (86_399_050, "23:59:59.050"),
            (3 * 86_400_000 + 61_001, "3d 00:01:01.001"),
        ] {
            assert_eq!(Since(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
