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
    reached: Mutex<Reached>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Reached {
    places: BTreeSet<(WorkflowId, String)>,
    /// The names of the steps whose bodies were to begin.
    begun: BTreeSet<String>,
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
        let mut reached = self.lock();
        if matches!(event, Event::StepStarted { .. }) && !reached.begun.contains(name) {
            reached.begun.insert(name.to_owned());
        }
        let is_new = reached.places.insert((workflow.clone(), name.to_owned()));
        drop(reached);
        if is_new {
            self.changed.notify_waiters();
        }
    }

    /// Waits until a workflow has come to a step.
    pub(super) async fn reached(&self, workflow: &WorkflowId, step: &str) {
        let place = (workflow.clone(), step.to_owned());
        loop {
            // Hears what changes from here on.
            let changed = self.changed.notified();
            if self.lock().places.contains(&place) {
                return;
            }
            changed.await;
        }
    }

    /// The names of all steps whose bodies were to begin.
    pub(super) fn begun(&self) -> BTreeSet<String> {
        self.lock().begun.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
