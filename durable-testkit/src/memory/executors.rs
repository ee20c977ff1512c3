//! Who lives, and what the dead left.

use std::collections::BTreeSet;

use async_trait::async_trait;
use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, Claimed, DbError, Executors, Hint, Joined, Result,
        Serves, Serving, WantedExecutor,
    },
    ids::{ExecutorId, Owner, WorkflowId},
    sabotage::Bug,
    state::{Status, WorkflowRow, claim::Claimant, transition::Event},
    time::Timestamp,
};

use super::{
    Memory, queues,
    store::{Executor, Store},
};

#[async_trait]
impl Executors for Memory {
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined> {
        self.commit(|store, _| join(store, wanted, self.process.id()))
    }

    async fn leave(&self, executor: &ExecutorId) -> Result<()> {
        self.commit(|store, _| {
            if let Some(executor) = store.executors.get_mut(executor)
                && executor.holder == Some(self.process.id())
            {
                executor.holder = None;
            }
            Ok(())
        })
    }

    async fn release(&self, owners: &[Owner]) -> Result<Vec<WorkflowId>> {
        Ok(self.commit(|store, _| {
            let held = |owner: &&Owner| {
                let row = store.row(&owner.workflow);
                row.is_some_and(|row| row.is_owned_by(&owner.token))
            };
            let held: Vec<_> = owners.iter().filter(held).cloned().collect();
            for owner in &held {
                if let Some(row) = store.row(&owner.workflow).cloned() {
                    store.note_attempts(&row, |known, _| known.released(&row));
                }
            }
            held.into_iter().map(|owner| owner.workflow).collect()
        }))
    }

    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>> {
        Ok(self.commit(|store, _| {
            store
                .rows()
                .filter(|row| query.after.as_ref().is_none_or(|after| row.id > *after))
                .filter_map(|row| abandoned(store, query, row))
                .take(query.limit)
                .collect()
        }))
    }

    async fn requeue(
        &self,
        claimant: &Claimant,
        abandoned: &[Abandoned],
    ) -> Result<Vec<WorkflowId>> {
        Ok(self.commit(|store, now| {
            if !store.is_current(claimant) {
                return Vec::new();
            }
            abandoned
                .iter()
                .filter(|abandoned| requeue(store, abandoned, now))
                .map(|abandoned| abandoned.workflow.clone())
                .collect()
        }))
    }

    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>> {
        Ok(self.commit(|store, now| {
            if !store.is_current(claimant) {
                return Vec::new();
            }
            // One that is asked for twice is another's the second time.
            let mut asked = BTreeSet::new();
            adoptions
                .iter()
                .filter(|adoption| asked.insert(&adoption.workflow))
                .filter_map(|adoption| {
                    let event = Event::Adopt {
                        claimant,
                        held: adoption.held.as_ref(),
                        token: &adoption.token,
                    };
                    queues::take(store, &adoption.workflow, &event, now)
                })
                .collect()
        }))
    }

    async fn serving(&self, application: &str) -> Result<Vec<Serving>> {
        Ok(self.commit(|store, _| {
            let executors = store.executors.iter();
            let living = executors.filter(|(_, executor)| {
                executor.holder.is_some() && executor.application == application
            });
            let serving = |(id, executor): (&ExecutorId, &Executor)| Serving {
                executor: id.clone(),
                serves: executor.serves.clone(),
            };
            living.map(serving).collect()
        }))
    }
}

fn join(store: &mut Store, wanted: &WantedExecutor, process: u64) -> Result<Joined> {
    if !store.is_running(process) {
        return Err(DbError::Refused(format!(
            "executor {:?} cannot join: its process was killed; take a new handle by `Memory::process`",
            wanted.id.as_str()
        )));
    }
    let id = free_id(store, wanted)?;
    let executor = store.executors.entry(id.clone()).or_insert(Executor {
        incarnation: 0,
        application: String::new(),
        serves: None,
        holder: None,
    });
    executor.incarnation += 1;
    executor.application.clone_from(&wanted.application);
    executor.serves = declared(&wanted.serves);
    executor.holder = Some(process);
    Ok(Joined {
        id,
        incarnation: executor.incarnation,
    })
}

/// A declaration as it is kept: one that names no queue is none.
fn declared(serves: &Serves) -> Option<Serves> {
    let queues: BTreeSet<_> = serves.queues.iter().cloned().collect();
    (!queues.is_empty()).then(|| Serves {
        version: serves.version.clone(),
        queues: queues.into_iter().collect(),
    })
}

fn free_id(store: &Store, wanted: &WantedExecutor) -> Result<ExecutorId> {
    let Some(holder) = store.living(&wanted.id) else {
        return Ok(wanted.id.clone());
    };
    if wanted.given {
        return Err(DbError::Refused(format!(
            "executor id {:?} is in use by a living process of application {:?}; give this process another id, or none so \
             that a free one is found, or stop the other process first",
            wanted.id.as_str(),
            holder.application,
        )));
    }
    let mut suffixed = (2_u64..).map(|n| ExecutorId::from(format!("{}-{n}", wanted.id)));
    Ok(suffixed
        .find(|id| store.living(id).is_none())
        .expect("there are fewer executors than numbers"))
}

fn abandoned(store: &Store, query: &AbandonedQuery, row: &WorkflowRow) -> Option<Abandoned> {
    let claimant = &query.claimant;
    let executor = row.executor.as_ref()?;
    let left = if *executor == claimant.executor {
        query.own
    } else {
        !Bug::OnlyOwnAreAbandoned.is_planted()
            && store.executors.contains_key(executor)
            && !store.is_heard(executor)
    };
    let fits = row.version.as_deref() == Some(&claimant.version);
    let ours = (fits || Bug::AdoptsAnyVersion.is_planted()) && claimant.can_run(row);
    (row.status == Status::Pending && left && ours).then(|| Abandoned {
        workflow: row.id.clone(),
        executor: executor.clone(),
        held: row.owner.clone(),
        queue: row.queue.clone(),
    })
}

/// Puts a workflow back onto its queue; whether its token was still the one that was read.
fn requeue(store: &mut Store, abandoned: &Abandoned, now: Timestamp) -> bool {
    let event = Event::Requeue {
        held: abandoned.held.as_ref(),
    };
    let changed = store.change(&abandoned.workflow, &event, now);
    let requeued = changed.is_some_and(|changed| changed.is_ok());
    if requeued {
        store.hint(Hint::Workflow(abandoned.workflow.clone()));
        if let Some(queue) = &abandoned.queue {
            store.hint(Hint::Queue(queue.clone()));
        }
    }
    requeued
}

impl Store {
    /// Whether an executor lives and does not stand still.
    fn is_heard(&self, id: &ExecutorId) -> bool {
        let holder = self.living(id).and_then(|executor| executor.holder);
        holder.is_some_and(|process| !self.is_silent(process))
    }

    fn living(&self, id: &ExecutorId) -> Option<&Executor> {
        self.executors
            .get(id)
            .filter(|executor| executor.holder.is_some())
    }
}
