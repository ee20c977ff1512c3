//! The database as text, and changes that no call of `SystemDb` makes.

use std::fmt::Write;

use durable_core::{
    ids::WorkflowId,
    payload::Encoded,
    state::{Attempts, WorkflowRow},
    time::Timestamp,
};

use super::{
    Memory,
    store::{Store, Stored},
};
use crate::raw::{Payloads, RawWorkflow};

impl Memory {
    /// Everything that is stored, one line each, in a canonical order: equal databases give equal texts.
    pub fn dump(&self) -> String {
        self.commit(|store, _| dump(store, true))
    }

    /// All rows, in the order of their ids.
    pub fn rows(&self) -> Vec<WorkflowRow> {
        self.commit(|store, _| store.rows().cloned().collect())
    }

    /// Puts a workflow in as it stands, past all checks.
    pub fn put_workflow(&self, raw: &RawWorkflow) {
        let raw = raw.clone();
        self.commit(|store, _| {
            let id = raw.row.id.clone();
            let mut stored = Stored {
                row: raw.row,
                input: None,
                outcome: None,
            };
            match raw.payloads {
                Payloads::Columns => {
                    stored.input = raw.input;
                    stored.outcome = raw.outcome;
                }
                Payloads::Tables => {
                    raw.input.map(|text| store.inputs.insert(id.clone(), text));
                    raw.outcome
                        .map(|outcome| store.outcomes.insert(id.clone(), outcome));
                }
            }
            store.workflows.insert(id, stored);
        });
    }

    /// Deletes a workflow's row with all that hangs on it by a foreign key (messages, events), but neither its payloads nor its
    /// steps, as a broken delete does.
    pub fn delete_workflow_row_only(&self, id: &WorkflowId) {
        self.commit(|store, _| {
            store.workflows.remove(id);
            for mail in store.mailboxes.remove(id).unwrap_or_default() {
                store.message_ids.remove(&mail.id);
            }
            store.events.retain(|(of, _), _| of != id);
            store.event_history.retain(|(of, _), _| of != id);
        });
    }

    /// Leaves a token in a workflow's row, as other SDKs do whatever its status is.
    pub fn leave_owner(&self, id: &WorkflowId, token: &str) {
        self.commit(|store, _| {
            if let Some(stored) = store.workflows.get_mut(id) {
                stored.row.owner = Some(token.into());
            }
        });
    }

    /// Deletes a workflow with all that belongs to it.
    pub fn delete_workflow(&self, id: &WorkflowId) {
        self.delete_workflow_row_only(id);
        self.commit(|store, _| {
            store.inputs.remove(id);
            store.outcomes.remove(id);
            store.steps.remove(id);
        });
    }

    /// The text of a workflow's input.
    pub fn input(&self, id: &WorkflowId) -> Option<String> {
        self.commit(|store, _| store.input(id).map(|input| input.text))
    }

    /// The ids of the messages that were sent to a workflow, each with the step that took it.
    pub fn mailbox(&self, id: &WorkflowId) -> Vec<(String, Option<i32>)> {
        self.commit(|store, _| {
            let mailbox = store.mailboxes.get(id).into_iter().flatten();
            mailbox
                .map(|mail| (mail.id.clone(), mail.consumed_by))
                .collect()
        })
    }

    /// What was ever published under a key, with the numbers of the steps that did.
    pub fn event_history(&self, workflow: &WorkflowId, key: &str) -> Vec<(i32, Encoded)> {
        let place = (workflow.clone(), key.to_owned());
        self.commit(|store, _| {
            let history = store.event_history.get(&place).into_iter().flatten();
            history.map(|(n, value)| (*n, value.clone())).collect()
        })
    }
}

/// The database as text; times are told or left out.
pub(super) fn dump(store: &Store, times: bool) -> String {
    let mut text = String::new();
    write_dump(store, times, &mut text).expect("a string takes all that is written to it");
    text
}

fn write_dump(store: &Store, times: bool, out: &mut String) -> std::fmt::Result {
    for stored in store.workflows.values() {
        if times {
            writeln!(out, "workflow {:?}", stored.row)?;
        } else {
            let row = timeless(stored.row.clone());
            let deadline = stored.row.deadline;
            writeln!(out, "workflow {row:?} until {deadline:?}")?;
        }
        if stored.input.is_some() || stored.outcome.is_some() {
            writeln!(out, "  in its row {:?} {:?}", stored.input, stored.outcome)?;
        }
    }
    for (id, input) in &store.inputs {
        writeln!(out, "input {id:?} {input:?}")?;
    }
    for (id, outcome) in &store.outcomes {
        writeln!(out, "outcome {id:?} {outcome:?}")?;
    }
    for (id, steps) in &store.steps {
        for step in steps.values() {
            writeln!(out, "step {id:?} {step:?}")?;
        }
    }
    for row in store.rows() {
        // What an earlier workflow of an id left says nothing, and nor does what is as it is
        // without.
        let (known, _) = store.attempts_of(row);
        if known != Attempts::default() {
            writeln!(out, "of {:?} {known:?}", row.id)?;
        }
    }
    for (id, mailbox) in &store.mailboxes {
        for mail in mailbox {
            let (topic, payload) = (&mail.topic, &mail.payload);
            let sent = if times {
                mail.sent_at
            } else {
                Timestamp::default()
            };
            let taken = mail.consumed_by;
            writeln!(
                out,
                "message {id:?} at {sent} {:?} {topic:?} {payload:?} taken by {taken:?}",
                mail.id
            )?;
        }
    }
    for ((id, key), value) in &store.events {
        writeln!(out, "event {id:?} {key:?} {value:?}")?;
    }
    for ((id, key), values) in &store.event_history {
        writeln!(out, "event history {id:?} {key:?} {values:?}")?;
    }
    for (application, version) in &store.versions {
        writeln!(out, "version {application:?} {version:?}")?;
    }
    for (id, executor) in &store.executors {
        let alive = executor.holder.is_some();
        writeln!(
            out,
            "executor {id:?} life {} alive {alive}",
            executor.incarnation
        )?;
    }
    Ok(())
}

/// A row whose times tell only whether they are set.
pub(crate) fn timeless(row: WorkflowRow) -> WorkflowRow {
    let set = |at: Option<Timestamp>| at.map(|_| Timestamp::default());
    WorkflowRow {
        deadline: set(row.deadline),
        delay_until: set(row.delay_until),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        started_at: set(row.started_at),
        completed_at: set(row.completed_at),
        ..row
    }
}
