//! Starting, ending, cancelling and resuming workflows.

use async_trait::async_trait;
use durable_core::{
    db::{
        ChildInserted, DbError, Existing, Hint, Inserted, Listed, NewWorkflow, Placement, Recorded,
        Result, Resumed, StepResult, StepStamp, Workflows, Write,
    },
    ids::{Owner, WorkflowId},
    payload::Outcome,
    sabotage::Bug,
    state::{
        Attempts, INTERNAL_QUEUE, Status, WorkflowRow,
        transition::{Event, Refusal, is_due},
    },
    time::Timestamp,
};

use super::{
    Memory,
    store::{Store, Stored},
};

#[async_trait]
impl Workflows for Memory {
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted> {
        self.takes("start a workflow", &[&new])?;
        Ok(self.commit(|store, now| insert(store, new, now)))
    }

    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        self.takes("start a child", &[&new, &parent, &step])?;
        self.commit(|store, now| insert_child(store, new, parent, step, now))
    }

    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>> {
        self.takes("read a workflow", &[&id])?;
        Ok(self.commit(|store, _| store.row(id).cloned()))
    }

    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write> {
        self.takes("finish a workflow", &[&owner, &outcome])?;
        Ok(self.commit(|store, now| finish(store, owner, outcome, now)))
    }

    async fn dead_letter(&self, owner: &Owner) -> Result<Write> {
        Ok(self.commit(|store, now| {
            let event = Event::DeadLetter {
                token: &owner.token,
            };
            owner_change(store, owner, &event, now)
        }))
    }

    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>> {
        self.takes("cancel workflows", &[&ids])?;
        Ok(self.commit(|store, now| {
            let mut cancelled = ids.to_vec();
            cancelled.retain(|id| {
                end(store, id, &Event::Cancel, now)
                    || Bug::CancelsEnded.is_planted() && store.overwrite_end(id)
            });
            cancelled
        }))
    }

    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed> {
        self.takes("resume a workflow", &[&id, &queue])?;
        Ok(self.commit(
            |store, now| match store.change(id, &Event::Resume { queue }, now) {
                None => Resumed::Missing,
                Some(Err(_)) => store
                    .row(id)
                    .map_or(Resumed::Missing, |row| Resumed::Unchanged(row.status)),
                Some(Ok(row)) => {
                    store.note_attempts(&row, |_, steps| Attempts::resumed(steps));
                    store.hint(Hint::Queue(queue.unwrap_or(INTERNAL_QUEUE).to_owned()));
                    Resumed::Enqueued
                }
            },
        ))
    }

    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>> {
        Ok(self.commit(|store, now| {
            let mut due: Vec<_> = store
                .rows()
                .filter(|row| row.application.as_deref().is_none_or(|a| a == application))
                .filter(|row| !row.status.is_terminal())
                .filter_map(|row| Some((row.deadline?, row.id.clone())))
                .filter(|(deadline, _)| is_due(*deadline, now))
                .collect();
            due.sort();
            due.truncate(limit);
            let mut expired: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
            expired.retain(|id| end(store, id, &Event::DeadlineCheck, now));
            expired
        }))
    }

    async fn list(
        &self,
        application: &str,
        after: Option<&WorkflowId>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        Ok(self.commit(|store, _| {
            let ours = store
                .rows()
                .filter(|row| row.application.as_deref().is_none_or(|a| a == application))
                .filter(|row| after.is_none_or(|after| row.id > *after));
            ours.take(limit)
                .map(|row| Listed {
                    input: store.input(&row.id),
                    row: row.clone(),
                })
                .collect()
        }))
    }
}

impl Store {
    /// What no database must do: see [`Bug::CancelsEnded`].
    fn overwrite_end(&mut self, id: &WorkflowId) -> bool {
        let Some(stored) = self.workflows.get_mut(id) else {
            return false;
        };
        stored.row.status = Status::Cancelled;
        true
    }
}

fn insert(store: &mut Store, new: &NewWorkflow, now: Timestamp) -> Inserted {
    if let Some(row) = store.row(&new.id) {
        return already_there(row, new);
    }
    let now = match &new.placement {
        Placement::Here => now,
        Placement::Queue { name, .. } => {
            store.hint(Hint::Queue(name.clone()));
            store.place_on(name, now)
        }
    };
    let row = new.clone().into_row(now);
    let deadline = row.deadline;
    store.outcomes.remove(&new.id);
    store.steps.remove(&new.id);
    store.inputs.insert(new.id.clone(), new.input.text.clone());
    let stored = Stored {
        row,
        input: None,
        outcome: None,
    };
    store.workflows.insert(new.id.clone(), stored);
    Inserted::Created { deadline }
}

fn existing(row: &WorkflowRow) -> Existing {
    Existing {
        key: row.key.clone(),
        status: row.status,
        queue: row.queue.clone(),
        parent: row.parent.clone(),
    }
}

fn already_there(row: &WorkflowRow, new: &NewWorkflow) -> Inserted {
    if row.creator.as_ref() == Some(&new.creator) {
        return Inserted::Created {
            deadline: row.deadline,
        };
    }
    Inserted::Exists(existing(row))
}

fn insert_child(
    store: &mut Store,
    new: &NewWorkflow,
    parent: &Owner,
    step: &StepStamp,
    now: Timestamp,
) -> Result<ChildInserted> {
    if let Err(lost) = store.check_owner(parent) {
        return Ok(ChildInserted::Lost(lost));
    }
    if let Some(row) = store.row(&new.id)
        && !new.joins(&existing(row), &parent.workflow, step.number)
    {
        return Ok(ChildInserted::Done(already_there(row, new)));
    }
    let record = step.record(StepResult::Nothing, Some(new.id.clone()));
    if let Recorded::Conflict(other) = store.record(&parent.workflow, &record) {
        let why = format!(
            "step {} of workflow {:?} is recorded as {:?}, not as the start of {:?}",
            step.number,
            parent.workflow.as_str(),
            other.name,
            new.id.as_str(),
        );
        return Err(DbError::broken("start a child", why));
    }
    Ok(ChildInserted::Done(insert(store, new, now)))
}

fn finish(store: &mut Store, owner: &Owner, outcome: &Outcome, now: Timestamp) -> Write {
    let event = Event::Finish {
        token: &owner.token,
        success: matches!(outcome, Outcome::Success(_)),
    };
    let write = owner_change(store, owner, &event, now);
    if write == Write::Written {
        store.set_format(&owner.workflow, outcome);
        store
            .outcomes
            .insert(owner.workflow.clone(), outcome.clone());
    }
    write
}

/// Lets the owner's event happen, or tells how it stands.
fn owner_change(store: &mut Store, owner: &Owner, event: &Event<'_>, now: Timestamp) -> Write {
    if end(store, &owner.workflow, event, now) {
        Write::Written
    } else {
        Write::Lost(store.lost(&owner.workflow))
    }
}

/// Lets an ending event happen; answers whether it did.
fn end(store: &mut Store, id: &WorkflowId, event: &Event<'_>, now: Timestamp) -> bool {
    let ended: Option<Result<_, Refusal>> = store.change(id, event, now);
    let ended = matches!(ended, Some(Ok(_)));
    if ended {
        store.hint(Hint::Workflow(id.clone()));
    }
    ended
}
