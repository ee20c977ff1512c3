//! Stages, run one after the other up to the first that fails, with a table of durations at the end.

use std::time::{Duration, Instant};

use crate::{
    failure::Failure,
    screen::{self, Tone, spoken},
};

/// How a stage ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// All of it was done, and passed.
    Passed,
    /// It could not be done here, for this reason, and need not be.
    LeftOut(String),
}

/// One thing to do, with the name that the table shows.
pub(crate) struct Stage<'a> {
    name: &'static str,
    work: Box<dyn FnOnce() -> Result<Done, Failure> + 'a>,
}

impl<'a> Stage<'a> {
    /// A stage that passes or fails.
    pub(crate) fn new(name: &'static str, work: impl FnOnce() -> Result<(), Failure> + 'a) -> Self {
        Self::optional(name, move || work().map(|()| Done::Passed))
    }

    /// A stage that may find that it has to be left out.
    pub(crate) fn optional(
        name: &'static str,
        work: impl FnOnce() -> Result<Done, Failure> + 'a,
    ) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }

    /// Its name.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

/// What became of one stage.
#[derive(Debug)]
enum Verdict {
    Done(Done),
    Failed(Failure),
    NotRun,
}

/// What became of all stages.
#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Verdict, Duration)>,
}

/// Runs the stages in order; after the first that fails no other is run.
pub(crate) fn run(stages: Vec<Stage<'_>>) -> Report {
    let mut rows = Vec::with_capacity(stages.len());
    let mut failed = false;
    for Stage { name, work } in stages {
        if failed {
            rows.push((name, Verdict::NotRun, Duration::ZERO));
            continue;
        }
        screen::heading(&format!("== {name}"));
        let start = Instant::now();
        let verdict = match work() {
            Ok(done) => Verdict::Done(done),
            Err(failure) => Verdict::Failed(failure),
        };
        let took = start.elapsed();
        match &verdict {
            Verdict::Done(Done::LeftOut(why)) => screen::line(format_args!("left out: {why}")),
            Verdict::Failed(failure) => {
                failed = true;
                screen::error(&failure.to_string());
            }
            Verdict::Done(Done::Passed) | Verdict::NotRun => {}
        }
        rows.push((name, verdict, took));
    }
    Report { rows }
}

impl Report {
    /// Whether the stage of that name was run, and passed.
    pub(crate) fn passed(&self, stage: &str) -> bool {
        let passed = |verdict: &Verdict| matches!(verdict, Verdict::Done(Done::Passed));
        self.rows
            .iter()
            .any(|(name, verdict, _)| *name == stage && passed(verdict))
    }

    /// Shows the table: a line for each stage, and the total.
    pub(crate) fn show(&self) {
        screen::heading("Summary");
        for (name, verdict, took) in &self.rows {
            let (word, tone, note) = match verdict {
                Verdict::Done(Done::Passed) => ("passed", Tone::Green, ""),
                Verdict::Done(Done::LeftOut(why)) => ("left out", Tone::Yellow, why.as_str()),
                Verdict::Failed(_) => ("FAILED", Tone::Red, ""),
                Verdict::NotRun => ("not run", Tone::Plain, ""),
            };
            let word = screen::paint(tone, &format!("{word:<9}"));
            let took = match verdict {
                Verdict::NotRun => String::new(),
                Verdict::Done(_) | Verdict::Failed(_) => spoken(*took),
            };
            let row = format!("  {name:<14} {word} {took:>12}  {note}");
            screen::line(row.trim_end());
        }
        let total = self.rows.iter().map(|(_, _, took)| *took).sum();
        screen::line(format_args!(
            "  {:<14} {:9} {:>12}",
            "total",
            "",
            spoken(total)
        ));
    }

    /// What `command` ends with.
    pub(crate) fn verdict(&self, command: &str) -> Result<(), Failure> {
        match self.first_failure() {
            None => Ok(()),
            Some((name, failure)) => Err(Failure::failed(format!(
                "`cargo xtask {command}` failed in the stage `{name}`: {failure}"
            ))),
        }
    }

    /// The stage that failed, if one did.
    fn first_failure(&self) -> Option<(&'static str, &Failure)> {
        self.rows
            .iter()
            .find_map(|(name, verdict, _)| match verdict {
                Verdict::Failed(failure) => Some((*name, failure)),
                Verdict::Done(_) | Verdict::NotRun => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn nothing_is_run_after_the_first_failure() {
        let ran = RefCell::new(Vec::new());
        let note = |name| ran.borrow_mut().push(name);
        let stages = vec![
            Stage::new("first", || {
                note("first");
                Ok(())
            }),
            Stage::optional("second", || {
                note("second");
                Ok(Done::LeftOut("no tool".to_owned()))
            }),
            Stage::new("third", || {
                note("third");
                Err(Failure::failed("it broke"))
            }),
            Stage::new("fourth", || {
                note("fourth");
                Ok(())
            }),
        ];
        let report = run(stages);
        assert_eq!(*ran.borrow(), ["first", "second", "third"]);
        assert!(report.passed("first"));
        for stage in ["second", "third", "fourth", "unknown"] {
            assert!(!report.passed(stage), "{stage}");
        }
        let Err(Failure::Failed(text)) = report.verdict("ci") else {
            panic!("a stage failed");
        };
        assert!(
            text.contains("`third`") && text.contains("it broke"),
            "{text}"
        );
    }

    #[test]
    fn a_stage_that_is_left_out_does_not_fail_the_command() {
        let stages = vec![Stage::optional("licences", || {
            Ok(Done::LeftOut("no tool".to_owned()))
        })];
        let report = run(stages);
        assert_eq!(report.verdict("ci"), Ok(()));
    }
}
