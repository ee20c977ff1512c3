//! What a simulation sees of the database besides the answers to calls, and how it makes processes fall silent.

use std::collections::BTreeSet;

use durable_core::{
    db::{Lost, StepRecord},
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    state::{Status, WorkflowRow},
    time::Timestamp,
};

use super::Memory;
use crate::replay::History;

impl Memory {
    /// Makes this process show no life, as one does that stands still: its executors may be taken for dead, until it is heard again.
    pub(crate) fn fall_silent(&self, silent: bool) {
        let process = self.process.id();
        self.commit(|store, _| store.fall_silent(process, silent));
    }

    /// How a workflow's row stands: its status and its token.
    pub(crate) fn standing(&self, id: &WorkflowId) -> Option<(Status, Option<OwnerToken>)> {
        self.commit(|store, _| store.row(id).map(|row| (row.status, row.owner.clone())))
    }

    /// Looks at a workflow's row, if it has one.
    pub(crate) fn with_row<T>(
        &self,
        id: &WorkflowId,
        look: impl FnOnce(&WorkflowRow) -> T,
    ) -> Option<T> {
        self.commit(|store, _| store.row(id).map(look))
    }

    /// What is recorded of a step of an execution. Errors: it has lost its workflow.
    pub(crate) fn recorded(&self, owner: &Owner, number: i32) -> Result<Option<StepRecord>, Lost> {
        self.commit(|store, _| {
            store.check_owner(owner)?;
            Ok(store.step(&owner.workflow, number).cloned())
        })
    }

    /// Whose a workflow is.
    pub(crate) fn executor_of(&self, id: &WorkflowId) -> Option<ExecutorId> {
        self.commit(|store, _| store.row(id).and_then(|row| row.executor.clone()))
    }

    /// How many messages a workflow was ever sent.
    pub(crate) fn mailbox_size(&self, id: &WorkflowId) -> usize {
        self.commit(|store, _| store.mailboxes.get(id).map_or(0, Vec::len))
    }

    /// The topics of the messages that a workflow was sent and has not taken, each once.
    pub(crate) fn untaken_topics(&self, id: &WorkflowId) -> BTreeSet<String> {
        self.commit(|store, _| {
            let mailbox = store.mailboxes.get(id).into_iter().flatten();
            let untaken = mailbox.filter(|mail| mail.consumed_by.is_none());
            untaken.map(|mail| mail.topic.clone()).collect()
        })
    }

    /// The histories of all workflows that have ended, in the order of their ids.
    pub(crate) fn ended(&self) -> Vec<History> {
        self.commit(|store, _| {
            let ended = store.rows().filter(|row| row.status.is_terminal());
            ended
                .map(|row| {
                    let steps = store.steps.get(&row.id).into_iter().flatten();
                    History {
                        row: row.clone(),
                        input: store.input(&row.id),
                        steps: steps.map(|(_, step)| step.clone()).collect(),
                        outcome: store.outcome(&row.id).cloned(),
                    }
                })
                .collect()
        })
    }

    /// The records of a workflow's operations, in the order of their numbers.
    pub(crate) fn records(&self, id: &WorkflowId) -> Vec<StepRecord> {
        self.commit(|store, _| {
            let steps = store.steps.get(id).into_iter().flatten();
            steps.map(|(_, step)| step.clone()).collect()
        })
    }

    /// The message that a workflow took with an operation.
    pub(crate) fn taken_by(&self, workflow: &WorkflowId, number: i32) -> Option<String> {
        self.commit(|store, _| {
            let mut mailbox = store.mailboxes.get(workflow)?.iter();
            let mail = mailbox.find(|mail| mail.consumed_by == Some(number))?;
            Some(mail.id.clone())
        })
    }

    /// The rows of all workflows that have not ended.
    pub(crate) fn unended(&self) -> Vec<WorkflowRow> {
        self.commit(|store, _| {
            let unended = store.rows().filter(|row| !row.status.is_terminal());
            unended.cloned().collect()
        })
    }

    /// Whether every workflow has ended.
    pub(crate) fn is_all_ended(&self) -> bool {
        self.commit(|store, _| store.rows().all(|row| row.status.is_terminal()))
    }

    /// The next instant at which a workflow is due for something that no timer in a process may be set for.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.commit(|store, _| {
            let unended = store.rows().filter(|row| !row.status.is_terminal());
            unended
                .filter_map(|row| match (row.deadline, row.delay_until) {
                    (Some(deadline), Some(delay)) => Some(deadline.min(delay)),
                    (deadline, delay) => deadline.or(delay),
                })
                .min()
        })
    }

    /// The recorded steps of a workflow, as text.
    pub(crate) fn recorded_steps(&self, id: &WorkflowId) -> Vec<String> {
        self.commit(|store, _| {
            let steps = store.steps.get(id).into_iter().flatten();
            steps
                .map(|(number, step)| format!("{number} {:?}", step.name))
                .collect()
        })
    }
}
