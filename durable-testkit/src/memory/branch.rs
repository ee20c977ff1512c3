//! Databases that go on from one state in several ways.

use std::sync::{Arc, Mutex};

use durable_core::{
    db::HintHub,
    ids::{ExecutorId, WorkflowId},
};

use super::{Memory, Shared, dump};

impl Memory {
    /// A copy of the database, as these processes of it see theirs. What changes in one does not change in the other.
    pub(crate) fn branch(processes: &[Self]) -> Vec<Self> {
        let Some(first) = processes.first() else {
            return Vec::new();
        };
        let copy = Arc::new(Shared {
            store: Mutex::new(first.commit(|store, _| store.clone())),
            hints: HintHub::new(),
            clock: first.shared.clock.clone(),
            lacking: first.shared.lacking,
        });
        let on_copy = |process: &Self| Self {
            process: process.process.on(&copy),
            shared: Arc::clone(&copy),
        };
        processes.iter().map(on_copy).collect()
    }

    /// Everything that is stored, as in a [`dump`](Self::dump), but for the times that the database gave.
    pub(crate) fn timeless_dump(&self) -> String {
        self.commit(|store, _| dump::dump(store, false))
    }

    /// Does something while these workflows' rows cannot be seen.
    pub(crate) fn without_rows<T>(&self, ids: &[WorkflowId], act: impl FnOnce() -> T) -> T {
        let hidden: Vec<_> = self.commit(|store, _| {
            let hide = |id: &WorkflowId| store.workflows.remove_entry(id);
            ids.iter().filter_map(hide).collect()
        });
        let done = act();
        self.commit(|store, _| store.workflows.extend(hidden));
        done
    }

    /// The number of each executor's present or last life.
    pub(crate) fn lives(&self) -> Vec<(ExecutorId, i64)> {
        self.commit(|store, _| {
            let executors = store.executors.iter();
            executors
                .map(|(id, executor)| (id.clone(), executor.incarnation))
                .collect()
        })
    }
}
