//! What is kept of a run while it goes: a digest of everything, what the invariants found, and on demand the timeline.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash as _, Hasher as _},
    time::Duration,
};

use durable_core::ids::{Owner, WorkflowId};

use super::{
    fact::{Awaits, Fact, Moment},
    hash::Digest,
    invariant::{Invariant, Violation},
    tasks::TaskId,
    timeline::Timeline,
    world::DATABASE,
};

/// How much time passes before the invariants are asked, whatever happens.
const LOOK: Duration = Duration::from_millis(500);

/// The record of one run.
pub(super) struct Record {
    pub(super) digest: Digest,
    /// When something happened last.
    now: Duration,
    /// When the invariants were last asked only because time had passed.
    looked: Duration,
    invariants: Vec<Box<dyn Invariant>>,
    pub(super) violation: Option<Violation>,
    landmarks: BTreeMap<&'static str, u64>,
    timeline: Option<Timeline>,
    /// How many step bodies run now: timers of a user's in them are not skipped.
    pub(super) bodies: usize,
    running: BTreeMap<(usize, Owner, i32), String>,
    /// What operations wait for, by their workflows and numbers.
    pub(super) waits: BTreeMap<(WorkflowId, i32), Awaits>,
    /// Workflows with an execution, and the process that it is in.
    executed: BTreeMap<WorkflowId, usize>,
    /// Queues that anybody ever asked for work.
    served: BTreeSet<String>,
    /// What the client says that it waits for.
    pub(super) client_waits: BTreeMap<u64, String>,
}

impl Record {
    /// A record that these invariants watch; with `timeline`, one line is kept for each thing that happens.
    pub(super) fn new(invariants: Vec<Box<dyn Invariant>>, timeline: bool) -> Self {
        Self {
            digest: Digest::default(),
            now: Duration::ZERO,
            looked: Duration::ZERO,
            invariants,
            violation: None,
            landmarks: BTreeMap::new(),
            timeline: timeline.then(Timeline::default),
            bodies: 0,
            running: BTreeMap::new(),
            waits: BTreeMap::new(),
            executed: BTreeMap::new(),
            served: BTreeSet::new(),
            client_waits: BTreeMap::new(),
        }
    }

    /// A task was polled.
    pub(super) fn polled(&mut self, now: Duration, process: usize, task: TaskId) {
        let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.now = now;
        self.digest.write_u64(at << 8 ^ process as u64);
        self.digest.write_u64(task);
    }

    /// Something happened.
    pub(super) fn tell(&mut self, at: Duration, process: usize, name: &str, fact: Fact) {
        self.now = at;
        fact.hash(&mut self.digest);
        self.follow(process, &fact);
        if let Some(landmark) = fact.landmark() {
            *self.landmarks.entry(landmark).or_default() += 1;
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.push(at, line(name, &fact), fact.is_fault());
        }
        self.judge(&Moment {
            at,
            process,
            fact: &fact,
        });
    }

    /// Time has passed: what should have happened by now is late.
    pub(super) fn passes(&mut self, at: Duration) {
        if at.saturating_sub(self.looked) >= LOOK {
            self.looked = at;
            self.judge(&Moment {
                at,
                process: DATABASE,
                fact: &Fact::Passed,
            });
        }
    }

    /// Asks the invariants.
    fn judge(&mut self, moment: &Moment<'_>) {
        if self.violation.is_some() {
            return;
        }
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.see(moment) {
                let name = invariant.name();
                return self.fail(name, what);
            }
        }
    }

    /// Keeps which bodies run and who waits for what.
    fn follow(&mut self, process: usize, fact: &Fact) {
        match fact {
            Fact::Body {
                owner,
                number,
                name,
                ..
            } => {
                self.running
                    .insert((process, owner.clone(), *number), name.clone());
            }
            Fact::Execution { owner, .. } => {
                self.executed.insert(owner.workflow.clone(), process);
            }
            Fact::Acknowledged { owner, number } => {
                self.running.remove(&(process, owner.clone(), *number));
            }
            Fact::Dropped { owner, number } => {
                self.running.remove(&(process, owner.clone(), *number));
                self.waits.remove(&(owner.workflow.clone(), *number));
            }
            Fact::Stopped { owner, .. } | Fact::Finished(owner) => {
                self.running.retain(|(_, of, _), _| of != owner);
                self.waits.retain(|(of, _), _| *of != owner.workflow);
                self.executed.remove(&owner.workflow);
            }
            Fact::Crashed { .. } => {
                self.running.retain(|(of, ..), _| *of != process);
                self.executed.retain(|_, of| *of != process);
            }
            Fact::Waits {
                owner,
                number,
                what,
            } => {
                self.waits
                    .insert((owner.workflow.clone(), *number), what.clone());
            }
            Fact::Written { owner, what, .. } => {
                if let Some(number) = what.number() {
                    self.waits.remove(&(owner.workflow.clone(), number));
                }
            }
            _ => {}
        }
        self.bodies = self.running.len();
    }

    /// What a workflow's operations wait for, in the order of their numbers.
    pub(super) fn waits_of(&self, workflow: &WorkflowId) -> Vec<&Awaits> {
        let waits = self.waits.iter();
        waits
            .filter(|((of, _), _)| of == workflow)
            .map(|(_, what)| what)
            .collect()
    }

    /// The steps of a workflow whose bodies run now: their numbers and names.
    pub(super) fn bodies_of(&self, workflow: &WorkflowId) -> Vec<(i32, &str)> {
        let running = self.running.iter();
        let of = running.filter(|((_, owner, _), _)| owner.workflow == *workflow);
        of.map(|((.., number), name)| (*number, name.as_str()))
            .collect()
    }

    /// Whether a workflow has an execution.
    pub(super) fn is_running(&self, workflow: &WorkflowId) -> bool {
        self.executed.contains_key(workflow)
    }

    /// Somebody asks for work of a queue.
    pub(super) fn serves(&mut self, queue: &str) {
        if !self.served.contains(queue) {
            self.served.insert(queue.to_owned());
        }
    }

    /// Whether anybody ever asked for work of a queue.
    pub(super) fn is_served(&self, queue: &str) -> bool {
        self.served.contains(queue)
    }

    /// Something is wrong.
    pub(super) fn fail(&mut self, invariant: &'static str, what: impl Into<String>) {
        if self.violation.is_some() {
            return;
        }
        let violation = Violation {
            invariant,
            what: what.into(),
        };
        if let Some(timeline) = &mut self.timeline {
            timeline.push(self.now, format!("--   FAILED {violation}"), false);
        }
        self.violation = Some(violation);
    }

    pub(super) fn landmarks(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.landmarks)
    }

    /// The timeline, if one was kept.
    pub(super) fn timeline(&mut self) -> Vec<String> {
        self.timeline.take().unwrap_or_default().into_lines()
    }
}

fn line(process: &str, fact: &Fact) -> String {
    format!("{process:<4} {fact}")
}
