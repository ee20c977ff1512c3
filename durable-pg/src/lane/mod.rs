//! The write lanes: all writes of workflows that wait ride in few, large commits.
//!
//! Each lane has a connection of its own. While a batch is on its way the next one gathers, and then those who were answered get a few
//! turns to join it: there is no timer, so a lone write goes at once. A caller is answered after the commit that its write was part of, so
//! nothing is acknowledged that a crash could take back. A write whose caller has gone away happens all the same.
//!
//! - `write`: what rides; `columns`, `batch`: many of them as parameters, and the answer as an answer to each
//! - `statement`: the one statement of a batch, as long as it has to be
//! - `alone`: what could not ride, in a transaction of its own that tells why

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use durable_core::db::{
    ChildInserted, Inserted, NewWorkflow, Recorded, Result, StepRecord, StepStamp, Write as Written,
};
use durable_core::{ids::Owner, payload::Outcome};
use tokio::sync::{mpsc, oneshot};

use crate::{Connection as _, Driver, DriverError, core::Core, error::Failure};

mod alone;
mod batch;
mod columns;
mod statement;
mod write;

pub(crate) use alone::{
    EXISTING, FINISH, INSERT, OWNER, RECORD, Recording, STORED, check_owner, insert, record, same,
    stored, taken,
};
pub(crate) use batch::Places;
pub(crate) use columns::format;
pub(crate) use statement::{WRITE, WRITE_ENDS, WRITE_STARTS, WRITE_STEPS};
pub(crate) use write::Start;

use batch::{Answered, Batch, Settled};
use write::{Answer, Finish, Step, Write};

/// How many writes share one commit at most: what a failure repeats one by one is bounded by it.
const MAX_BATCH: usize = 512;

/// About how many bytes a batch has at most; a single larger write goes by itself.
const MAX_BYTES: usize = 4 << 20;

/// How often a lane lets other tasks go first before it gathers; more than these gain nothing.
const TURNS: usize = 4;

/// How many writes may wait in a lane before their callers wait for a place.
const MAX_WAITING: usize = 4096;

/// The callers' end of the lanes. They end when the last of these is dropped, after what waits is written.
#[derive(Debug)]
pub(crate) struct Lanes {
    waiting: Vec<mpsc::Sender<Write>>,
    commits: Arc<AtomicU64>,
    places: Arc<Places>,
}

impl Lanes {
    /// Starts so many lanes on the current tokio runtime.
    pub(crate) fn start<D: Driver>(core: &Arc<Core<D>>, count: usize) -> Self {
        let commits = Arc::new(AtomicU64::new(0));
        let places = Arc::new(Places::default());
        let lane = |_| {
            let (waiting, writes) = mpsc::channel(MAX_WAITING);
            let lane = Lane {
                core: Arc::clone(core),
                writes,
                pending: VecDeque::new(),
                connection: None,
                places: Arc::clone(&places),
                commits: Arc::clone(&commits),
            };
            tokio::spawn(lane.run());
            waiting
        };
        Self {
            waiting: (0..count.max(1)).map(lane).collect(),
            commits,
            places,
        }
    }

    /// The order of what this process puts on queues.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// How many batches were committed.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) async fn insert(&self, new: &NewWorkflow) -> Result<Inserted> {
        const DOING: &str = "start a workflow";
        let start = Box::new(Start::new(new, None));
        match self
            .ride(DOING, |answer| Write::Start(start, answer))
            .await?
        {
            ChildInserted::Done(inserted) => Ok(inserted),
            ChildInserted::Lost(_) => {
                Err(Failure::broken("a start without a parent lost its parent").into_error(DOING))
            }
        }
    }

    pub(crate) async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        let start = Box::new(Start::new(new, Some((parent.clone(), step.clone()))));
        self.ride("start a child", |answer| Write::Start(start, answer))
            .await
    }

    pub(crate) async fn record(&self, owner: &Owner, record: &StepRecord) -> Result<Recorded> {
        let step = Step {
            owner: owner.clone(),
            record: record.clone(),
        };
        self.ride("record a step", |answer| Write::Step(step, answer))
            .await
    }

    pub(crate) async fn finish(&self, owner: &Owner, outcome: &Outcome) -> Result<Written> {
        let finish = Finish {
            owner: owner.clone(),
            outcome: outcome.clone(),
        };
        self.ride("finish a workflow", |answer| Write::Finish(finish, answer))
            .await
    }

    async fn ride<T>(
        &self,
        doing: &'static str,
        write: impl FnOnce(Answer<T>) -> Write,
    ) -> Result<T> {
        let (caller, answer) = oneshot::channel();
        let write = write(caller);
        let lane = self.lane_of(write.lane_key());
        let answer = match lane.send(write).await {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(Failure::closed())),
            Err(_) => Err(Failure::closed()),
        };
        answer.map_err(|failure| failure.into_error(doing))
    }

    fn lane_of(&self, key: &str) -> &mpsc::Sender<Write> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let lanes = self.waiting.len() as u64;
        // Less than the number of lanes, which is a usize.
        let lane = usize::try_from(hasher.finish() % lanes).unwrap_or_default();
        &self.waiting[lane]
    }
}

/// A lane's own end.
struct Lane<D: Driver> {
    core: Arc<Core<D>>,
    writes: mpsc::Receiver<Write>,
    /// What was taken and did not fit.
    pending: VecDeque<Write>,
    connection: Option<D::Connection>,
    places: Arc<Places>,
    commits: Arc<AtomicU64>,
}

impl<D: Driver> Lane<D> {
    async fn run(mut self) {
        while let Some(writes) = self.gather().await {
            let answered = writes.len();
            self.carry(Batch::of(writes)).await;
            self.wait_for_the_answered(answered).await;
        }
    }

    /// Lets those who were answered go on, up to their next writes, so that these ride together: a lane that gathers before its callers
    /// have run takes the first few of them, and the others only after one more commit.
    async fn wait_for_the_answered(&mut self, answered: usize) {
        // Those that came meanwhile are beside them.
        let all = self.writes.len() + answered;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            if self.writes.len() >= all {
                return;
            }
        }
    }

    /// All that waits, as far as it fits into one statement; waits for something. `None`: nobody is left who could write.
    async fn gather(&mut self) -> Option<Vec<Write>> {
        if self.pending.is_empty() {
            let mut taken = Vec::new();
            if self.writes.recv_many(&mut taken, MAX_BATCH).await == 0 {
                return None;
            }
            self.pending = taken.into();
        }
        let mut bytes = 0;
        let mut writes = Vec::with_capacity(self.pending.len());
        while let Some(write) = self.pending.front() {
            bytes += write.bytes();
            if bytes > MAX_BYTES && !writes.is_empty() {
                break;
            }
            writes.extend(self.pending.pop_front());
        }
        Some(writes)
    }

    /// Writes a batch and answers its callers.
    async fn carry(&mut self, batch: Batch) {
        let mut written = self.write(&batch).await;
        if written.as_ref().is_err_and(DriverError::is_stale) {
            // Nothing of it happened, and the connection was given up.
            written = self.write(&batch).await;
        }
        let failure = match written {
            Ok(answered) => return self.settled(batch.settle(&answered, &self.places)),
            Err(failure) => failure,
        };
        let writes = batch.into_writes();
        if failure.is_lost() {
            // Each further try would wait just as long; whether it happened, the callers find out by asking again.
            let failure = Failure::from(failure);
            return writes.into_iter().for_each(|write| write.fail(&failure));
        }
        tracing::debug!(error = %failure, "a batch is refused; its writes go one by one");
        self.go_alone(writes);
    }

    /// One statement, which is one commit.
    async fn write(&mut self, batch: &Batch) -> Result<Answered, DriverError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.core.prepared().await?,
        };
        let (statement, parameters) = batch.statement();
        let text = self.core.text(statement);
        let columns = batch.columns(&self.places);
        let columns = columns.parameters();
        let asked = connection.query(&text, &columns[parameters]);
        let written = self.core.bounds.answer(asked).await;
        match &written {
            Err(error) if error.is_lost() => connection.discard(),
            _ => self.connection = Some(connection),
        }
        let rows = written?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Answered::read(rows)
    }

    fn settled(&self, settled: Settled) {
        self.core.publish_some(settled.hints);
        self.go_alone(settled.alone);
    }

    /// Writes each in a transaction of its own, off the lane: one may have to wait for a row that somebody holds.
    fn go_alone(&self, writes: Vec<Write>) {
        if writes.is_empty() {
            return;
        }
        let core = Arc::clone(&self.core);
        let places = Arc::clone(&self.places);
        tokio::spawn(async move {
            let each = writes
                .into_iter()
                .map(|write| alone::write(&core, &places, write));
            futures_util::future::join_all(each).await;
        });
    }
}
