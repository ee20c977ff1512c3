//! Who takes part in a run, and what is looked at when it is over.

use durable_core::db::Waits;

use crate::{
    calls::{Scene, Side, WORKFLOWS},
    memory::timeless,
};

/// The workflow that most calls are about.
pub(super) const WORKFLOW: &str = WORKFLOWS[0];

/// An executor whose earlier life meets its later one, and those that live once.
pub(super) const REBORN: &str = "reborn";
pub(super) const STAYING: [&str; 2] = ["one", "two"];

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
