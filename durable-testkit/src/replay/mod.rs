//! Whether the code of today still fits the histories of yesterday.
//!
//! [`export`] writes the workflows of a production database to a file, [`read`] reads it, and [`verify`] runs the workflows' code
//! against them: every durable operation is answered by its record, no step body runs, and nothing is written anywhere. As a test:
//!
//! ```no_run
//! # use durable_core::AppBuilder;
//! # use durable_testkit::replay;
//! # fn register(app: AppBuilder) -> AppBuilder { app }
//! # async fn test() {
//! // `register` is what the program itself builds with: workflows, instances, codecs, state.
//! let histories = replay::read("tests/histories.jsonl").unwrap();
//! let report = replay::verify(&histories, register).await.unwrap();
//! println!("{report}");
//! report.assert_safe();
//! # }
//! ```
//!
//! What is compared: kind, name and number of every operation, the child whose result is awaited, how many operations there are, and
//! the outcome of a workflow that has ended. What is decoded: the input, each operation's value as the type that the code asks for, the
//! outcome. What is not compared, as it is not recorded with an operation: a message's destination and text, an event's key and value, the id and
//! the input of a child. Races are answered as they were: recorded sleeps end in the order of their times, and what lost is not recorded.
//!
//! Only durable operations are held back. Code in a workflow's body that writes by itself does so here, too.

mod export;
mod file;
mod judge;
mod line;
mod report;

use durable_core::{
    App, AppBuilder, Error,
    payload::{Encoded, Outcome},
    replay::{Recording, Replayer},
    state::WorkflowRow,
};

pub use export::{ExportError, Pages, export, load};
pub use file::{Lines, ReadError, Wrong, read};
pub use judge::{Difference, LeftOut, Verdict};
pub use report::{Counts, Finding, Report};

/// A workflow's history: all that a replay needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Its row. A file keeps of it what a replay needs: see [`read`].
    pub row: WorkflowRow,
    /// Its encoded arguments; `None` if none are stored.
    pub input: Option<Encoded>,
    /// Its recorded operations, in the order of their numbers.
    pub steps: Vec<durable_core::db::StepRecord>,
    /// How it ended by itself; `None` where it has not.
    pub outcome: Option<Outcome>,
}

/// Replays histories against the workflows that `register` adds to a builder, and reports what fits.
///
/// The builder's database, queues and observer are not used; what `ctx.state` gives to workflows must be there. A history is replayed for at
/// most 10 s. Errors: `Invalid` for what was given to the builder.
pub async fn verify<'a>(
    histories: impl IntoIterator<Item = &'a History>,
    register: impl FnOnce(AppBuilder) -> AppBuilder,
) -> Result<Report, Error> {
    let mut verifier = Verifier::new(register)?;
    for history in histories {
        verifier.check(history).await;
    }
    Ok(verifier.finish())
}

/// Replays one history.
pub(crate) async fn verdict(replayer: &Replayer, history: &History) -> Verdict {
    let recording = Recording {
        row: history.row.clone(),
        input: history.input.clone(),
        steps: history.steps.clone(),
    };
    let replayed = replayer.replay(&recording).await;
    judge::judge(replayer, history, replayed)
}

/// [`verify`], one history at a time: for more than fit into memory.
#[derive(Debug)]
pub struct Verifier {
    replayer: Replayer,
    report: Report,
}

impl Verifier {
    /// For the workflows that `register` adds to a builder. Errors: `Invalid` for what was given to it.
    pub fn new(register: impl FnOnce(AppBuilder) -> AppBuilder) -> Result<Self, Error> {
        Ok(Self {
            replayer: Replayer::new(register(App::builder("replay")))?,
            report: Report::default(),
        })
    }

    /// Replays one history; the verdict is in the report, too.
    pub async fn check(&mut self, history: &History) -> Verdict {
        let verdict = verdict(&self.replayer, history).await;
        self.report.add(&history.row, verdict.clone());
        verdict
    }

    /// All that was found.
    pub fn finish(self) -> Report {
        self.report
    }
}
