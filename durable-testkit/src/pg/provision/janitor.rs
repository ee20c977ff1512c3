//! Removes databases of tests that have ended, also of programs that were killed.
//!
//! Each program draws a number, puts it into the names of its databases, and holds an advisory lock of that number for as long as it runs. So
//! the next program that comes to the server knows whose databases are nobody's any more: the server frees the lock of whoever is
//! gone, and it shows the locks of all databases to everybody.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use durable_pg::{Driver, DriverError};
use tokio::sync::{mpsc as jobs, oneshot};

use crate::pg::Bare;

/// What the names of all databases begin with.
const PREFIX: &str = "durable_test_";

/// The first half of the advisory locks' numbers: "durt".
const LOCKS: i32 = 0x6475_7274;

/// How often the lock is taken again, in case the server was restarted.
const AGAIN: Duration = Duration::from_secs(30);

/// How long the last test of a program waits until its database is removed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database to be removed, and who waits for that.
type Job = (String, Option<mpsc::Sender<()>>);

/// The one of this program, on a thread of its own: the runtimes of tests end with them.
#[derive(Debug)]
pub(super) struct Janitor {
    run: i32,
    made: AtomicU32,
    alive: Arc<AtomicUsize>,
    jobs: jobs::UnboundedSender<Job>,
}

impl Janitor {
    /// Starts it, when its lock is taken and what others left is removed. Errors: the server does not answer.
    pub(super) async fn start<D: Driver>(admin: D) -> Result<Self, DriverError> {
        let run = i32::try_from(RandomState::new().hash_one(0) >> 33).unwrap_or_default();
        let (jobs, queue) = jobs::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| DriverError::lost(error.to_string()))?;
        std::thread::spawn(move || runtime.block_on(work(admin, run, queue, ready)));
        let started = started.await;
        started.unwrap_or_else(|_| Err(DriverError::lost("the janitor has ended")))?;
        Ok(Self {
            run,
            made: AtomicU32::new(0),
            alive: Arc::default(),
            jobs,
        })
    }

    /// A name that no other database on the server has.
    pub(super) fn fresh_name(&self) -> String {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{PREFIX}{}_{n}", self.run)
    }

    /// The removal of a database, as soon as this is dropped. On a server that is `kept`, the last that a program has is waited for.
    pub(super) fn removal(&self, name: String, kept: bool) -> Removal {
        self.alive.fetch_add(1, Ordering::Relaxed);
        Removal {
            name,
            kept,
            alive: Arc::clone(&self.alive),
            jobs: self.jobs.clone(),
        }
    }
}

/// Has a database removed, with whoever is connected, when it is dropped.
#[derive(Debug)]
pub(crate) struct Removal {
    name: String,
    kept: bool,
    alive: Arc<AtomicUsize>,
    jobs: jobs::UnboundedSender<Job>,
}

impl Drop for Removal {
    fn drop(&mut self) {
        let others = self.alive.fetch_sub(1, Ordering::Relaxed) - 1;
        let (done, removed) = mpsc::channel();
        let waits = (self.kept && others == 0).then_some(done);
        let job = (std::mem::take(&mut self.name), waits);
        // Where the janitor has ended, and where it is not quick enough, the next program removes it.
        if self.jobs.send(job).is_ok() && self.kept && others == 0 {
            let _ = removed.recv_timeout(PATIENCE);
        }
    }
}

async fn work<D: Driver>(
    admin: D,
    run: i32,
    mut queue: jobs::UnboundedReceiver<Job>,
    ready: oneshot::Sender<Result<(), DriverError>>,
) {
    let begun = async {
        let mut bare = lock::<D>(&admin, run).await?;
        sweep(&mut bare).await;
        Ok(bare)
    };
    let mut holds = match begun.await {
        Ok(bare) => bare,
        Err(error) => {
            // Nobody waits for it any more, or hears it.
            let _ = ready.send(Err(error));
            return;
        }
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    loop {
        let job = tokio::time::timeout(AGAIN, queue.recv()).await;
        let (script, waits) = match job {
            Ok(None) => return,
            Ok(Some((name, waits))) => (removes(&name), waits),
            Err(_) => (String::from("SELECT 1"), None),
        };
        if holds.try_batch(&script).await.is_err() {
            // The session is gone, and the lock with it.
            if let Ok(again) = lock(&admin, run).await {
                holds = again;
                let _ = holds.try_batch(&script).await;
            }
        }
        drop(waits);
    }
}

fn removes(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// A session that holds the lock of this run.
async fn lock<D: Driver>(admin: &D, run: i32) -> Result<Bare<D>, DriverError> {
    let mut bare = Bare::<D>(admin.dedicated().await?);
    let script = format!("SELECT pg_catalog.pg_advisory_lock({LOCKS}, {run})");
    bare.try_batch(&script).await?;
    Ok(bare)
}

/// Removes the databases of programs that have ended. The locks are looked at after the names: whoever made one of these had its lock before.
async fn sweep<D: Driver>(bare: &mut Bare<D>) {
    let names = bare
        .texts("SELECT datname::text FROM pg_database WHERE datname LIKE 'durable\\_test\\_%'")
        .await;
    let held = bare
        .texts(&format!(
            "SELECT objid::text FROM pg_locks WHERE locktype = 'advisory' AND classid = {LOCKS} AND objsubid = 2"
        ))
        .await;
    let held: BTreeSet<i32> = held.iter().filter_map(|run| run.parse().ok()).collect();
    for name in names {
        if made_by(&name).is_some_and(|run| !held.contains(&run)) {
            // Another program may be at the same.
            let _ = bare.try_batch(&removes(&name)).await;
        }
    }
}

/// The number of the program that made a database of this name.
fn made_by(name: &str) -> Option<i32> {
    let (run, n) = name.strip_prefix(PREFIX)?.split_once('_')?;
    n.parse::<u32>().ok()?;
    run.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_our_databases_are_taken_for_such() {
        assert_eq!(made_by("durable_test_17_3"), Some(17));
        for name in [
            "shop",
            "durable_test_",
            "durable_test_app",
            "durable_test_17",
            "durable_test_1_2_3",
        ] {
            assert_eq!(made_by(name), None, "{name}");
        }
    }
}
