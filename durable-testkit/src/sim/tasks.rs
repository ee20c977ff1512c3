//! Tasks of a run, and the list of those that are ready to go on.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use durable_core::runtime::BoxFuture;

/// Names a task; numbers are given in the order of spawning, and never again.
pub(super) type TaskId = u64;

/// A task: whose it is, and what is left of it.
pub(super) struct Task {
    pub(super) name: &'static str,
    pub(super) process: usize,
    /// Not there while it is polled.
    pub(super) future: Option<BoxFuture<'static, ()>>,
    pub(super) waker: Waker,
    wake: Arc<TaskWaker>,
}

impl Task {
    /// Says that it was taken from the list: it may be woken again.
    pub(super) fn taken(&self) {
        self.wake.queued.store(false, Ordering::Release);
    }
}

/// The tasks that were spawned and have not ended.
pub(super) struct Tasks {
    next: TaskId,
    of: BTreeMap<TaskId, Task>,
    ready: Arc<Ready>,
}

impl Tasks {
    pub(super) fn new(ready: Arc<Ready>) -> Self {
        Self {
            next: 0,
            of: BTreeMap::new(),
            ready,
        }
    }

    /// Adds a task, which is ready at once.
    pub(super) fn add(
        &mut self,
        process: usize,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> TaskId {
        let id = self.next;
        self.next += 1;
        let wake = Arc::new(TaskWaker {
            id,
            queued: AtomicBool::new(false),
            ready: Arc::clone(&self.ready),
        });
        wake.wake_by_ref();
        let task = Task {
            name,
            process,
            // All tasks run inside one poll of tokio's task, whose budget they must not share.
            future: Some(Box::pin(tokio::task::coop::unconstrained(task))),
            waker: Waker::from(Arc::clone(&wake)),
            wake,
        };
        self.of.insert(id, task);
        id
    }

    pub(super) fn get_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        self.of.get_mut(&id)
    }

    pub(super) fn get(&self, id: TaskId) -> Option<&Task> {
        self.of.get(&id)
    }

    pub(super) fn remove(&mut self, id: TaskId) -> Option<Task> {
        self.of.remove(&id)
    }

    /// Takes out all tasks of a process, in the order of their spawning.
    pub(super) fn take_of(&mut self, process: usize) -> Vec<Task> {
        let ids: Vec<_> = self
            .of
            .iter()
            .filter(|(_, task)| task.process == process)
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.of).into_values().collect()
    }
}

/// The tasks that were woken, the first woken first.
#[derive(Default)]
pub(super) struct Ready {
    list: Mutex<VecDeque<TaskId>>,
    /// Wakes the loop that polls them all.
    root: Mutex<Option<Waker>>,
}

impl Ready {
    pub(super) fn lock(&self) -> MutexGuard<'_, VecDeque<TaskId>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_root(&self, waker: &Waker) {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *root {
            Some(root) => root.clone_from(waker),
            None => *root = Some(waker.clone()),
        }
    }

    fn push(&self, id: TaskId) {
        let first = {
            let mut list = self.lock();
            list.push_back(id);
            list.len() == 1
        };
        if first {
            let root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(root) = &*root {
                root.wake_by_ref();
            }
        }
    }
}

/// Puts its task into the list, once.
struct TaskWaker {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.push(self.id);
        }
    }
}
