//! The database's clock, estimated between two looks at it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, futures::Notified};

use crate::{
    db::{self, SystemDb},
    runtime::Runtime,
    time::{Timestamp, millis},
};

/// An answer that took no longer is as good as any; a slower one is asked for again, at most so many times: the process may have stood
/// still, or the network.
const CLOSE: Duration = Duration::from_millis(250);
const LOOKS: u32 = 4;

/// From how many milliseconds on whoever waits for a time looks again.
const JUMP: i64 = 1000;

/// The database's clock as this process knows it: the last answer, moved on by this process's monotonic clock.
pub(crate) struct DbClock {
    runtime: Arc<dyn Runtime>,
    /// Database time minus elapsed time, in milliseconds.
    offset: AtomicI64,
    jumps: Notify,
}

impl DbClock {
    /// Asks the database once.
    pub(super) async fn read(runtime: Arc<dyn Runtime>, db: &dyn SystemDb) -> db::Result<Self> {
        let clock = Self::unset(runtime);
        clock.refresh(db).await?;
        Ok(clock)
    }

    /// A clock that no database has set: for replays, which compare no times.
    pub(super) fn unset(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime,
            offset: AtomicI64::new(0),
            jumps: Notify::new(),
        }
    }

    /// Asks the database again.
    pub(super) async fn refresh(&self, db: &dyn SystemDb) -> db::Result<()> {
        let mut best: Option<(Duration, i64)> = None;
        for _ in 0..LOOKS {
            let asked = self.runtime.elapsed();
            let now = db.now().await?;
            let answered = self.runtime.elapsed();
            // The answer is as old as the way back took: at most this old. So the estimate is never ahead, and behind by no more.
            let age = answered.saturating_sub(asked);
            let offset = now.as_millis().saturating_sub(millis(answered));
            if best.is_none_or(|(least, _)| age < least) {
                best = Some((age, offset));
            }
            if age <= CLOSE {
                break;
            }
        }
        if let Some((_, offset)) = best {
            let before = self.offset.swap(offset, Ordering::Relaxed);
            if offset.saturating_sub(before) > JUMP {
                self.jumps.notify_waiters();
            }
        }
        Ok(())
    }

    /// The database's time now, as far as this process can tell.
    pub(crate) fn now(&self) -> Timestamp {
        let offset = self.offset.load(Ordering::Relaxed);
        Timestamp::from_millis(millis(self.runtime.elapsed()).saturating_add(offset))
    }

    /// Ends when the database's clock turns out to be much further than it seemed: this machine was suspended, or another server took over.
    pub(crate) fn jumps(&self) -> Notified<'_> {
        self.jumps.notified()
    }

    /// How long until the database's clock shows `at`.
    pub(crate) fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now())
    }
}
