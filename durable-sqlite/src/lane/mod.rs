//! The write lane: one connection writes for the whole process, and all writes that wait ride in one commit.
//!
//! While a batch is being written the next one gathers. There is no timer, so a lone write goes at once. A caller is answered after
//! the commit that its operation was part of, so nothing is acknowledged that a crash could take back. An operation whose caller has
//! gone away happens all the same.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use durable_core::{db::Result, source::held_around};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::{error::Failure, watch::Watch};

mod lent;
mod session;
#[cfg(test)]
mod tests;

use lent::Wish;
pub(crate) use lent::{End, Lent};
pub(crate) use session::{Places, Session};

/// How many operations share one commit at most: what a rollback repeats and a crash loses is bounded by it.
const MAX_BATCH: usize = 256;

/// How many operations may wait before their callers wait for a place.
const MAX_WAITING: usize = 4096;

/// The callers' end of the lane. The lane ends when the last of these is dropped, after what waits is written.
#[derive(Clone)]
pub(crate) struct Lane {
    waiting: mpsc::Sender<Box<dyn Ride>>,
    wishes: mpsc::Sender<Wish>,
    commits: Arc<AtomicU64>,
}

impl Lane {
    /// Starts a lane on the current tokio runtime.
    pub(crate) fn start(session: Session, watch: Watch) -> Self {
        let (waiting, rides) = mpsc::channel(MAX_WAITING);
        let (wishes, wished) = mpsc::channel(1);
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            rides,
            wished,
            session,
            watch,
            commits: Arc::clone(&commits),
        };
        tokio::spawn(writer.run());
        Self {
            waiting,
            wishes,
            commits,
        }
    }

    /// How many transactions were committed.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Refuses what is asked once the lane has ended, as it does with the runtime that it was
    /// started in.
    pub(crate) fn check_open(&self) -> Result<(), Failure> {
        if self.waiting.is_closed() {
            return Err(Failure::closed());
        }
        Ok(())
    }

    /// What tells the writer of this lane from all others, as long as the lane is there.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.commits).addr()
    }

    /// Refuses a call from inside a closure that has the connection: it would wait for the closure,
    /// and the closure for it.
    fn check_not_held(&self, doing: &str) -> Result<(), Failure> {
        let Some(step) = held_around(self.key()) else {
            return Ok(());
        };
        Err(Failure::Refused(format!(
            "cannot {doing} inside the closure of the transactional step {step:?}, which has the \
            one writer that this SQLite database has; \
             do it before or after that step, or by `enqueue` or `send` of the data source, which \
             are part of the transaction"
        )))
    }

    /// Lends the connection, with a transaction open on it; nothing else is written until it comes back.
    pub(crate) async fn lend(&self, read_only: bool) -> Result<Lent, Failure> {
        self.check_not_held("begin a transaction")?;
        let (caller, answer) = oneshot::channel();
        let wish = Wish { read_only, caller };
        match self.wishes.send(wish).await {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(Failure::closed())),
            Err(_) => Err(Failure::closed()),
        }
    }

    /// Runs `operation` in a transaction that it may share with others, and answers when that is committed.
    ///
    /// It may run more than once, each time as if the times before had not been.
    pub(crate) async fn run<A, T, F>(&self, doing: &'static str, args: A, operation: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: Operation<A, T>,
    {
        self.check_not_held(doing)
            .map_err(|failure| failure.into_error(doing))?;
        let (caller, answer) = oneshot::channel();
        let ride = Box::new(Passenger {
            args,
            operation,
            answer: None,
            caller,
        });
        let answer = match self.waiting.send(ride).await {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(Failure::closed())),
            Err(_) => Err(Failure::closed()),
        };
        answer.map_err(|failure| failure.into_error(doing))
    }
}

/// What a caller wants done: reads and writes in the session's transaction. A verdict, such as a lost token, is an answer; after a
/// failure nothing of it remains.
pub(crate) trait Operation<A, T>:
    for<'t> Fn(&'t mut Session, &'t A) -> BoxFuture<'t, Result<T, Failure>> + Send + Sync + 'static
{
}

impl<A, T, F> Operation<A, T> for F where
    F: for<'t> Fn(&'t mut Session, &'t A) -> BoxFuture<'t, Result<T, Failure>>
        + Send
        + Sync
        + 'static
{
}

/// An operation on its way, whatever it answers.
#[async_trait]
trait Ride: Send {
    /// Runs the operation and keeps its answer.
    async fn go(&mut self, session: &mut Session) -> Result<(), Failure>;

    /// Tells the caller: the answer that was kept, or why there is none.
    fn arrive(self: Box<Self>, outcome: Result<(), Failure>);
}

struct Passenger<A, T, F> {
    args: A,
    operation: F,
    answer: Option<T>,
    caller: oneshot::Sender<Result<T, Failure>>,
}

#[async_trait]
impl<A, T, F> Ride for Passenger<A, T, F>
where
    A: Send + Sync,
    T: Send,
    F: Operation<A, T>,
{
    async fn go(&mut self, session: &mut Session) -> Result<(), Failure> {
        self.answer = Some((self.operation)(session, &self.args).await?);
        Ok(())
    }

    fn arrive(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { answer, caller, .. } = *self;
        let not_run = || Failure::unavailable("the operation was not run");
        let answer = outcome.and_then(|()| answer.ok_or_else(not_run));
        // A caller that went away wants no answer.
        let _ = caller.send(answer);
    }
}

/// The lane's own end.
struct Writer {
    rides: mpsc::Receiver<Box<dyn Ride>>,
    wished: mpsc::Receiver<Wish>,
    session: Session,
    watch: Watch,
    commits: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            // In no fixed order: neither writes nor lent transactions can keep the others out.
            tokio::select! {
                taken = self.rides.recv_many(&mut batch, MAX_BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    self.carry(std::mem::take(&mut batch)).await;
                }
                Some(wish) = self.wished.recv() => {
                    let Some(back) = self.lend(wish).await else {
                        return;
                    };
                    self = back;
                }
                () = self.watch.due() => {}
            }
            self.session.look(&mut self.watch).await;
        }
    }

    /// Writes a batch and answers its callers. If it fails as a whole, each operation goes alone, so that one that cannot be written
    /// does not take its neighbours with it.
    async fn carry(&mut self, mut batch: Vec<Box<dyn Ride>>) {
        let outcome = match self.commit(&mut batch).await {
            Err(Stopped::Inside(_)) if batch.len() > 1 => return self.carry_singly(batch).await,
            Err(Stopped::Before(failure) | Stopped::Inside(failure)) => Err(failure),
            Ok(()) => Ok(()),
        };
        for ride in batch {
            ride.arrive(outcome.clone());
        }
    }

    async fn carry_singly(&mut self, batch: Vec<Box<dyn Ride>>) {
        let mut away = None;
        for mut ride in batch {
            let outcome = match &away {
                // Each further try would wait just as long.
                Some(failure) => Err(Failure::clone(failure)),
                None => match self.commit(std::slice::from_mut(&mut ride)).await {
                    Ok(()) => Ok(()),
                    Err(Stopped::Inside(failure)) => Err(failure),
                    Err(Stopped::Before(failure)) => Err(away.insert(failure).clone()),
                },
            };
            ride.arrive(outcome);
        }
    }

    /// One transaction with all of these in it.
    async fn commit(&mut self, rides: &mut [Box<dyn Ride>]) -> Result<(), Stopped> {
        self.session.begin().await.map_err(Stopped::Before)?;
        let written = self.write(rides).await;
        if let Err(failure) = written {
            self.session.rollback().await;
            return Err(Stopped::Inside(failure));
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.session.publish();
        Ok(())
    }

    async fn write(&mut self, rides: &mut [Box<dyn Ride>]) -> Result<(), Failure> {
        for ride in rides {
            ride.go(&mut self.session).await?;
        }
        self.session.commit().await
    }
}

/// How far a transaction came.
enum Stopped {
    /// It could not begin: the database is away, or another process writes.
    Before(Failure),
    /// An operation or the commit failed, and all was rolled back.
    Inside(Failure),
}
