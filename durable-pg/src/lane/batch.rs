//! Writes that ride together: what the statement is given, and what its answer means for each.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use durable_core::{
    db::{ChildInserted, Hint, Inserted, Recorded, Write as Written},
    ids::{Owner, WorkflowId},
    time::Timestamp,
};

use super::{
    columns::{ALL, Columns, OF_ENDS, OF_STARTS, OF_STEPS},
    statement::{WRITE, WRITE_ENDS, WRITE_STARTS, WRITE_STEPS},
    write::{Answer, Finish, Start, Step, Write},
};
use crate::{DriverError, Row};

/// A batch, kind by kind.
#[derive(Default)]
pub(super) struct Batch {
    steps: Vec<(Step, Answer<Recorded>)>,
    finishes: Vec<(Finish, Answer<Written>)>,
    starts: Vec<(Box<Start>, Answer<ChildInserted>)>,
    /// What cannot ride beside a write that is in the batch already.
    alone: Vec<Write>,
    taken: HashSet<Place>,
}

/// What two writes of one batch must not both be about.
#[derive(PartialEq, Eq, Hash)]
enum Place {
    Step(WorkflowId, i32),
    Finish(WorkflowId),
    Start(WorkflowId),
}

impl Batch {
    pub(super) fn of(writes: impl IntoIterator<Item = Write>) -> Self {
        let mut batch = Self::default();
        for write in writes {
            batch.add(write);
        }
        // Two batches that insert the same ids in different orders would wait for each other.
        batch.starts.sort_by(|(a, _), (b, _)| a.id().cmp(b.id()));
        batch
    }

    fn add(&mut self, write: Write) {
        let fits = match &write {
            Write::Step(step, _) => self
                .taken
                .insert(Place::Step(step.owner.workflow.clone(), step.record.number)),
            Write::Finish(finish, _) => self
                .taken
                .insert(Place::Finish(finish.owner.workflow.clone())),
            Write::Start(start, _) => {
                // Both, though the first says no.
                let id = self.taken.insert(Place::Start(start.id().clone()));
                let step = start.parent.as_ref().is_none_or(|(owner, stamp)| {
                    self.taken
                        .insert(Place::Step(owner.workflow.clone(), stamp.number))
                });
                id && step
            }
        };
        match write {
            write if !fits => self.alone.push(write),
            Write::Step(step, answer) => self.steps.push((step, answer)),
            Write::Finish(finish, answer) => self.finishes.push((finish, answer)),
            Write::Start(start, answer) => self.starts.push((start, answer)),
        }
    }

    /// All of it, to be written one by one.
    pub(super) fn into_writes(self) -> Vec<Write> {
        let steps = self.steps.into_iter();
        let finishes = self.finishes.into_iter();
        let starts = self.starts.into_iter();
        steps
            .map(|(step, answer)| Write::Step(step, answer))
            .chain(finishes.map(|(finish, answer)| Write::Finish(finish, answer)))
            .chain(starts.map(|(start, answer)| Write::Start(start, answer)))
            .chain(self.alone)
            .collect()
    }

    /// The statement that writes it, and which of its [`columns`](Self::columns) that takes.
    pub(super) fn statement(&self) -> (&'static str, Range<usize>) {
        let by_none = self.starts.iter().all(|(start, _)| start.parent.is_none());
        match (&*self.steps, &*self.finishes, &*self.starts) {
            (_, [], []) => (WRITE_STEPS, OF_STEPS),
            (_, _, []) => (WRITE_ENDS, OF_ENDS),
            ([], [], _) if by_none => (WRITE_STARTS, OF_STARTS),
            _ => (WRITE, ALL),
        }
    }

    /// The parameters of the statement.
    pub(super) fn columns<'a>(&'a self, places: &'a Places) -> Columns<'a> {
        let mut columns = Columns::of(
            self.owners(),
            self.steps.len(),
            self.finishes.len(),
            self.starts.len(),
        );
        for (step, _) in &self.steps {
            columns.step(step);
        }
        for (finish, _) in &self.finishes {
            columns.finish(finish);
        }
        let mut on_queue: HashMap<&str, i64> = HashMap::new();
        for (start, _) in &self.starts {
            let place = start.queue().map(|queue| {
                let count = on_queue.entry(queue).or_insert(0);
                *count += 1;
                (places.after(queue), *count - 1)
            });
            columns.start(start, place);
        }
        columns
    }

    /// The workflows whose rows are locked, in the order of their ids.
    fn owners(&self) -> Vec<Option<&str>> {
        let steps = self.steps.iter().map(|(step, _)| &step.owner);
        let finishes = self.finishes.iter().map(|(finish, _)| &finish.owner);
        let parents = self
            .starts
            .iter()
            .filter_map(|(start, _)| start.parent.as_ref().map(|(owner, _)| owner));
        let mut ids: Vec<Option<&str>> = steps
            .chain(finishes)
            .chain(parents)
            .map(|owner: &Owner| Some(owner.workflow.as_str()))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Answers what the statement wrote; the rest is to be written alone, which tells why it was not.
    pub(super) fn settle(self, written: &Answered, places: &Places) -> Settled {
        let mut settled = Settled {
            hints: Vec::new(),
            alone: self.alone,
        };
        let all = written.steps == self.steps.len();
        for (step, answer) in self.steps {
            let place = (step.owner.workflow.clone(), step.record.number);
            if all || written.step.contains(&place) {
                let _ = answer.send(Ok(Recorded::Written));
            } else {
                settled.alone.push(Write::Step(step, answer));
            }
        }
        let all = written.finishes == self.finishes.len();
        for (finish, answer) in self.finishes {
            let id = &finish.owner.workflow;
            let queued = written.finish.get(id);
            if all || queued.is_some() {
                settled
                    .hints
                    .push((Hint::Workflow(id.clone()), queued.copied().unwrap_or(false)));
                let _ = answer.send(Ok(Written::Written));
            } else {
                settled.alone.push(Write::Finish(finish, answer));
            }
        }
        for (start, answer) in self.starts {
            let Some((created_at, deadline)) = written.start.get(start.id()).copied() else {
                settled.alone.push(Write::Start(start, answer));
                continue;
            };
            if let Some(queue) = start.queue() {
                places.taken(queue, created_at);
                settled.hints.push((Hint::Queue(queue.to_owned()), true));
            }
            let deadline = deadline.map(Timestamp::from_millis);
            let _ = answer.send(Ok(ChildInserted::Done(Inserted::Created { deadline })));
        }
        settled
    }
}

/// What is left to do after a batch.
pub(super) struct Settled {
    /// Hints, and whether other processes are told them too.
    pub(super) hints: Vec<(Hint, bool)>,
    /// Writes that were not made.
    pub(super) alone: Vec<Write>,
}

/// The statement's answer.
#[derive(Default)]
pub(super) struct Answered {
    steps: usize,
    finishes: usize,
    step: HashSet<(WorkflowId, i32)>,
    /// Whether it came from a queue.
    finish: HashMap<WorkflowId, bool>,
    /// When it was created, and its deadline.
    start: HashMap<WorkflowId, (i64, Option<i64>)>,
}

impl Answered {
    /// Errors: it is not an answer to the statement.
    pub(super) fn read(rows: Vec<Row>) -> Result<Self, DriverError> {
        let mut written = Self::default();
        let count = |number: i64| usize::try_from(number).unwrap_or(0);
        for mut row in rows {
            match row.some_integer()? {
                0 => {
                    row.text()?;
                    written.steps = count(row.some_integer()?);
                    written.finishes = count(row.some_integer()?);
                }
                1 => {
                    let id = row.some_text()?.into();
                    let number = i32::try_from(row.some_integer()?).unwrap_or_default();
                    written.step.insert((id, number));
                }
                2 => {
                    let id = row.some_text()?.into();
                    written.finish.insert(id, row.some_integer()? == 1);
                }
                _ => {
                    let id = row.some_text()?.into();
                    let created = row.some_integer()?;
                    written.start.insert(id, (created, row.integer()?));
                }
            }
        }
        Ok(written)
    }
}

/// The `created_at` that this process gave last on each queue: enqueues of one process are claimed in the order of their answers,
/// also within a millisecond and when the server's clock steps back.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<String, i64>>);

/// From how many queues on the old ones are forgotten, and how old they are then.
const MANY_QUEUES: usize = 4096;
const OLD: i64 = 3_600_000;

impl Places {
    /// The earliest `created_at` of the next row on this queue.
    pub(crate) fn after(&self, queue: &str) -> Option<i64> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(queue).map(|last| last.saturating_add(1))
    }

    /// A row was created there.
    pub(crate) fn taken(&self, queue: &str, created_at: i64) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MANY_QUEUES {
            last.retain(|_, at| *at > created_at - OLD);
        }
        let at = last.entry(queue.to_owned()).or_insert(created_at);
        *at = created_at.max(*at);
    }
}
