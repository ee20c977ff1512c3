//! Histories out of a database.

use std::{collections::BTreeMap, io::Write};

use durable_core::{
    db::{DbError, Result, SystemDb, Waits},
    ids::WorkflowId,
    payload::{Ended, Outcome},
    state::Status,
};

use super::{History, line};

/// How many workflows are read at once.
const PAGE: usize = 200;

/// The histories of an application, some at a time. Reads only.
#[derive(Debug)]
pub struct Pages<'a> {
    db: &'a dyn SystemDb,
    application: String,
    after: Option<WorkflowId>,
    done: bool,
}

impl<'a> Pages<'a> {
    /// Those of the application, or of none, in the database's order of their ids.
    pub fn new(db: &'a dyn SystemDb, application: impl Into<String>) -> Self {
        Self {
            db,
            application: application.into(),
            after: None,
            done: false,
        }
    }

    /// The next 200 at most; `None` when there are no more. What changes meanwhile may be seen or not, each workflow at most once.
    pub async fn next(&mut self) -> Result<Option<Vec<History>>> {
        if self.done {
            return Ok(None);
        }
        let after = self.after.as_ref();
        let listed = self.db.list(&self.application, after, PAGE).await?;
        self.done = listed.len() < PAGE;
        let Some(last) = listed.last() else {
            return Ok(None);
        };
        self.after = Some(last.row.id.clone());
        let ids: Vec<WorkflowId> = listed.iter().map(|found| found.row.id.clone()).collect();
        let histories = self.db.histories(&ids).await?.into_iter();
        let mut steps: BTreeMap<_, _> = histories.map(|of| (of.workflow, of.steps)).collect();
        // Asked last, and only of what had ended at first: so no outcome is without its steps.
        let ended = listed
            .iter()
            .filter(|found| matches!(found.row.status, Status::Success | Status::Error));
        let mut outcomes = self
            .outcomes(ended.map(|found| found.row.id.clone()))
            .await?;
        let whole = listed.into_iter().map(|found| History {
            steps: steps.remove(&found.row.id).unwrap_or_default(),
            outcome: outcomes.remove(&found.row.id),
            row: found.row,
            input: found.input,
        });
        Ok(Some(whole.collect()))
    }

    async fn outcomes(
        &self,
        ids: impl Iterator<Item = WorkflowId>,
    ) -> Result<BTreeMap<WorkflowId, Outcome>> {
        let waits = Waits {
            results: ids.collect(),
            ..Waits::default()
        };
        if waits.is_empty() {
            return Ok(BTreeMap::new());
        }
        let wakes = self.db.poll(&waits).await?;
        let ends = wakes.results.into_iter();
        Ok(ends
            .filter_map(|(id, ended)| match ended {
                Ended::Outcome(outcome) => Some((id, outcome)),
                Ended::Cancelled | Ended::DeadLettered | Ended::Missing => None,
            })
            .collect())
    }
}

/// All histories of an application, in memory. Reads only.
pub async fn load(db: &dyn SystemDb, application: &str) -> Result<Vec<History>> {
    let mut pages = Pages::new(db, application);
    let mut all = Vec::new();
    while let Some(page) = pages.next().await? {
        all.extend(page);
    }
    Ok(all)
}

/// Writes all histories of an application as lines that [`read`](super::read) reads; how many.
///
/// Reads the database only. Payloads are written as they are stored: a file holds what production holds, so keep it like that, or
/// choose histories by [`Pages`] and write them by [`History::to_line`].
pub async fn export(
    db: &dyn SystemDb,
    application: &str,
    mut writer: impl Write,
) -> Result<u64, ExportError> {
    let mut pages = Pages::new(db, application);
    let mut count = 0;
    while let Some(page) = pages.next().await? {
        for history in &page {
            writeln!(writer, "{}", history.to_line())?;
            count += 1;
        }
    }
    writer.flush()?;
    Ok(count)
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The database could not be read.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The lines could not be written.
    #[error("the histories cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

impl History {
    /// The history as one line of a file, without its end.
    pub fn to_line(&self) -> String {
        line::Line::of(self).text()
    }
}
