//! The same calls on several databases: the names of one run, and what a process of a database can do.

use std::collections::BTreeMap;

use async_trait::async_trait;
use durable_core::{
    db::SystemDb,
    ids::{ExecutorId, WorkflowId},
    state::{INTERNAL_QUEUE, WorkflowRow},
    time::Timestamp,
};

use super::{HELD, NOW};
use crate::memory::timeless;

/// The workflows that calls are about: most are about the first.
pub(crate) const WORKFLOWS: [&str; 3] = ["w", "c", "d"];

/// The topics of messages, and the keys of events.
pub(crate) const TOPIC: &str = "news";
pub(crate) const KEY: &str = "progress";

/// The names of one run: runs in one database share none but those of executors that stay.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    tag: String,
    staying: String,
    stay: &'static [&'static str],
    exact: bool,
}

impl Scene {
    /// The names of a run, in which these executors are those of its bench.
    pub(crate) fn new(run: usize, bench: usize, stay: &'static [&'static str]) -> Self {
        Self {
            tag: format!("~{run}~"),
            staying: format!("~~{bench}~~"),
            stay,
            exact: false,
        }
    }

    /// The same, on databases whose clocks show the same time: answers tell it.
    pub(crate) fn with_times(self) -> Self {
        Self {
            exact: true,
            ..self
        }
    }

    /// A name in this run.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.tag)
    }

    pub(crate) fn id(&self, name: &str) -> WorkflowId {
        self.name(name).into()
    }

    pub(crate) fn queue(&self, name: &str) -> String {
        if name == INTERNAL_QUEUE {
            name.to_owned()
        } else {
            self.name(name)
        }
    }

    /// An executor: of this run, unless it stays.
    pub(crate) fn executor(&self, name: &str) -> ExecutorId {
        if self.stay.contains(&name) {
            format!("{name}{}", self.staying).into()
        } else {
            self.name(name).into()
        }
    }

    /// A text with the names that all runs have.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&self.staying, "").replace(&self.tag, "")
    }

    /// A row without the times that the database gave, unless those are told.
    pub(crate) fn row(&self, row: WorkflowRow) -> WorkflowRow {
        if self.exact { row } else { timeless(row) }
    }

    /// An instant that the database gave.
    pub(crate) fn instant(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        if self.exact {
            at
        } else {
            at.map(|_| Timestamp::default())
        }
    }
}

/// What calls name without saying it: the tokens that rows hold, and the lives of executors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    /// By workflow, as the database has them.
    pub(crate) tokens: BTreeMap<WorkflowId, String>,
    pub(crate) lives: BTreeMap<ExecutorId, i64>,
}

impl Present {
    pub(crate) fn token(&self, workflow: &WorkflowId, token: &str, scene: &Scene) -> String {
        match token {
            HELD => self.tokens.get(workflow).cloned().unwrap_or_default(),
            named => scene.name(named),
        }
    }

    pub(crate) fn life(&self, executor: &ExecutorId, life: i64) -> i64 {
        match life {
            NOW => self.lives.get(executor).copied().unwrap_or_default(),
            numbered => numbered,
        }
    }
}

/// A process on a database.
#[async_trait]
pub(crate) trait Side: Send + Sync {
    /// Its calls.
    fn db(&self) -> &dyn SystemDb;

    /// Deletes a workflow as another SDK does. Errors: what the database said, or that nothing here can.
    async fn delete(&self, id: &WorkflowId) -> Result<(), String> {
        Err(format!("nothing here deletes {id:?}"))
    }

    /// Leaves a token in a workflow's row as other SDKs do. Errors: what the database said, or that nothing here can.
    async fn leave_token(&self, id: &WorkflowId, token: &str) -> Result<(), String> {
        Err(format!("nothing here leaves {token} in {id:?}"))
    }

    /// What no call reads, in lines: the inputs, the mail and the published values of these workflows.
    async fn rest(&self, _ids: &[WorkflowId]) -> Vec<String> {
        Vec::new()
    }
}
