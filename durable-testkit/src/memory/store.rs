//! The data, and what several concerns do with it.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::{
    db::{Hint, Lost, Recorded, Serves, StepRecord},
    ids::{ExecutorId, Owner, WorkflowId},
    payload::{Encoded, Outcome},
    sabotage::Bug,
    state::{
        Attempts, WorkflowRow,
        transition::{Event, Refusal, apply},
    },
    time::Timestamp,
};

/// All tables.
#[derive(Clone, Default)]
pub(super) struct Store {
    pub(super) workflows: BTreeMap<WorkflowId, Stored>,
    /// Payload tables: no foreign keys, so an entry may outlive its workflow.
    pub(super) inputs: BTreeMap<WorkflowId, String>,
    pub(super) outcomes: BTreeMap<WorkflowId, Outcome>,
    pub(super) steps: BTreeMap<WorkflowId, BTreeMap<i32, StepRecord>>,
    /// What is known of workflows' executions beside their number, each with the incarnation that
    /// it is of.
    pub(super) attempts: BTreeMap<WorkflowId, (String, Attempts)>,
    /// Mailboxes, each in the order in which its messages came.
    pub(super) mailboxes: BTreeMap<WorkflowId, Vec<Mail>>,
    pub(super) message_ids: BTreeSet<String>,
    pub(super) events: BTreeMap<(WorkflowId, String), Encoded>,
    pub(super) event_history: BTreeMap<(WorkflowId, String), BTreeMap<i32, Encoded>>,
    /// Application and version, in the order of their registration.
    pub(super) versions: Vec<(String, String)>,
    pub(super) executors: BTreeMap<ExecutorId, Executor>,
    processes: BTreeSet<u64>,
    /// Processes that stand still: their executors may be taken for dead.
    silent: BTreeSet<u64>,
    admitted: u64,
    /// The `created_at` that was given last on each queue.
    last_enqueued: BTreeMap<String, Timestamp>,
    hints: Vec<Hint>,
}

/// A workflow's row, with the payload columns that older versions of the schema had in it.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) row: WorkflowRow,
    pub(super) input: Option<String>,
    pub(super) outcome: Option<Outcome>,
}

/// A message in a mailbox.
#[derive(Clone)]
pub(super) struct Mail {
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) payload: Encoded,
    pub(super) sent_at: Timestamp,
    /// The step that took it.
    pub(super) consumed_by: Option<i32>,
}

/// An executor id that was joined at least once.
#[derive(Clone)]
pub(super) struct Executor {
    pub(super) incarnation: i64,
    pub(super) application: String,
    /// The declaration of its last life.
    pub(super) serves: Option<Serves>,
    /// The living process that holds it.
    pub(super) holder: Option<u64>,
}

impl Store {
    pub(super) fn row(&self, id: &WorkflowId) -> Option<&WorkflowRow> {
        self.workflows.get(id).map(|stored| &stored.row)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &WorkflowRow> {
        self.workflows.values().map(|stored| &stored.row)
    }

    /// How a workflow stands, for a writer whose token is not its row's.
    pub(super) fn lost(&self, id: &WorkflowId) -> Lost {
        Lost {
            status: self.row(id).map(|row| row.status),
        }
    }

    /// Whether this is the token of the running execution.
    pub(super) fn check_owner(&self, owner: &Owner) -> Result<(), Lost> {
        match self.row(&owner.workflow) {
            Some(row) if row.is_owned_by(&owner.token) => Ok(()),
            Some(_) if Bug::SkipsOwnerCheck.is_planted() => Ok(()),
            _ => Err(self.lost(&owner.workflow)),
        }
    }

    /// Lets an event happen to a row, if there is one and the machine allows it; answers the row after it.
    pub(super) fn change(
        &mut self,
        id: &WorkflowId,
        event: &Event<'_>,
        now: Timestamp,
    ) -> Option<Result<WorkflowRow, Refusal>> {
        let stored = self.workflows.get_mut(id)?;
        let changed = apply(&stored.row, event, now);
        if let Ok(row) = &changed {
            stored.row = row.clone();
        }
        Some(changed)
    }

    /// What is known of the executions of this row beside their number, and how many operations are
    /// recorded.
    pub(super) fn attempts_of(&self, row: &WorkflowRow) -> (Attempts, i64) {
        let known = self.attempts.get(&row.id);
        let known = known.filter(|(incarnation, _)| *incarnation == row.incarnation());
        let steps = self.steps.get(&row.id).map_or(0, BTreeMap::len);
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        (
            known.map(|(_, known)| known.clone()).unwrap_or_default(),
            steps,
        )
    }

    /// How many dispatches of this row do not count as crashes.
    pub(super) fn excused(&self, row: &WorkflowRow) -> i64 {
        self.attempts_of(row).0.excused
    }

    /// Changes what is known of the executions of this row; `change` gets how many operations are
    /// recorded.
    pub(super) fn note_attempts(
        &mut self,
        row: &WorkflowRow,
        change: impl FnOnce(&Attempts, i64) -> Attempts,
    ) {
        let (known, steps) = self.attempts_of(row);
        let known = change(&known, steps);
        let noted = (row.incarnation(), known);
        self.attempts.insert(row.id.clone(), noted);
    }

    pub(super) fn input(&self, id: &WorkflowId) -> Option<Encoded> {
        let stored = self.workflows.get(id)?;
        let text = self.inputs.get(id).or(stored.input.as_ref())?;
        Some(Encoded {
            text: text.clone(),
            format: stored.row.format.clone(),
        })
    }

    pub(super) fn outcome(&self, id: &WorkflowId) -> Option<&Outcome> {
        let in_row = || self.workflows.get(id)?.outcome.as_ref();
        self.outcomes.get(id).or_else(in_row)
    }

    /// One column names the format of input and outcome: what came last.
    pub(super) fn set_format(&mut self, id: &WorkflowId, outcome: &Outcome) {
        let (Outcome::Success(payload) | Outcome::Failure(payload)) = outcome;
        if let (Some(stored), Some(format)) = (self.workflows.get_mut(id), &payload.format) {
            stored.row.format = Some(format.clone());
        }
    }

    pub(super) fn step(&self, id: &WorkflowId, number: i32) -> Option<&StepRecord> {
        self.steps.get(id)?.get(&number)
    }

    /// Records a step of an execution that was checked to hold its token.
    pub(super) fn record(&mut self, id: &WorkflowId, step: &StepRecord) -> Recorded {
        let steps = self.steps.entry(id.clone()).or_default();
        let recorded = steps.entry(step.number).or_insert_with(|| step.clone());
        if recorded == step {
            Recorded::Written
        } else {
            Recorded::Conflict(Box::new(recorded.clone()))
        }
    }

    /// When a row that goes on this queue now is created: after all that went on it before.
    pub(super) fn place_on(&mut self, queue: &str, now: Timestamp) -> Timestamp {
        let place = match self.last_enqueued.get(queue) {
            Some(last) => now.max(after(*last)),
            None => now,
        };
        self.last_enqueued.insert(queue.to_owned(), place);
        place
    }

    pub(super) fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    pub(super) fn take_hints(&mut self) -> Vec<Hint> {
        std::mem::take(&mut self.hints)
    }

    pub(super) fn admit_process(&mut self) -> u64 {
        self.admitted += 1;
        self.processes.insert(self.admitted);
        self.admitted
    }

    /// Says whether a process shows no life.
    pub(super) fn fall_silent(&mut self, process: u64, silent: bool) {
        if silent {
            self.silent.insert(process);
        } else {
            self.silent.remove(&process);
        }
    }

    pub(super) fn is_silent(&self, process: u64) -> bool {
        self.silent.contains(&process)
    }

    pub(super) fn end_process(&mut self, process: u64) {
        self.processes.remove(&process);
        self.silent.remove(&process);
        for executor in self.executors.values_mut() {
            if executor.holder == Some(process) {
                executor.holder = None;
            }
        }
    }

    pub(super) fn is_running(&self, process: u64) -> bool {
        self.processes.contains(&process)
    }
}

/// The next instant that can be told from this one.
pub(super) fn after(instant: Timestamp) -> Timestamp {
    Timestamp::from_millis(instant.as_millis().saturating_add(1))
}
