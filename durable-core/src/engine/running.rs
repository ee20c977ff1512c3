//! The executions of this process, and the tokens that it has chosen for executions to come.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{Engine, execution::Execution, interrupt::Interruption};
use crate::{
    Error,
    db::Lost,
    ids::{Owner, OwnerToken, WorkflowId},
    sabotage::Bug,
};

/// Who runs here. A token is known from before it is sent to the database until its execution has ended, so that whatever holds this
/// executor's id in the database and is not known here is nobody's.
#[derive(Default)]
pub(super) struct Running {
    state: Mutex<State>,
    changed: Notify,
    parked: Notify,
}

#[derive(Default)]
struct State {
    reserved: BTreeSet<OwnerToken>,
    executions: BTreeMap<Owner, Entry>,
    /// What only waits is being stopped: what is added from now on, too.
    draining: bool,
    /// Everything is being stopped: what is added from now on, too.
    stopped: bool,
    /// Executions that a shutdown stopped while none of their bodies ran.
    rested: Vec<Owner>,
    /// Executions that were refused, and why: trying again in this process would end the same way.
    parked: BTreeMap<Owner, Error>,
}

struct Entry {
    execution: Arc<Execution>,
    /// Elapsed time of the process when it was added.
    since: Duration,
    /// Its outcome is being written: its loss of ownership is no news.
    finishing: bool,
}

impl Running {
    /// Chooses tokens for executions to come; they are given back when the guard is dropped.
    pub(super) fn reserve(
        self: &Running,
        engine: &Arc<Engine>,
        tokens: Vec<OwnerToken>,
    ) -> Reserved {
        self.lock().reserved.extend(tokens.iter().cloned());
        Reserved {
            engine: Arc::clone(engine),
            tokens,
        }
    }

    /// Adds an execution; it is known until the guard is dropped.
    pub(super) fn add(&self, execution: &Arc<Execution>) -> Registration {
        let entry = Entry {
            execution: Arc::clone(execution),
            since: execution.engine.runtime.elapsed(),
            finishing: false,
        };
        let (draining, stopped) = {
            let mut state = self.lock();
            state.executions.insert(execution.owner.clone(), entry);
            (state.draining, state.stopped)
        };
        if draining {
            execution.interrupt.drain();
        }
        if stopped {
            // Its claim was on its way when everything was stopped.
            execution.interrupt.signal(Interruption::Shutdown);
        }
        Registration(Arc::clone(execution))
    }

    /// Says that an execution's outcome is being written.
    pub(super) fn finishing(&self, owner: &Owner) {
        if let Some(entry) = self.lock().executions.get_mut(owner) {
            entry.finishing = true;
        }
    }

    /// Whether this process has chosen the token and not ended its execution.
    pub(super) fn knows(&self, workflow: &WorkflowId, token: &OwnerToken) -> bool {
        let state = self.lock();
        let owner = Owner {
            workflow: workflow.clone(),
            token: token.clone(),
        };
        state.reserved.contains(token) && !Bug::ForgetsReserved.is_planted()
            || state.executions.contains_key(&owner)
            || state.parked.contains_key(&owner)
    }

    /// Keeps a refused execution's token, so that this process does not take its workflow for abandoned and run it again and again.
    pub(super) fn park(&self, owner: &Owner, error: &Error) {
        self.lock().parked.insert(owner.clone(), error.clone());
        self.parked.notify_waiters();
    }

    /// Forgets a refused execution: its workflow has gone on without it.
    pub(super) fn unpark(&self, owner: &Owner) {
        self.lock().parked.remove(owner);
    }

    /// How many refused executions hold their workflows, and up to `limit` of them with why.
    pub(super) fn parked(&self, limit: usize) -> (usize, Vec<(WorkflowId, Error)>) {
        let state = self.lock();
        let parked = state.parked.iter().take(limit);
        let parked = parked.map(|(owner, error)| (owner.workflow.clone(), error.clone()));
        (state.parked.len(), parked.collect())
    }

    /// Completes when an execution of this workflow has been refused here: which, and why.
    pub(super) async fn refused(&self, workflow: &WorkflowId) -> (Owner, Error) {
        loop {
            let parked = self.parked.notified();
            if let Some(found) = self.parked_of(workflow) {
                return found;
            }
            parked.await;
        }
    }

    /// Why the workflow was refused here, if it was.
    pub(super) fn parked_of(&self, workflow: &WorkflowId) -> Option<(Owner, Error)> {
        let state = self.lock();
        let (owner, error) = state.parked.range(first_owner(workflow)..).next()?;
        (owner.workflow == *workflow).then(|| (owner.clone(), error.clone()))
    }

    /// The executions that have run since before `elapsed` and are not about to end, and those that were refused and still hold theirs.
    pub(super) fn owners_since(&self, elapsed: Duration) -> Vec<Owner> {
        let state = self.lock();
        state
            .executions
            .iter()
            .filter(|(_, entry)| entry.since < elapsed && !entry.finishing)
            .map(|(owner, _)| owner)
            .chain(state.parked.keys())
            .cloned()
            .collect()
    }

    /// The executions of one workflow that are not about to end.
    pub(super) fn owners_of(&self, workflow: &WorkflowId) -> Vec<Owner> {
        self.lock()
            .executions
            .range(first_owner(workflow)..)
            .take_while(|(owner, _)| owner.workflow == *workflow)
            .filter(|(_, entry)| !entry.finishing)
            .map(|(owner, _)| owner.clone())
            .collect()
    }

    /// Tells an execution that its token is no longer the row's.
    pub(super) fn lose(&self, owner: &Owner, lost: Lost) {
        self.unpark(owner);
        let execution = self.execution(owner);
        if let Some(execution) = execution {
            execution.interrupt.signal(Interruption::Lost(lost));
        }
    }

    /// Stops every execution as soon as nothing of it runs, also those that are still to be added.
    pub(super) fn drain(&self) {
        self.lock().draining = true;
        for execution in self.all() {
            execution.interrupt.drain();
        }
    }

    /// Says that a shutdown stopped an execution while none of its bodies ran.
    pub(super) fn rested(&self, owner: &Owner) {
        self.lock().rested.push(owner.clone());
    }

    /// The executions that a shutdown stopped while none of their bodies ran, each once.
    pub(super) fn take_rested(&self) -> Vec<Owner> {
        std::mem::take(&mut self.lock().rested)
    }

    fn all(&self) -> Vec<Arc<Execution>> {
        let state = self.lock();
        let executions = state.executions.values();
        executions
            .map(|entry| Arc::clone(&entry.execution))
            .collect()
    }

    /// Stops every execution, also those that are still to be added.
    pub(super) fn stop_all(&self) {
        self.lock().stopped = true;
        for execution in self.all() {
            execution.interrupt.signal(Interruption::Shutdown);
        }
    }

    /// Waits until nothing runs and no token is out.
    pub(super) async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_idle() {
                return;
            }
            changed.await;
        }
    }

    fn is_idle(&self) -> bool {
        let state = self.lock();
        state.executions.is_empty() && state.reserved.is_empty()
    }

    /// How many executions there are.
    pub(super) fn count(&self) -> usize {
        self.lock().executions.len()
    }

    fn execution(&self, owner: &Owner) -> Option<Arc<Execution>> {
        let state = self.lock();
        let entry = state.executions.get(owner)?;
        Some(Arc::clone(&entry.execution))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Less than every owner of this workflow.
fn first_owner(workflow: &WorkflowId) -> Owner {
    Owner {
        workflow: workflow.clone(),
        token: OwnerToken::from(""),
    }
}

/// Tokens on their way to the database.
pub(super) struct Reserved {
    engine: Arc<Engine>,
    pub(super) tokens: Vec<OwnerToken>,
}

impl Reserved {
    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let running = &self.engine.running;
        {
            let mut state = running.lock();
            for token in &self.tokens {
                state.reserved.remove(token);
            }
        }
        running.changed.notify_waiters();
    }
}

/// An execution that is known.
pub(super) struct Registration(Arc<Execution>);

impl Drop for Registration {
    fn drop(&mut self) {
        let running = &self.0.engine.running;
        running.lock().executions.remove(&self.0.owner);
        running.changed.notify_waiters();
    }
}
