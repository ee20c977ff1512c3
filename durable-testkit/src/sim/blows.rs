//! The ends of a process, and its pauses: what a plan's strikes do to it.

use std::{sync::Arc, time::Duration};

use super::{
    fact::Fact,
    here,
    world::{DATABASE, World, drop_task},
};
use crate::Memory;

impl World {
    /// Kills a process: it does nothing more, not even in destructors, and what it asked of the database may still happen.
    pub(super) fn crash(self: &Arc<Self>, process: usize, down: Duration, lock_kept: Duration) {
        let (tasks, db, is_gone, shutdown) = {
            let mut state = self.lock();
            let crashed = &mut state.processes[process];
            if !crashed.alive {
                return;
            }
            crashed.alive = false;
            crashed.paused = false;
            let is_gone = crashed.gone;
            let db = crashed.db.take();
            let shutdown = crashed.shutdown.take();
            state.tell(process, Fact::Crashed { down });
            (state.tasks.take_of(process), db, is_gone, shutdown)
        };
        // It keeps the application, whose end goes to the database: dropped outside the lock.
        drop(shutdown);
        for task in tasks {
            drop_task(Some(task));
        }
        let world = Arc::clone(self);
        self.spawn(DATABASE, "lock", async move {
            world.sleep(lock_kept).await;
            if let Some(db) = db {
                db.kill();
            }
        });
        if is_gone {
            return;
        }
        let world = Arc::clone(self);
        self.spawn(DATABASE, "restart", async move {
            world.sleep(down).await;
            world.start(process);
        });
    }

    /// Shuts a process's application down, if it has launched one, and starts the process again.
    pub(super) fn restart(self: &Arc<Self>, process: usize, grace: Duration, down: Duration) {
        let shutdown = {
            let mut state = self.lock();
            let ending = &mut state.processes[process];
            if !ending.alive || ending.paused {
                return;
            }
            // Taken: a process is shut down once.
            let shutdown = ending.shutdown.take();
            if shutdown.is_some() {
                ending.ending = true;
                state.tell(process, Fact::ShutsDown { grace });
            }
            shutdown
        };
        let Some(shutdown) = shutdown else { return };
        let world = Arc::clone(self);
        self.spawn(process, "shutdown", async move {
            shutdown(grace).await;
            world.crash_from_inside(process, down);
            here::pause().await;
        });
    }

    /// Kills a process that is never started again.
    pub(super) fn crash_for_good(self: &Arc<Self>, process: usize) {
        {
            let mut state = self.lock();
            let dying = &mut state.processes[process];
            dying.main = None;
            dying.done = true;
            dying.gone = true;
        }
        self.crash(process, Duration::ZERO, Duration::ZERO);
    }

    /// Kills a process from inside: it does nothing more from here on, and is put away once its poll has ended.
    pub(super) fn crash_from_inside(&self, process: usize, down: Duration) {
        let mut state = self.lock();
        if std::mem::take(&mut state.processes[process].alive) {
            state.crashing.push((process, down));
        }
    }

    /// Has a process stand still, and go on later as if nothing had been.
    pub(super) fn pause(self: &Arc<Self>, process: usize, lasting: Duration) {
        let (db, lease, life) = {
            let mut state = self.lock();
            let lease = state.plan.lease;
            let paused = &mut state.processes[process];
            if !paused.alive || paused.paused {
                return;
            }
            paused.paused = true;
            let (db, life) = (paused.db.clone(), paused.life);
            state.tell(process, Fact::Paused { lasting });
            (db, lease, life)
        };
        let world = Arc::clone(self);
        self.spawn(DATABASE, "pause", async move {
            let silent = lasting > lease;
            world.sleep(lasting.min(lease)).await;
            if silent && let Some(db) = &db {
                // Its lease has ended: others may take what it runs.
                db.fall_silent(true);
                world.sleep(lasting.saturating_sub(lease)).await;
            }
            world.wake_up(process, life, db.as_ref());
        });
    }

    fn wake_up(&self, process: usize, life: u32, db: Option<&Memory>) {
        if let Some(db) = db {
            db.fall_silent(false);
        }
        let mut state = self.lock();
        // It may have died, and stand still again in another life.
        if state.processes[process].life == life
            && std::mem::take(&mut state.processes[process].paused)
        {
            state.tell(process, Fact::WokenUp);
        }
    }
}
