//! What must be done again and again: deadlines, recovery, the clock; and listening to hints.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;

use super::Engine;
use crate::{db::Hint, sabotage::Bug};

/// How often the database's clock is read again.
const CLOCK_REFRESH: Duration = Duration::from_secs(30);

impl Engine {
    /// Reads the database's clock again.
    pub(super) async fn refresh_clock(&self) {
        if let Err(error) = self.clock.refresh(&*self.db).await {
            tracing::error!(%error, "the database's clock could not be read");
        }
    }
}

/// Cancels what is due, also where no process runs it; and tells what was withheld until its minute was over.
pub(super) async fn sweep_deadlines(engine: Arc<Engine>) {
    loop {
        engine.poll_pause(engine.settings.poll).await;
        if !Bug::DeadlinesNotSwept.is_planted() {
            engine.expire_deadlines().await;
        }
        engine.tell_withheld(false);
    }
}

/// Takes over what dead executors leave while this one lives.
pub(super) async fn keep_recovering(engine: Arc<Engine>) {
    loop {
        engine.poll_pause(engine.settings.recovery).await;
        if Bug::RecoversOnlyAtLaunch.is_planted() {
            continue;
        }
        match engine.recover().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "abandoned workflows recovered"),
            Err(error) => tracing::error!(%error, "recovery failed"),
        }
    }
}

/// Keeps the estimate of the database's clock close.
pub(super) async fn keep_clock(engine: Arc<Engine>) {
    loop {
        engine.poll_pause(CLOCK_REFRESH).await;
        engine.refresh_clock().await;
    }
}

/// Passes the database's hints to whom they may concern.
pub(super) async fn listen(engine: Arc<Engine>) {
    let mut hints = engine.db.hints();
    while let Some(hint) = hints.next().await {
        match &hint {
            Hint::Queue(queue) => engine.wake_queue(queue),
            Hint::Anything => {
                engine.wake_queues();
                engine.waiters.look_again();
            }
            Hint::Workflow(id) => {
                let owners = engine.running.owners_of(id);
                engine.waiters.workflow_changed(id, owners);
            }
            Hint::Message(workflow, topic) => engine.waiters.message_arrived(workflow, topic),
            Hint::Event(workflow, key) => engine.waiters.event_set(workflow, key),
        }
    }
}
