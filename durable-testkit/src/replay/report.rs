//! What a verification found, for people and for tests.

use std::{collections::BTreeMap, fmt};

use durable_core::{ids::WorkflowKey, state::WorkflowRow};

use super::Verdict;

/// How many findings of one report are shown whole, and how many ids of like ones.
const SHOWN: usize = 20;
const IDS: usize = 3;

/// What a verification found. Its text is for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How many histories there are of each workflow and application version.
    pub counts: BTreeMap<(WorkflowKey, Option<String>), Counts>,
    /// All that is not safe, in the order in which it was checked.
    pub findings: Vec<Finding>,
}

/// The histories of one workflow and version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// [`Verdict::Safe`].
    pub safe: u64,
    /// [`Verdict::SafeSoFar`].
    pub safe_so_far: u64,
    /// [`Verdict::Differs`].
    pub differ: u64,
    /// [`Verdict::LeavesOut`].
    pub leave_out: u64,
    /// [`Verdict::CannotDecode`].
    pub cannot_decode: u64,
    /// [`Verdict::NotRegistered`].
    pub not_registered: u64,
    /// [`Verdict::CannotRun`].
    pub cannot_run: u64,
}

/// A history that the code does not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The workflow's id.
    pub id: String,
    /// What it was started as.
    pub key: WorkflowKey,
    /// The version that it was started by.
    pub version: Option<String>,
    /// What is wrong; never a safe one.
    pub verdict: Verdict,
}

impl Report {
    pub(super) fn add(&mut self, row: &WorkflowRow, verdict: Verdict) {
        let place = (row.key.clone(), row.version.clone());
        let counts = self.counts.entry(place).or_default();
        let count = match verdict {
            Verdict::Safe => &mut counts.safe,
            Verdict::SafeSoFar { .. } => &mut counts.safe_so_far,
            Verdict::Differs(_) => &mut counts.differ,
            Verdict::LeavesOut(_) => &mut counts.leave_out,
            Verdict::CannotDecode { .. } => &mut counts.cannot_decode,
            Verdict::NotRegistered => &mut counts.not_registered,
            Verdict::CannotRun(_) => &mut counts.cannot_run,
        };
        *count += 1;
        if !verdict.is_safe() {
            self.findings.push(Finding {
                id: row.id.to_string(),
                key: row.key.clone(),
                version: row.version.clone(),
                verdict,
            });
        }
    }

    /// The sum over all workflows and versions.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.counts.values() {
            total.safe += counts.safe;
            total.safe_so_far += counts.safe_so_far;
            total.differ += counts.differ;
            total.leave_out += counts.leave_out;
            total.cannot_decode += counts.cannot_decode;
            total.not_registered += counts.not_registered;
            total.cannot_run += counts.cannot_run;
        }
        total
    }

    /// Whether something was checked and all of it is safe.
    pub fn is_safe(&self) -> bool {
        self.findings.is_empty() && !self.counts.is_empty()
    }

    /// Panics with the report's text unless something was checked and all of it is safe.
    #[track_caller]
    pub fn assert_safe(&self) {
        assert!(
            !self.counts.is_empty(),
            "{self}, so nothing shows that the code is safe; is it the right file, database or application?"
        );
        assert!(
            self.is_safe(),
            "the code does not fit its histories\n{self}"
        );
    }

    /// Findings of one kind of one workflow and version, with all their ids.
    fn groups(&self) -> Vec<(&Finding, Vec<&str>)> {
        let mut groups: Vec<(&Finding, Vec<&str>)> = Vec::new();
        let mut known: BTreeMap<(&WorkflowKey, Option<&str>, String), usize> = BTreeMap::new();
        for finding in &self.findings {
            let kind = finding.verdict.kind();
            let place = (&finding.key, finding.version.as_deref(), kind);
            let group = *known.entry(place).or_insert(groups.len());
            match groups.get_mut(group) {
                Some((_, ids)) => ids.push(&finding.id),
                None => groups.push((finding, vec![&finding.id])),
            }
        }
        groups
    }
}

impl Counts {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.safe
            + self.safe_so_far
            + self.differ
            + self.leave_out
            + self.cannot_decode
            + self.not_registered
            + self.cannot_run
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} safe, {} safe so far", self.safe, self.safe_so_far)?;
        let troubles = [
            (self.differ, "differ"),
            (self.leave_out, "leave out what is recorded"),
            (self.cannot_decode, "cannot be decoded"),
            (self.not_registered, "not registered"),
            (self.cannot_run, "cannot be replayed"),
        ];
        for (count, what) in troubles.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        if total.all() == 0 {
            return f.write_str("no history was checked");
        }
        let plural = if total.all() == 1 { "y" } else { "ies" };
        write!(f, "{} histor{plural}: {total}", total.all())?;
        for ((key, version), counts) in &self.counts {
            write!(f, "\n  {}: {counts}", Named(key, version.as_deref()))?;
        }
        let groups = self.groups();
        for (finding, ids) in groups.iter().take(SHOWN) {
            let named = Named(&finding.key, finding.version.as_deref());
            write!(f, "\n\n  {:?} ({named}) {}", finding.id, finding.verdict)?;
            if let [_, like @ ..] = ids.as_slice()
                && !like.is_empty()
            {
                let shown: Vec<_> = like.iter().take(IDS).map(|id| format!("{id:?}")).collect();
                let more = if like.len() > IDS { ", …" } else { "" };
                write!(
                    f,
                    "\n    and {} like it: {}{more}",
                    like.len(),
                    shown.join(", ")
                )?;
            }
        }
        if groups.len() > SHOWN {
            write!(f, "\n\n  … and {} more kinds", groups.len() - SHOWN)?;
        }
        Ok(())
    }
}

/// A workflow and its version.
struct Named<'a>(&'a WorkflowKey, Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(version) => write!(f, "{}, version {version}", self.0),
            None => write!(f, "{}, no version", self.0),
        }
    }
}
