//! Where an execution in this process leaves its workflow's outcome for the handles that wait for it.

use tokio::sync::watch;

use crate::{Error, payload::Ended};

/// What is known of an execution's end.
#[derive(Clone, Debug)]
pub(crate) enum SlotState {
    /// It runs.
    Running,
    /// It ended its workflow.
    Ended(Ended),
    /// It was superseded: the database will tell.
    Elsewhere,
    /// It was stopped, and its workflow is unfinished.
    Stopped(Error),
}

/// One execution's outcome, for any number of waiters.
#[derive(Debug)]
pub(crate) struct ResultSlot(watch::Sender<SlotState>);

impl ResultSlot {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(SlotState::Running))
    }

    /// Says how it ended; only the first time counts.
    pub(crate) fn settle(&self, end: SlotState) {
        self.0.send_if_modified(|state| {
            let first = matches!(state, SlotState::Running);
            if first {
                *state = end;
            }
            first
        });
    }

    /// Waits until it has ended.
    pub(crate) async fn wait(&self) -> SlotState {
        let mut receiver = self.0.subscribe();
        match receiver
            .wait_for(|state| !matches!(state, SlotState::Running))
            .await
        {
            Ok(state) => state.clone(),
            // The sender is `self`, so it cannot be gone; were it, the database would know.
            Err(_) => SlotState::Elsewhere,
        }
    }
}
