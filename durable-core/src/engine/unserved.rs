//! Warnings about workflows on queues that no living executor serves.
//!
//! A start looks at most once a minute for each queue, and only if this process does not serve that
//! queue itself. An executor that has declared nothing (of an earlier release) may serve anything,
//! so nothing is said while one lives. Executors of other SDKs declare nothing here and are not
//! known; work for them names their application, and is not looked at.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};

use super::{Engine, observer::notice};
use crate::db::{self, NewWorkflow, Placement, Serving, WaitingCount};

/// The time between two looks for one queue.
const INTERVAL: Duration = Duration::from_secs(60);

/// The number of queues whose last look is remembered; with more, all are forgotten.
const MAX_REMEMBERED: usize = 1000;

/// When each queue was looked at last.
#[derive(Debug, Default)]
pub(super) struct LastLooks(Mutex<BTreeMap<String, Duration>>);

impl LastLooks {
    /// Returns `true` if the queue was not looked at within [`INTERVAL`], and notes this look.
    fn is_due(&self, queue: &str, now: Duration) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = looks.get(queue);
        if last.is_some_and(|last| now.saturating_sub(*last) < INTERVAL) {
            return false;
        }
        if looks.len() >= MAX_REMEMBERED {
            looks.clear();
        }
        looks.insert(queue.to_owned(), now);
        true
    }
}

impl Engine {
    /// Warns, in a task of its own, if a workflow of this application that was just enqueued waits
    /// on a queue that no living executor of its version serves.
    pub(super) fn look_whether_served(self: &Arc<Self>, new: &NewWorkflow) {
        let Placement::Queue { name: queue, .. } = &new.placement else {
            return;
        };
        let is_ours = new.application == self.claimant.application;
        if !is_ours || self.serves(queue) || !self.last_looks.is_due(queue, self.runtime.elapsed())
        {
            return;
        }
        let engine = Arc::clone(self);
        let (id, queue) = (new.id.clone(), queue.clone());
        let look = async move {
            let asked = engine.db.serving(&engine.claimant.application);
            let stopped = Box::pin(engine.stopped.cancelled());
            let Either::Left((Ok(serving), _)) = select(asked, stopped).await else {
                return;
            };
            let version = &engine.claimant.version;
            if !is_served(&serving, &queue, Some(version)) {
                notice(&started_notice(id.as_str(), &queue, version, &serving));
            }
        };
        self.runtime.spawn("serving", Box::pin(look)).detach();
    }

    fn serves(&self, queue: &str) -> bool {
        self.queues.iter().any(|worker| worker.queue() == queue)
    }

    /// The workflows of this version (or of none) that wait on queues which no living executor
    /// serves.
    pub(super) async fn unserved(&self) -> db::Result<Vec<WaitingCount>> {
        let application = &self.claimant.application;
        let mut waiting = self.db.waiting(application).await?;
        waiting.retain(|found| {
            let version = found.version.as_ref();
            let is_ours = version.is_none_or(|version| *version == self.claimant.version);
            is_ours && !self.serves(&found.queue)
        });
        if waiting.is_empty() {
            return Ok(waiting);
        }
        let serving = self.db.serving(application).await?;
        waiting.retain(|found| !is_served(&serving, &found.queue, found.version.as_deref()));
        Ok(waiting)
    }
}

/// Returns `true` if an executor serves the queue in this version (`None`: in any), or one of them
/// has not declared what it serves.
fn is_served(serving: &[Serving], queue: &str, version: Option<&str>) -> bool {
    serving.iter().any(|one| {
        one.serves.as_ref().is_none_or(|serves| {
            version.is_none_or(|version| serves.version == version)
                && serves.queues.iter().any(|served| served == queue)
        })
    })
}

fn started_notice(id: &str, queue: &str, version: &str, serving: &[Serving]) -> String {
    let others = serving.iter().filter_map(|one| one.serves.as_ref());
    let mut others: Vec<&str> = others
        .filter(|serves| serves.queues.iter().any(|served| served == queue))
        .map(|serves| serves.version.as_str())
        .collect();
    others.sort_unstable();
    others.dedup();
    if others.is_empty() {
        return format!(
            "workflow {id:?} waits on queue {queue:?}, which no living executor of this application \
             serves; it starts as soon as a process that has `.queue({queue:?})` in its builder is \
             launched. If there is to be none, check the name"
        );
    }
    format!(
        "workflow {id:?} waits on queue {queue:?} for an executor of version {version}; those that \
         serve the queue now run version {}. A workflow runs only in the version that started it. \
         Register the same workflows in this process as in those (the version is a digest of them), \
         or launch both as `.version(…)` of one name",
        others.join(", "),
    )
}

/// The text of a launch report about workflows that wait on a queue that nobody serves.
pub(super) fn unserved_notice(found: &WaitingCount, ours: &str) -> String {
    let (count, queue) = (found.count, &found.queue);
    let (subject, verb) = match count {
        1 => ("workflow", "waits"),
        _ => ("workflows", "wait"),
    };
    format!(
        "{count} {subject} of version {} {verb} on queue {queue:?}, which no living executor of that \
         version serves; nothing is lost. Ways out: launch a process of that version with \
         `.queue({queue:?})` in its builder; or cancel them",
        found.version.as_deref().unwrap_or(ours),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Serves;

    fn serving(version: &str, queues: &[&str]) -> Serving {
        Serving {
            executor: "e".into(),
            serves: Some(Serves {
                version: version.to_owned(),
                queues: queues.iter().map(|&queue| queue.to_owned()).collect(),
            }),
        }
    }

    #[test]
    fn a_queue_is_served_by_who_declares_it_in_that_version() {
        let one = [serving("v1", &["mail"]), serving("v2", &["print"])];
        assert!(is_served(&one, "mail", Some("v1")));
        assert!(!is_served(&one, "mail", Some("v2")));
        assert!(is_served(&one, "mail", None));
        assert!(!is_served(&one, "scan", None));
        assert!(!is_served(&[], "mail", None));
    }

    #[test]
    fn who_has_declared_nothing_may_serve_anything() {
        let silent = Serving {
            executor: "old".into(),
            serves: None,
        };
        let some = [serving("v1", &["mail"]), silent];
        assert!(is_served(&some, "scan", Some("v9")));
    }

    #[test]
    fn a_queue_is_looked_at_once_a_minute() {
        let looks = LastLooks::default();
        let at = Duration::from_secs;
        assert!(looks.is_due("mail", at(0)));
        assert!(looks.is_due("print", at(1)));
        assert!(!looks.is_due("mail", at(59)));
        assert!(looks.is_due("mail", at(60)));
        assert!(!looks.is_due("print", at(60)));
    }

    #[test]
    fn names_without_end_are_not_remembered_without_end() {
        let looks = LastLooks::default();
        for n in 0..3 * MAX_REMEMBERED {
            assert!(looks.is_due(&format!("queue {n}"), Duration::ZERO));
        }
        assert!(looks.0.lock().unwrap().len() <= MAX_REMEMBERED);
    }
}
