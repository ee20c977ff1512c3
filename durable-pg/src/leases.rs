//! Leases: an executor whose process is paused, or cannot be reached, loses its work although the server still keeps its lock.
//!
//! An executor declares a lease when it begins to live, and from then on writes its heartbeat: the database's time, into its row of
//! `durable_executors`. It counts as dead when its lock is free, **or** when its lease has ended: no heartbeat for as long as the lease
//! that it declared itself. One that declared none (leases are off there) is judged by its lock alone. An executor whose lease ended and
//! that comes back goes on with what is still its own, and its next heartbeat revives the lease; what others adopted meanwhile is theirs
//! by their owner tokens, so it writes nothing of it.
//!
//! **Who may judge.** While the database is away nobody's heartbeat arrives, and once it is back all leases look ended. So a lease of
//! length `L` is judged only by an executor whose own heartbeats have gone through for at least `L`, with no gap of more than half of
//! `L`; all of it by the database's clock, which is also right where a whole machine stood still. Within those `L` the database was away
//! for less than half of `L` at a time, and a living executor is heard again in less than `L`: it writes every quarter of its lease, gives
//! up an attempt after an eighth, and tries again after a sixteenth. An executor that has just been launched can judge after `L`, too, so
//! that what a paused process holds is taken over at most `L` and a recovery interval after there is anybody to take it.
//!
//! Heartbeats have a connection of their own: nothing that is slow elsewhere delays them, and where one gets no answer the connection is
//! given up for another, which the session that holds the locks must not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use durable_core::{ids::ExecutorId, time::millis};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use crate::{
    Connection as _, Driver, DriverError, core::prepared, options::Bounds, rows::now_ms,
    text::SchemaName, value::params,
};

/// The longest time between two heartbeats.
const SELDOM: Duration = Duration::from_secs(5);

/// By the primary key. Nobody holds a lock on these rows that it waits for. `$1` executors, `$2` the life of each.
pub(crate) const BEAT: &str = concat!(
    "WITH beaten AS (
        UPDATE dbos.durable_executors AS e
        SET last_seen_epoch_ms = ",
    now_ms!(),
    "
        WHERE e.executor_id = ANY ($1::text[])
          AND EXISTS (
              SELECT 1
              FROM unnest($1::text[], $2::bigint[]) AS h (id, life)
              WHERE h.id = e.executor_id AND h.life = e.incarnation)
        RETURNING 1)
    SELECT ",
    now_ms!()
);

/// Ends the lease of a life that is over. By the primary key. `$1` the executor, `$2` its life.
pub(crate) const END: &str = "
    UPDATE dbos.durable_executors AS e
    SET lease_ms = 0
    WHERE e.executor_id = $1 AND e.incarnation = $2 AND e.lease_ms IS NOT NULL";

/// Whether the lease of executor `e.id` has ended, as far as the asking one may tell. `$3` since when its own heartbeats go through, `$4`
/// when the last did, `$5` the longest time between two of them. One that was given back has ended for everybody.
macro_rules! has_lapsed {
    () => {
        concat!(
            "EXISTS (
            SELECT 1
            FROM dbos.durable_executors AS x
            CROSS JOIN (SELECT ",
            $crate::rows::now_ms!(),
            " AS now) AS c
            WHERE x.executor_id = e.id
              AND x.last_seen_epoch_ms + x.lease_ms < c.now
              AND (x.lease_ms = 0
                  OR (x.lease_ms <= c.now - $3::bigint
                      AND x.lease_ms >= 2 * greatest($5::bigint, c.now - $4::bigint))))"
        )
    };
}
pub(crate) use has_lapsed;

/// The heartbeats of the executors that live here.
#[derive(Debug)]
pub(crate) struct Leases {
    lease: Option<Duration>,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody began or ended to live.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<ExecutorId, i64>,
    run: Option<Run>,
}

/// Heartbeats that went through one after the other; by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first.
    pub(crate) since: i64,
    /// The last.
    pub(crate) last: i64,
    /// The longest time between two.
    pub(crate) gap: i64,
}

impl Run {
    /// The same with one more heartbeat, or a new run: after a gap of more than half of the own lease, and when the clock went back.
    fn with(run: Option<Self>, now: i64, lease: i64) -> Self {
        match run {
            Some(run) if now >= run.last && 2 * (now - run.last) <= lease => Self {
                since: run.since,
                last: now,
                gap: run.gap.max(now - run.last),
            },
            _ => Self {
                since: now,
                last: now,
                gap: 0,
            },
        }
    }
}

impl Leases {
    /// Starts them on the current tokio runtime, unless they are off; they connect when somebody lives here.
    pub(crate) fn start<D: Driver>(
        driver: D,
        schema: &SchemaName,
        bounds: Bounds,
        lease: Option<Duration>,
    ) -> Self {
        let shared = Arc::<Shared>::default();
        let task = lease.map(|lease| {
            let keeper = Keeper {
                driver,
                bounds,
                text: schema.render(BEAT).into(),
                lease,
                connection: None,
            };
            tokio::spawn(keeper.run(Arc::clone(&shared)))
        });
        Self {
            lease,
            shared,
            task,
        }
    }

    /// The lease that an executor declares here, in milliseconds.
    pub(crate) fn declared(&self) -> Option<i64> {
        self.lease.map(millis)
    }

    /// Keeps the lease of a life that has begun.
    pub(crate) fn hold(&self, id: ExecutorId, life: i64) {
        if self.lease.is_some() {
            self.shared.lock().held.insert(id, life);
            self.shared.changed.notify_one();
        }
    }

    /// Keeps it no longer; which life it was.
    pub(crate) fn let_go(&self, id: &ExecutorId) -> Option<i64> {
        let life = self.shared.lock().held.remove(id);
        self.shared.changed.notify_one();
        life
    }

    /// What this process may judge the leases of others by; nothing before its first heartbeat.
    pub(crate) fn run(&self) -> Option<Run> {
        self.shared.lock().run
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's end.
struct Keeper<D: Driver> {
    driver: D,
    bounds: Bounds,
    text: Arc<str>,
    lease: Duration,
    connection: Option<D::Connection>,
}

impl<D: Driver> Keeper<D> {
    async fn run(mut self, shared: Arc<Shared>) {
        loop {
            let held = {
                let mut state = shared.lock();
                if state.held.is_empty() {
                    state.run = None;
                }
                state.held.clone()
            };
            if held.is_empty() {
                self.connection = None;
                shared.changed.notified().await;
                continue;
            }
            let pause = match timeout(self.lease / 8, self.beat(&held)).await {
                Ok(Ok(now)) => {
                    let mut state = shared.lock();
                    state.run = Some(Run::with(state.run, now, millis(self.lease)));
                    (self.lease / 4).min(SELDOM)
                }
                failed => {
                    self.give_up();
                    let error = failed.ok().and_then(Result::err);
                    tracing::debug!(?error, "a heartbeat did not go through; trying again");
                    self.lease / 16
                }
            };
            // One that has just begun to live is heard at once.
            let _ = timeout(pause, shared.changed.notified()).await;
        }
    }

    /// Writes a heartbeat for all; the database's time.
    async fn beat(&mut self, held: &BTreeMap<ExecutorId, i64>) -> Result<i64, DriverError> {
        const NO_DISK: &str = "SET synchronous_commit = off";
        if self.connection.is_none() {
            let mut connection = prepared(&self.driver, &self.bounds).await?;
            connection.batch(NO_DISK).await?;
            self.connection = Some(connection);
        }
        let Some(connection) = &mut self.connection else {
            return Err(DriverError::lost("there is no connection"));
        };
        let ids: Vec<_> = held.keys().map(|id| Some(id.as_str())).collect();
        let lives: Vec<_> = held.values().copied().map(Some).collect();
        let mut rows = connection.query(&self.text, params![&ids, &lives]).await?;
        rows.pop()
            .ok_or_else(|| DriverError::unlike("a heartbeat gives no time"))?
            .some_integer()
    }

    fn give_up(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(beats: &[i64]) -> Run {
        let run = beats
            .iter()
            .fold(None, |run, now| Some(Run::with(run, *now, 100)));
        run.expect("there are beats")
    }

    #[test]
    fn a_run_lasts_while_no_gap_is_longer_than_half_the_lease() {
        let run = run_of(&[1000, 1025, 1075, 1090]);
        assert_eq!((run.since, run.last, run.gap), (1000, 1090, 50));
    }

    #[test]
    fn a_longer_gap_and_a_clock_that_goes_back_begin_another_run() {
        for beats in [[1000, 1025, 1076], [1000, 1025, 1024]] {
            let run = run_of(&beats);
            assert_eq!((run.since, run.gap), (beats[2], 0), "{beats:?}");
        }
    }
}
