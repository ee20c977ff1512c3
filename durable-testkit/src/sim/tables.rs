//! Tables of an application in the simulated world: what its transactional steps write.

use std::collections::BTreeMap;

use durable_core::{
    db::StepRecord,
    ids::{Owner, WorkflowId},
    source::{Witness, WitnessKey},
};

/// Numbers under keys, as an open transaction sees them: the connection of [`Seat::tables`](super::Seat::tables).
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The values that it has read or written, and the versions that it found.
    seen: BTreeMap<String, (i64, u64)>,
    snapshot: BTreeMap<String, (i64, u64)>,
}

impl Rows {
    /// The number under a key; 0 if there is none.
    pub fn get(&mut self, key: &str) -> i64 {
        let found = self.snapshot.get(key).copied().unwrap_or_default();
        self.seen.entry(key.to_owned()).or_insert(found).0
    }

    /// Adds to the number under a key, and gives the sum.
    pub fn add(&mut self, key: &str, by: i64) -> i64 {
        let sum = self.get(key).saturating_add(by);
        if let Some((number, _)) = self.seen.get_mut(key) {
            *number = sum;
        }
        sum
    }
}

/// The tables of one database, with its witnesses if it is not the system database.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Numbers, and how often each was written.
    rows: BTreeMap<String, (i64, u64)>,
    witnesses: BTreeMap<(WorkflowId, String, i32), Witness>,
    /// The transaction that has checked a workflow's owner last and may commit: it would hold the lock on its row.
    locks: BTreeMap<WorkflowId, u64>,
    transactions: u64,
}

/// What a transaction commits.
#[derive(Clone, Debug)]
pub(super) enum Staged {
    /// Only its rows.
    Nothing,
    /// A checkpoint, in the system database.
    Checkpoint(Owner, StepRecord),
    /// A witness, in another one.
    Witness(WitnessKey, Witness),
}

impl Tables {
    /// Begins a transaction: its number, and what it sees.
    pub(super) fn begin(&mut self) -> (u64, Rows) {
        self.transactions += 1;
        let rows = Rows {
            seen: BTreeMap::new(),
            snapshot: self.rows.clone(),
        };
        (self.transactions, rows)
    }

    /// Takes the lock on a workflow's row; whoever had it is rolled back.
    pub(super) fn lock(&mut self, workflow: &WorkflowId, transaction: u64) {
        self.locks.insert(workflow.clone(), transaction);
    }

    pub(super) fn is_locked_by(&self, workflow: &WorkflowId, transaction: u64) -> bool {
        self.locks.get(workflow) == Some(&transaction)
    }

    /// Rolls back whoever has the lock on a workflow's row.
    pub(super) fn unlock(&mut self, workflow: &WorkflowId) {
        self.locks.remove(workflow);
    }

    /// Whether nothing that a transaction has seen was written since.
    pub(super) fn are_as_seen(&self, rows: &Rows) -> bool {
        rows.seen.iter().all(|(key, (_, version))| {
            self.rows.get(key).map_or(0, |(_, version)| *version) == *version
        })
    }

    pub(super) fn apply(&mut self, rows: Rows) {
        for (key, (number, version)) in rows.seen {
            self.rows.insert(key, (number, version + 1));
        }
    }

    pub(super) fn witness(&self, key: &WitnessKey) -> Option<Witness> {
        self.witnesses.get(&place(key)).cloned()
    }

    pub(super) fn leave(&mut self, key: &WitnessKey, witness: Witness) {
        self.witnesses.insert(place(key), witness);
    }
}

fn place(key: &WitnessKey) -> (WorkflowId, String, i32) {
    (key.workflow.clone(), key.incarnation.clone(), key.number)
}
