//! What a simulated process has for a runtime.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use durable_core::{
    runtime::{BoxFuture, IdKind, Runtime, TaskHandle, Timer},
    time::Timestamp,
};

use super::{
    timers::TimerKey,
    world::{NEVER, World},
};

/// Time, tasks, randomness and ids of one life of a process. Once that has ended it starts nothing.
pub(super) struct SimRuntime {
    world: Arc<World>,
    process: usize,
    life: u32,
    /// Begins the ids that it makes.
    name: String,
}

impl SimRuntime {
    pub(super) fn new(world: Arc<World>, process: usize, life: u32) -> Self {
        let name = format!("{}.{life}", world.lock().processes[process].name);
        Self {
            world,
            process,
            life,
            name,
        }
    }
}

impl Runtime for SimRuntime {
    fn now(&self) -> Timestamp {
        self.world.wall_clock(self.process)
    }

    fn elapsed(&self) -> Duration {
        self.world.now()
    }

    fn sleep_until(&self, at: Duration, kind: Timer) -> BoxFuture<'static, ()> {
        Box::pin(Sleep::new(Arc::clone(&self.world), at, kind))
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle {
        let spawned = {
            let mut state = self.world.lock();
            if state.is_living(self.process, self.life) {
                Ok(state.tasks.add(self.process, name, task))
            } else {
                Err(task)
            }
        };
        match spawned {
            Ok(id) => {
                let world = Arc::clone(&self.world);
                TaskHandle::new(move || world.abort(id))
            }
            // A destructor of a dead process; the task is dropped outside the lock, as it may have some of its own.
            Err(task) => {
                drop(task);
                TaskHandle::new(|| {})
            }
        }
    }

    fn random(&self) -> u64 {
        self.world.lock().random()
    }

    fn new_id(&self, kind: IdKind) -> String {
        let number = self.world.lock().next_id();
        let kind = match kind {
            IdKind::Workflow => "w",
            IdKind::Owner => "t",
            IdKind::Message => "m",
        };
        format!("{kind}{number}@{}", self.name)
    }
}

/// Completes at an instant of the world's clock, in whole milliseconds.
pub(super) struct Sleep {
    world: Arc<World>,
    at: Duration,
    kind: Timer,
    key: Option<TimerKey>,
}

impl Sleep {
    pub(super) fn new(world: Arc<World>, at: Duration, kind: Timer) -> Self {
        // Tokio's timers, beside which ours are fired, know no less.
        let at = at.min(NEVER);
        let at = if at.subsec_nanos().is_multiple_of(1_000_000) {
            at
        } else {
            Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX) + 1)
        };
        Self {
            world,
            at,
            kind,
            key: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.world.lock();
        match this.key {
            None if this.at <= state.now => Poll::Ready(()),
            None => {
                let key = state.timers.set(this.at, this.kind, cx.waker().clone());
                this.key = Some(key);
                Poll::Pending
            }
            Some(key) if state.timers.update(key, this.kind, cx.waker()) => Poll::Pending,
            Some(_) => {
                this.key = None;
                this.at = Duration::ZERO;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.lock().timers.unset(key, self.kind);
        }
    }
}
