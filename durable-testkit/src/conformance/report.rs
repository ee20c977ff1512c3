//! Running the cases and telling what came of them.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use durable_core::__private::panic_ended;
use futures_util::FutureExt;

use super::{Case, Context, Factory, cases};

/// No case needs longer; one that does waits for something that never comes.
const LIMIT: Duration = Duration::from_mins(1);

/// What came of running cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The backend's name.
    pub backend: String,
    /// How many cases kept their promise.
    pub passed: usize,
    /// The cases that did not.
    pub failed: Vec<Failure>,
}

/// A case that found a broken promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case's name.
    pub case: &'static str,
    /// What it found.
    pub why: String,
}

impl Report {
    fn counts(&self) -> String {
        let (passed, failed) = (self.passed, self.failed.len());
        format!("{}: {passed} passed, {failed} failed", self.backend)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Failure { case, why } in &self.failed {
            writeln!(f, "{case}: {why}")?;
        }
        f.write_str(&self.counts())
    }
}

/// Runs every case, or those that the environment variable `DURABLE_CASE` selects; prints a line for each.
///
/// Panics at the end if any failed, or if none was selected. Needs a tokio runtime; one with several threads finds more.
pub async fn run(factory: &dyn Factory) -> Report {
    let filter = std::env::var("DURABLE_CASE").unwrap_or_default();
    let report = check(factory, &filter, &mut |line| println!("{line}")).await;
    // Past the capture of a test's output: how much was checked is to be seen also where nothing failed.
    let _ = writeln!(std::io::stdout(), "conformance: {}", report.counts());
    assert!(
        report.passed + report.failed.len() > 0,
        "no case has {filter:?} in its name"
    );
    assert!(report.failed.is_empty(), "{report}");
    report
}

/// Runs the cases whose name contains `filter`, each on a fresh database, and tells of each in one line.
pub async fn check(
    factory: &dyn Factory,
    filter: &str,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Report {
    let mut report = Report {
        backend: factory.name(),
        ..Report::default()
    };
    for case in cases().iter().filter(|case| case.name.contains(filter)) {
        let begun = Instant::now();
        let verdict = judge(factory, case).await;
        tell(&line(case, begun.elapsed(), verdict.as_ref().err()));
        match verdict {
            Ok(()) => report.passed += 1,
            Err(why) => report.failed.push(Failure {
                case: case.name,
                why,
            }),
        }
    }
    let closing = report.to_string();
    tell(closing.lines().next_back().unwrap_or_default());
    report
}

/// Runs one case; a panic and a standstill are verdicts too.
async fn judge(factory: &dyn Factory, case: &Case) -> Result<(), String> {
    let whole = async { (case.run)(Context::open(factory).await).await };
    let guarded = AssertUnwindSafe(whole).catch_unwind();
    match tokio::time::timeout(LIMIT, guarded).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(panic)) => Err(panic_ended(panic)),
        Err(_) => Err(format!("did not end within {LIMIT:?}")),
    }
}

fn line(case: &Case, took: Duration, why: Option<&String>) -> String {
    let verdict = if why.is_some() { "FAILED" } else { "ok" };
    let mut line = format!(
        "{verdict:6} {:9} {} ({:.1} ms)",
        case.concern,
        case.name,
        took.as_secs_f64() * 1e3
    );
    if let Some(why) = why {
        let _ = write!(line, "\n       {}", why.replace('\n', "\n       "));
    }
    line
}
