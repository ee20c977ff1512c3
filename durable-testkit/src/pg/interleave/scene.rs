//! The same calls on two databases: the names of one run, and what a process of either database can do.

use async_trait::async_trait;
use durable_core::{
    db::{SystemDb, Waits},
    ids::{ExecutorId, WorkflowId},
    state::WorkflowRow,
    time::Timestamp,
};

/// The workflows that calls are about: most are about the first.
pub(super) const WORKFLOWS: [&str; 3] = ["w", "c", "d"];

/// The topics of messages, and the keys of events.
pub(super) const TOPIC: &str = "news";
pub(super) const KEY: &str = "progress";

/// The names of one run: runs in one database share none but those of executors that stay.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    tag: String,
    staying: String,
}

impl Scene {
    pub(super) fn new(run: usize, bench: usize) -> Self {
        Self {
            tag: format!("~{run}~"),
            staying: format!("~~{bench}~~"),
        }
    }

    /// A name in this run.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.tag)
    }

    pub(super) fn id(&self, name: &str) -> WorkflowId {
        self.name(name).into()
    }

    /// An executor: of this run if it is one whose lives are looked at, else one that stays.
    pub(super) fn executor(&self, name: &str) -> ExecutorId {
        if name == REBORN {
            self.name(name).into()
        } else {
            format!("{name}{}", self.staying).into()
        }
    }

    /// A text with the names that all runs have.
    pub(super) fn plain(&self, text: &str) -> String {
        text.replace(&self.staying, "").replace(&self.tag, "")
    }
}

/// An executor whose earlier life meets its later one, and those that live once.
pub(super) const REBORN: &str = "reborn";
pub(super) const STAYING: [&str; 2] = ["one", "two"];

/// A process on a database.
#[async_trait]
pub(super) trait Side: Send + Sync {
    /// Its calls.
    fn db(&self) -> &dyn SystemDb;

    /// Deletes a workflow as another SDK does.
    async fn delete(&self, id: &WorkflowId) -> Result<(), String>;

    /// What no call reads, in lines: the inputs, the mail and the published values of these workflows.
    async fn rest(&self, ids: &[WorkflowId]) -> Vec<String>;
}

/// All that is stored of the workflows of a run, without the times that the database gave.
pub(super) async fn seen(side: &dyn Side, scene: &Scene) -> Vec<String> {
    let ids = WORKFLOWS.map(|name| scene.id(name));
    let mut lines = Vec::new();
    for id in &ids {
        if let Some(row) = side.db().workflow(id).await.expect("rows are read") {
            lines.push(format!("{:?}", timeless(row)));
        }
    }
    for history in side.db().histories(&ids).await.expect("steps are read") {
        for step in history.steps {
            lines.push(format!("{STEP}{:?} {step:?}", history.workflow));
        }
    }
    let waits = Waits {
        results: ids.to_vec(),
        ..Waits::default()
    };
    let mut ended = side.db().poll(&waits).await.expect("ends are read").results;
    ended.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (id, end) in ended {
        lines.push(format!("end of {id:?}: {end:?}"));
    }
    lines.extend(side.rest(&ids).await);
    lines.iter().map(|line| scene.plain(line)).collect()
}

/// How a line about a step begins.
pub(super) const STEP: &str = "step of ";

/// A row whose times tell only whether they are set.
pub(super) fn timeless(row: WorkflowRow) -> WorkflowRow {
    let set = |at: Option<Timestamp>| at.map(|_| Timestamp::default());
    WorkflowRow {
        deadline: set(row.deadline),
        delay_until: set(row.delay_until),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        started_at: set(row.started_at),
        completed_at: set(row.completed_at),
        ..row
    }
}
