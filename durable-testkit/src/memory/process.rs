//! Processes that are connected to a database: what an executor's life hangs on.

use std::sync::{Arc, Weak};

use super::Shared;

/// A connected process. Ends when the last handle of it is dropped.
pub(super) struct Process {
    id: u64,
    shared: Weak<Shared>,
}

impl Process {
    pub(super) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            id: shared.commit(|store, _| store.admit_process()),
            shared: Arc::downgrade(shared),
        })
    }

    /// The same process on a copy of its database.
    #[cfg(feature = "model-check")]
    pub(super) fn on(&self, copy: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            id: self.id,
            shared: Arc::downgrade(copy),
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn end(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.commit(|store, _| store.end_process(self.id));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
