//! A deadline is set, kept and carried out.

use std::{collections::BTreeMap, time::Duration};

use durable_core::{ids::WorkflowId, time::Timestamp};

use super::{Invariant, known_clock::KnownClock, patience::Patience};
use crate::sim::{
    fact::{Fact, Moment, Terms, Written},
    plan::Plan,
    world::EPOCH,
};

/// A timeout counts from a workflow's first dispatch, its deadline stays as it was set until it is resumed, and a child has its parent's
/// unless it has a timeout of its own; whoever is not done by then is cancelled, neither early nor late, also where nobody runs it.
///
/// For scenarios in which no child is started without a deadline on purpose.
#[derive(Debug)]
pub struct DeadlinesAreKept {
    patience: Patience,
    clock: KnownClock,
    workflows: BTreeMap<WorkflowId, Bounded>,
}

#[derive(Debug, Default)]
struct Bounded {
    timeout_ms: Option<i64>,
    deadline: Option<Timestamp>,
    ended: bool,
    resumed: bool,
}

impl DeadlinesAreKept {
    /// For runs under this plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            patience: Patience::of(plan),
            clock: KnownClock::default(),
            workflows: BTreeMap::new(),
        }
    }

    fn of(&mut self, workflow: &WorkflowId) -> &mut Bounded {
        self.workflows.entry(workflow.clone()).or_default()
    }

    /// Takes in a new workflow. Errors: its deadline is not what it must be.
    fn insert(
        &mut self,
        workflow: &WorkflowId,
        runs: bool,
        parent: Option<&WorkflowId>,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<(), String> {
        let inherited = parent.and_then(|parent| self.workflows.get(parent)?.deadline);
        let wanted = match terms.timeout_ms {
            Some(ms) => runs.then(|| after(now, ms)),
            None => inherited,
        };
        let bounded = Bounded {
            timeout_ms: terms.timeout_ms,
            deadline: wanted,
            ..Bounded::default()
        };
        self.workflows.insert(workflow.clone(), bounded);
        said(workflow, terms.deadline, wanted)
    }

    fn take(&mut self, workflow: &WorkflowId, terms: &Terms, now: Timestamp) -> Result<(), String> {
        let bounded = self.of(workflow);
        let begins = bounded.timeout_ms.map(|ms| after(now, ms));
        bounded.deadline = bounded.deadline.or(begins);
        let wanted = bounded.deadline;
        said(workflow, terms.deadline, wanted)
    }

    /// Errors: a workflow's deadline is over, and it goes on.
    fn check_late(&self, moment: &Moment<'_>) -> Result<(), String> {
        for (workflow, bounded) in &self.workflows {
            let Some(deadline) = bounded.deadline.filter(|_| !bounded.ended) else {
                continue;
            };
            let from = deadline.since(EPOCH);
            let is_late = |process| {
                let bound = (1, Duration::ZERO);
                self.patience.is_late(moment, process, from, bound)
            };
            if moment.at > from && self.patience.up().any(is_late) {
                return Err(format!(
                    "the deadline of {workflow} was over at {:.3} s, and it is not cancelled",
                    from.as_secs_f64()
                ));
            }
        }
        Ok(())
    }
}

fn after(now: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add(ms))
}

fn said(
    workflow: &WorkflowId,
    found: Option<Timestamp>,
    wanted: Option<Timestamp>,
) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    let told = |deadline: Option<Timestamp>| deadline.map_or("none".to_owned(), |d| d.to_string());
    Err(format!(
        "{workflow} has the deadline {}, and must have {}",
        told(found),
        told(wanted)
    ))
}

impl Invariant for DeadlinesAreKept {
    fn name(&self) -> &'static str {
        "deadlines_are_kept"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.clock.see(moment);
        let now = self.clock.database(moment.at);
        self.check_late(moment)?;
        self.patience.see(moment);
        match moment.fact {
            Fact::Inserted {
                owner,
                queue,
                parent,
                terms,
                ..
            } => {
                let runs = queue.is_none();
                return self.insert(&owner.workflow, runs, parent.as_ref(), terms, now);
            }
            Fact::Taken { owner, terms, .. } => return self.take(&owner.workflow, terms, now),
            Fact::Resumed(workflow) => {
                let bounded = self.of(workflow);
                bounded.deadline = None;
                bounded.ended = false;
                bounded.resumed = true;
            }
            Fact::Expired(workflow) => {
                let deadline = self.of(workflow).deadline;
                if deadline.is_none_or(|deadline| deadline > now) {
                    return Err(format!(
                        "{workflow} is cancelled at its deadline, which is {}",
                        deadline.map_or("none".to_owned(), |deadline| deadline.to_string())
                    ));
                }
            }
            // An execution that has lost its workflow by a cancel may know the deadline of before a resume.
            Fact::Knows { workflow, deadline } if !self.of(workflow).resumed => {
                let wanted = self.of(workflow).deadline;
                return said(workflow, *deadline, wanted);
            }
            Fact::Cancelled(workflow) => self.of(workflow).ended = true,
            Fact::Written {
                owner,
                what: Written::Outcome { .. } | Written::DeadLetter,
                ..
            } => self.of(&owner.workflow).ended = true,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn kept() -> DeadlinesAreKept {
        DeadlinesAreKept::new(&Plan::calm())
    }

    /// At this second.
    fn at(second: u64) -> Timestamp {
        EPOCH.saturating_add(Duration::from_secs(second))
    }

    fn bounded(fact: Fact, timeout: Option<i64>, deadline: Option<u64>) -> Fact {
        with_terms(fact, |terms| {
            terms.timeout_ms = timeout.map(|seconds| seconds * 1000);
            terms.deadline = deadline.map(at);
        })
    }

    fn child(deadline: Option<u64>) -> Fact {
        let mut inserted = bounded(started("c", "9"), None, deadline);
        if let Fact::Inserted { parent, .. } = &mut inserted {
            *parent = Some(WorkflowId::from("a"));
        }
        inserted
    }

    #[test]
    fn a_deadline_that_is_wrong_at_first_or_moves_is_found() {
        let wrong = [bounded(started("a", "1"), Some(5), Some(6))];
        let moves = [
            bounded(enqueued("a", 0), Some(50), None),
            bounded(claimed("a", "1"), Some(50), Some(51)),
            bounded(claimed("a", "2"), Some(50), Some(52)),
        ];
        let not_inherited = [bounded(started("a", "1"), Some(50), Some(50)), child(None)];
        let knows = Fact::Knows {
            workflow: WorkflowId::from("a"),
            deadline: None,
        };
        let not_told = [bounded(started("a", "1"), Some(50), Some(50)), knows];
        let stays = [
            bounded(started("a", "1"), Some(50), Some(50)),
            Fact::Resumed(WorkflowId::from("a")),
            bounded(claimed("a", "2"), Some(50), Some(50)),
        ];
        for facts in [&wrong[..], &moves, &not_inherited, &not_told, &stays] {
            assert!(judge(kept(), facts).is_err(), "{facts:?}");
        }
    }

    #[test]
    fn an_early_and_a_late_end_are_found_and_one_in_time_is_right() {
        let expired = || {
            let id = WorkflowId::from("a");
            [Fact::Expired(id.clone()), Fact::Cancelled(id)]
        };
        let begin = [
            joined(1),
            bounded(started("a", "1"), Some(5), Some(6)),
            child(Some(6)),
        ];
        let child_ends = written("c", "9", outcome("1"));
        let run = |wait: usize| {
            let wait = std::iter::repeat_n(Fact::Note(String::new()), wait);
            let facts = begin.iter().cloned().chain([child_ends.clone()]);
            let facts: Vec<_> = facts.chain(wait).chain(expired()).collect();
            judge(kept(), &facts)
        };
        assert!(run(0).is_err());
        assert_eq!(run(3), Ok(()));
        assert!(run(20).is_err());
    }

    #[test]
    fn nobody_is_late_while_nobody_can_do_it() {
        let crash = Fact::Crashed {
            down: Duration::from_secs(60),
        };
        let begin = [
            joined(1),
            bounded(started("a", "1"), Some(5), Some(6)),
            crash,
        ];
        let wait = std::iter::repeat_n(Fact::Note(String::new()), 40);
        let facts: Vec<_> = begin.into_iter().chain(wait).collect();
        assert_eq!(judge(kept(), &facts), Ok(()));
    }

    #[test]
    fn a_deadline_is_over_by_the_databases_clock() {
        let ahead = |seconds| Fact::Ahead(Duration::from_secs(seconds));
        let id = || WorkflowId::from("a");
        let run = |then: Fact| {
            let facts = [
                ahead(3_600),
                bounded(started("a", "1"), Some(2), Some(3_603)),
                then,
                Fact::Note(String::new()),
                Fact::Expired(id()),
                Fact::Cancelled(id()),
            ];
            judge(kept(), &facts)
        };
        assert_eq!(run(Fact::Note(String::new())), Ok(()));
        assert!(run(ahead(0)).is_err(), "the clock is right again");
    }
}
