//! How workflows stand, as the facts so far say: what several invariants go by.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::ids::{Owner, OwnerToken, WorkflowId};

use crate::sim::fact::{Fact, Written};

/// One workflow, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The token of the execution that owns it now.
    pub(super) token: Option<OwnerToken>,
    /// The numbers of what is recorded.
    pub(super) recorded: BTreeSet<i32>,
    /// Whether it has ended, and how: its outcome's text, or a word.
    pub(super) end: Option<String>,
}

/// All workflows.
#[derive(Clone, Debug, Default)]
pub(super) struct Standings(BTreeMap<WorkflowId, Standing>);

impl Standings {
    pub(super) fn of(&self, workflow: &WorkflowId) -> Option<&Standing> {
        self.0.get(workflow)
    }

    /// Whether this execution owns its workflow.
    pub(super) fn is_owner(&self, owner: &Owner) -> bool {
        self.of(&owner.workflow)
            .is_some_and(|standing| standing.token.as_ref() == Some(&owner.token))
    }

    /// Whether an operation of a workflow is recorded.
    pub(super) fn is_recorded(&self, workflow: &WorkflowId, number: i32) -> bool {
        self.of(workflow)
            .is_some_and(|standing| standing.recorded.contains(&number))
    }

    /// Takes in what has happened.
    pub(super) fn see(&mut self, fact: &Fact) {
        match fact {
            Fact::Inserted { owner, queue, .. } => {
                let standing = Standing {
                    token: queue.is_none().then(|| owner.token.clone()),
                    ..Standing::default()
                };
                self.0.insert(owner.workflow.clone(), standing);
            }
            Fact::Taken { owner, .. } => {
                self.entry(&owner.workflow).token = Some(owner.token.clone());
            }
            Fact::Requeued { workflow, .. } => self.entry(workflow).token = None,
            Fact::Resumed(workflow) => self.entry(workflow).end = None,
            Fact::Cancelled(workflow) => self.end(workflow, "cancelled".to_owned()),
            Fact::Written { owner, what, .. } => match what {
                Written::Outcome { text, .. } => self.end(&owner.workflow, text.clone()),
                Written::DeadLetter => self.end(&owner.workflow, "dead-lettered".to_owned()),
                _ => {
                    let recorded = &mut self.entry(&owner.workflow).recorded;
                    recorded.extend(what.number());
                }
            },
            _ => {}
        }
    }

    fn end(&mut self, workflow: &WorkflowId, end: String) {
        let standing = self.entry(workflow);
        standing.token = None;
        standing.end = Some(end);
    }

    fn entry(&mut self, workflow: &WorkflowId) -> &mut Standing {
        self.0.entry(workflow.clone()).or_default()
    }
}
