//! The database's clock, estimated between two looks at it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{
    db::{self, SystemDb},
    runtime::Runtime,
    time::{Timestamp, millis},
};

/// An answer that took no longer is as good as any; a slower one is asked for again, at most so many times: the process may have stood
/// still, or the network.
const CLOSE: Duration = Duration::from_millis(250);
const LOOKS: u32 = 4;

/// The database's clock as this process knows it: the last answer, moved on by this process's monotonic clock.
pub(crate) struct DbClock {
    runtime: Arc<dyn Runtime>,
    /// Database time minus elapsed time, in milliseconds.
    offset: AtomicI64,
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
            self.offset.store(offset, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The database's time now, as far as this process can tell.
    pub(crate) fn now(&self) -> Timestamp {
        let offset = self.offset.load(Ordering::Relaxed);
        Timestamp::from_millis(millis(self.runtime.elapsed()).saturating_add(offset))
    }

    /// How long until the database's clock shows `at`.
    pub(crate) fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now())
    }
}
