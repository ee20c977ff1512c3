//! How far the workflows of a test have come.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use durable_core::{Event, ids::WorkflowId};
use tokio::sync::Notify;

/// The steps that workflows have come to, and a bell for those who wait for one.
#[derive(Debug, Default)]
pub(super) struct Progress {
    reached: Mutex<BTreeSet<(WorkflowId, String)>>,
    changed: Notify,
}

impl Progress {
    /// Takes what an app says.
    pub(super) fn see(&self, event: &Event<'_>) {
        let (Event::StepStarted { workflow, name, .. }
        | Event::StepRecorded { workflow, name, .. }
        | Event::StepReplayed { workflow, name, .. }) = *event
        else {
            return;
        };
        if self.lock().insert((workflow.clone(), name.to_owned())) {
            self.changed.notify_waiters();
        }
    }

    /// Waits until a workflow has come to a step.
    pub(super) async fn reached(&self, workflow: &WorkflowId, step: &str) {
        let place = (workflow.clone(), step.to_owned());
        loop {
            // Hears what changes from here on.
            let changed = self.changed.notified();
            if self.lock().contains(&place) {
                return;
            }
            changed.await;
        }
    }

    /// The names of all steps that anything has come to.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.lock().iter().map(|(_, step)| step.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(WorkflowId, String)>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
