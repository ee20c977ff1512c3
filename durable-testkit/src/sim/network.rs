//! The database as one simulated process reaches it: over a network that loses, delays and reorders.
//!
//! A request is a task of the database's process. So it outlives the death of whoever sent it, and may be served after the sender has been
//! started again.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, DbError, Events,
        Executors, Hint, History, Inserted, Joined, Message, Messages, NewWorkflow, Placement,
        Queues, Received, Recorded, Result, Resumed, Sent, StepRecord, StepStamp, Steps, SystemDb,
        Unrunnable, VersionCount, Versions, Waits, Wakes, WantedExecutor, Workflows, Write,
    },
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    payload::{Encoded, Outcome},
    state::{WorkflowRow, claim::Claimant},
    time::Timestamp,
};
use futures_util::{
    FutureExt as _, StreamExt as _,
    stream::{BoxStream, unfold},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    fact::{Fact, Written},
    plan::Network,
    world::{DATABASE, World},
};
use crate::Memory;

/// What is recorded under this name is a sleep.
const SLEEP: &str = "DBOS.sleep";

/// The database of one life of a process.
#[derive(Clone)]
pub(super) struct SimDb {
    world: Arc<World>,
    memory: Memory,
    process: usize,
    life: u32,
}

/// What happens to one request.
#[derive(Clone, Copy, Default)]
struct Fate {
    before: Duration,
    refused: bool,
    lost: bool,
    after: Duration,
}

impl SimDb {
    pub(super) fn new(world: Arc<World>, memory: Memory, process: usize, life: u32) -> Self {
        Self {
            world,
            memory,
            process,
            life,
        }
    }

    /// Sends a request and waits for its answer. `serve` is what the database does, in one go.
    async fn request<T: Send + 'static>(
        &self,
        call: &'static str,
        serve: impl FnOnce(&Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let is_sent = {
            let mut state = self.world.lock();
            let living = state.is_living(self.process, self.life);
            if living {
                state.in_flight += 1;
                let request = self.clone().serve(call, serve, answer);
                state.tasks.add(DATABASE, "request", request);
            }
            living
        };
        if !is_sent {
            // A destructor of a dead process.
            return pending().await;
        }
        answered.await.unwrap_or_else(|_| Err(unavailable(call)))
    }

    async fn serve<T: Send + 'static>(
        self,
        call: &'static str,
        serve: impl FnOnce(&Db) -> Result<T> + Send + 'static,
        answer: oneshot::Sender<Result<T>>,
    ) {
        let world = &self.world;
        let _in_flight = InFlight(world);
        let fate = self.draw();
        self.wait(fate.before).await;
        if !world.lock().is_living(self.process, self.life) && !self.outlives_sender().await {
            return;
        }
        let is_away = {
            let state = world.lock();
            state.plan.is_away(&state)
        };
        if fate.refused || is_away {
            world.tell(
                DATABASE,
                Fact::Failed {
                    call,
                    happened: false,
                },
            );
            self.wait(fate.after).await;
            let _ = answer.send(Err(unavailable(call)));
            return;
        }
        let served = serve(&Db {
            world,
            memory: &self.memory,
        });
        let served = if fate.lost && served.is_ok() {
            world.tell(
                DATABASE,
                Fact::Failed {
                    call,
                    happened: true,
                },
            );
            Err(unavailable(call))
        } else {
            served
        };
        self.wait(fate.after).await;
        // Whoever asked may be gone.
        let _ = answer.send(served);
    }

    async fn wait(&self, lasting: Duration) {
        if !lasting.is_zero() {
            self.world.sleep(lasting).await;
        }
    }

    /// Whether a request whose sender has died is served; perhaps later.
    async fn outlives_sender(&self) -> bool {
        let held = {
            let mut state = self.world.lock();
            match state.chooser.choose(3) {
                0 => return true,
                1 => return false,
                _ => state.chooser.one_of(&[1, 5_000, 30_000]),
            }
        };
        self.wait(Duration::from_millis(held)).await;
        true
    }

    fn draw(&self) -> Fate {
        let mut state = self.world.lock();
        let Network {
            refused,
            lost,
            slow,
            slowest,
        } = state.plan.network;
        if state.calm || state.plan.network == Network::default() {
            return Fate::default();
        }
        let chooser = &mut state.chooser;
        let longest = u32::try_from(slowest.as_millis()).unwrap_or(u32::MAX);
        let mut delay = || {
            if chooser.happens(slow) {
                Duration::from_millis(u64::from(1 + chooser.choose(longest)))
            } else {
                Duration::ZERO
            }
        };
        let (before, after) = (delay(), delay());
        Fate {
            before,
            after,
            refused: chooser.happens(refused),
            lost: chooser.happens(lost),
        }
    }
}

impl fmt::Debug for SimDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDb")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

fn unavailable(call: &'static str) -> DbError {
    DbError::unavailable(call, "a fault of the simulation")
}

/// Counts a request until it has been answered, or dropped.
struct InFlight<'a>(&'a Arc<World>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

/// The database while it serves one request.
struct Db<'a> {
    world: &'a World,
    memory: &'a Memory,
}

impl Db<'_> {
    fn tell(&self, fact: Fact) {
        self.world.tell(DATABASE, fact);
    }

    /// Serves an insertion, and tells it unless the row was there.
    fn insert<T>(&self, new: &NewWorkflow, serve: impl FnOnce(&Memory) -> T) -> T {
        let was_there = self.memory.standing(&new.id).is_some();
        let answer = serve(self.memory);
        if !was_there && self.memory.standing(&new.id).is_some() {
            self.tell(inserted(new));
        }
        answer
    }

    /// Serves an owner's write; `what` it was, from its answer: nothing if it was refused.
    fn write<T>(
        &self,
        call: &'static str,
        owner: &Owner,
        serve: impl FnOnce(&Memory) -> T,
        what: impl FnOnce(&T) -> Wrote,
    ) -> T {
        let row = self.memory.standing(&owner.workflow);
        let answer = serve(self.memory);
        match what(&answer) {
            Wrote::This(what) => self.tell(Fact::Written {
                owner: owner.clone(),
                what,
                row,
            }),
            Wrote::Refused => self.tell(Fact::Refused {
                owner: owner.clone(),
                call,
            }),
            Wrote::Nothing => {}
        }
        answer
    }
}

/// What an owner's call came to.
enum Wrote {
    This(Written),
    Refused,
    Nothing,
}

/// The model does everything at once.
macro_rules! at_once {
    ($future:expr) => {
        $future.now_or_never().expect("the model answers at once")
    };
}

#[async_trait]
impl SystemDb for SimDb {
    async fn migrate(&self) -> Result<()> {
        Ok(())
    }

    async fn verify(&self) -> Result<()> {
        Ok(())
    }

    async fn now(&self) -> Result<Timestamp> {
        self.request("now", |db| at_once!(db.memory.now())).await
    }

    async fn poll(&self, waits: &Waits) -> Result<Wakes> {
        let waits = waits.clone();
        self.request("poll", move |db| at_once!(db.memory.poll(&waits)))
            .await
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let source = self.memory.hints();
        let world = Arc::clone(&self.world);
        self.world
            .spawn(DATABASE, "delivery", deliver(world, source, sender));
        unfold(receiver, |mut receiver| async move {
            let hint = receiver.recv().await?;
            Some((hint, receiver))
        })
        .boxed()
    }
}

/// Brings hints to a process, or does not.
async fn deliver(
    world: Arc<World>,
    mut source: BoxStream<'static, Hint>,
    sender: mpsc::UnboundedSender<Hint>,
) {
    while let Some(hint) = source.next().await {
        let (lost, late, doubled) = {
            let mut state = world.lock();
            let fates = state.plan.hints;
            let chooser = &mut state.chooser;
            // Hints are lost and doubled also when faults are over: nothing may hang on them.
            let fate = (
                chooser.happens(fates.lost),
                chooser.happens(fates.late),
                chooser.happens(fates.doubled),
            );
            match fate {
                (true, _, _) => state.tell(DATABASE, Fact::Hint("hint lost")),
                (_, true, _) => state.tell(DATABASE, Fact::Hint("hint late")),
                (_, _, true) => state.tell(DATABASE, Fact::Hint("hint doubled")),
                _ => {}
            }
            fate
        };
        if lost {
            continue;
        }
        if late {
            world.sleep(Duration::from_millis(700)).await;
        }
        if doubled && sender.send(hint.clone()).is_err() {
            return;
        }
        if sender.send(hint).is_err() {
            return;
        }
    }
}

#[async_trait]
impl Workflows for SimDb {
    async fn insert_workflow(&self, new: &NewWorkflow) -> Result<Inserted> {
        let new = new.clone();
        self.request("insert_workflow", move |db| {
            db.insert(&new, |memory| at_once!(memory.insert_workflow(&new)))
        })
        .await
    }

    async fn insert_child(
        &self,
        new: &NewWorkflow,
        parent: &Owner,
        step: &StepStamp,
    ) -> Result<ChildInserted> {
        let (new, parent, step) = (new.clone(), parent.clone(), step.clone());
        self.request("insert_child", move |db| {
            let serve = |memory: &Memory| at_once!(memory.insert_child(&new, &parent, &step));
            let serve = |memory: &Memory| db.insert(&new, |_| serve(memory));
            db.write("insert_child", &parent, serve, |answer| match answer {
                Ok(ChildInserted::Done(Inserted::Exists(existing))) if existing.key != new.key => {
                    Wrote::Nothing
                }
                Ok(ChildInserted::Done(_)) => Wrote::This(Written::Child {
                    number: step.number,
                    child: new.id.clone(),
                }),
                Ok(ChildInserted::Lost(_)) => Wrote::Refused,
                Err(_) => Wrote::Nothing,
            })
        })
        .await
    }

    async fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>> {
        let id = id.clone();
        self.request("workflow", move |db| at_once!(db.memory.workflow(&id)))
            .await
    }

    async fn finish_workflow(&self, owner: &Owner, outcome: &Outcome) -> Result<Write> {
        let (owner, outcome) = (owner.clone(), outcome.clone());
        self.request("finish_workflow", move |db| {
            let serve = |memory: &Memory| at_once!(memory.finish_workflow(&owner, &outcome));
            db.write("finish_workflow", &owner, serve, |answer| {
                let (success, encoded) = match &outcome {
                    Outcome::Success(value) => (true, value),
                    Outcome::Failure(error) => (false, error),
                };
                let text = encoded.text.clone();
                wrote(answer, Written::Outcome { success, text })
            })
        })
        .await
    }

    async fn dead_letter(&self, owner: &Owner) -> Result<Write> {
        let owner = owner.clone();
        self.request("dead_letter", move |db| {
            let serve = |memory: &Memory| at_once!(memory.dead_letter(&owner));
            db.write("dead_letter", &owner, serve, |answer| {
                wrote(answer, Written::DeadLetter)
            })
        })
        .await
    }

    async fn cancel(&self, ids: &[WorkflowId]) -> Result<Vec<WorkflowId>> {
        let ids = ids.to_vec();
        self.request("cancel", move |db| {
            let cancelled = at_once!(db.memory.cancel(&ids))?;
            for id in &cancelled {
                db.tell(Fact::Cancelled(id.clone()));
            }
            Ok(cancelled)
        })
        .await
    }

    async fn resume(&self, id: &WorkflowId, queue: Option<&str>) -> Result<Resumed> {
        let (id, queue) = (id.clone(), queue.map(str::to_owned));
        self.request("resume", move |db| {
            let answer = at_once!(db.memory.resume(&id, queue.as_deref()))?;
            if answer == Resumed::Enqueued {
                db.tell(Fact::Resumed(id.clone()));
            }
            Ok(answer)
        })
        .await
    }

    async fn expire_deadlines(&self, application: &str, limit: usize) -> Result<Vec<WorkflowId>> {
        let application = application.to_owned();
        self.request("expire_deadlines", move |db| {
            let expired = at_once!(db.memory.expire_deadlines(&application, limit))?;
            for id in &expired {
                db.tell(Fact::Cancelled(id.clone()));
            }
            Ok(expired)
        })
        .await
    }
}

fn inserted(new: &NewWorkflow) -> Fact {
    Fact::Inserted {
        owner: Owner {
            workflow: new.id.clone(),
            token: new.creator.clone(),
        },
        queue: match &new.placement {
            Placement::Here => None,
            Placement::Queue { name, priority } => Some((name.clone(), *priority)),
        },
        parent: new.parent.clone(),
    }
}

fn wrote(answer: &Result<Write>, what: Written) -> Wrote {
    match answer {
        Ok(Write::Written) => Wrote::This(what),
        Ok(Write::Lost(_)) => Wrote::Refused,
        Err(_) => Wrote::Nothing,
    }
}

fn recorded(answer: &Result<Recorded>, what: Written) -> Wrote {
    match answer {
        Ok(Recorded::Written) => Wrote::This(what),
        Ok(Recorded::Lost(_)) => Wrote::Refused,
        Ok(Recorded::Conflict(_)) | Err(_) => Wrote::Nothing,
    }
}

#[async_trait]
impl Steps for SimDb {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        let (owner, step) = (owner.clone(), step.clone());
        self.request("record_step", move |db| {
            let serve = |memory: &Memory| at_once!(memory.record_step(&owner, &step));
            db.write("record_step", &owner, serve, |answer| {
                let what = Written::Step {
                    number: step.number,
                    name: step.name.clone(),
                    child: step.child.clone(),
                    until: (step.name == SLEEP)
                        .then(|| step.completed_at.map(Timestamp::as_millis))
                        .flatten(),
                };
                recorded(answer, what)
            })
        })
        .await
    }

    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>> {
        let ids = ids.to_vec();
        self.request("histories", move |db| at_once!(db.memory.histories(&ids)))
            .await
    }
}

#[async_trait]
impl Queues for SimDb {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let request = request.clone();
        self.request("claim", move |db| {
            db.world.lock().record.serves(&request.queue);
            let claimed = at_once!(db.memory.claim(&request))?;
            for taken in &claimed {
                db.tell(Fact::Taken {
                    owner: owner_of(&taken.row),
                    executor: request.claimant.executor.clone(),
                    queue: Some(request.queue.clone()),
                    from: None,
                    life: request.claimant.incarnation,
                });
            }
            Ok(claimed)
        })
        .await
    }

    async fn claimed_by(&self, tokens: &[OwnerToken]) -> Result<Vec<Claimed>> {
        let tokens = tokens.to_vec();
        self.request("claimed_by", move |db| {
            at_once!(db.memory.claimed_by(&tokens))
        })
        .await
    }
}

fn owner_of(row: &WorkflowRow) -> Owner {
    Owner {
        workflow: row.id.clone(),
        token: row.owner.clone().unwrap_or_else(|| OwnerToken::from("")),
    }
}

#[async_trait]
impl Messages for SimDb {
    async fn send(&self, message: &Message, step: Option<(&Owner, &StepStamp)>) -> Result<Sent> {
        let message = message.clone();
        let step = step.map(|(owner, stamp)| (owner.clone(), stamp.clone()));
        self.request("send", move |db| {
            let by = step.as_ref().map(|(owner, stamp)| (owner, stamp));
            let serve = |memory: &Memory| at_once!(memory.send(&message, by));
            let before = db.memory.mailbox_size(&message.destination);
            let answer = match by {
                None => serve(db.memory),
                Some((owner, stamp)) => db.write("send", owner, serve, |answer| match answer {
                    Ok(Sent::Delivered) => Wrote::This(Written::Send {
                        number: stamp.number,
                    }),
                    Ok(Sent::Lost(_)) => Wrote::Refused,
                    Ok(Sent::NoDestination) | Err(_) => Wrote::Nothing,
                }),
            };
            if db.memory.mailbox_size(&message.destination) > before {
                db.tell(Fact::Sent {
                    message: message.id.clone(),
                    to: message.destination.clone(),
                    topic: message.topic.clone(),
                });
            }
            answer
        })
        .await
    }

    async fn receive(
        &self,
        owner: &Owner,
        topic: &str,
        step: &StepStamp,
        otherwise: Option<&Encoded>,
    ) -> Result<Received> {
        let (owner, topic) = (owner.clone(), topic.to_owned());
        let (step, otherwise) = (step.clone(), otherwise.cloned());
        self.request("receive", move |db| {
            let serve = |memory: &Memory| {
                at_once!(memory.receive(&owner, &topic, &step, otherwise.as_ref()))
            };
            let number = step.number;
            db.write("receive", &owner, serve, |answer| match answer {
                Ok(Received::Message(_)) => {
                    let message = db.memory.taken_by(&owner.workflow, number);
                    Wrote::This(Written::Receive { number, message })
                }
                Ok(Received::Otherwise) => Wrote::This(Written::Receive {
                    number,
                    message: None,
                }),
                Ok(Received::Lost(_)) => Wrote::Refused,
                Ok(Received::Empty) | Err(_) => Wrote::Nothing,
            })
        })
        .await
    }
}

#[async_trait]
impl Events for SimDb {
    async fn set_event(
        &self,
        owner: &Owner,
        key: &str,
        value: &Encoded,
        step: &StepStamp,
    ) -> Result<Recorded> {
        let (owner, key) = (owner.clone(), key.to_owned());
        let (value, step) = (value.clone(), step.clone());
        self.request("set_event", move |db| {
            let serve = |memory: &Memory| at_once!(memory.set_event(&owner, &key, &value, &step));
            db.write("set_event", &owner, serve, |answer| {
                recorded(
                    answer,
                    Written::Event {
                        number: step.number,
                    },
                )
            })
        })
        .await
    }

    async fn event(&self, workflow: &WorkflowId, key: &str) -> Result<Option<Encoded>> {
        let (workflow, key) = (workflow.clone(), key.to_owned());
        self.request("event", move |db| {
            at_once!(db.memory.event(&workflow, &key))
        })
        .await
    }
}

#[async_trait]
impl Versions for SimDb {
    async fn register_version(&self, application: &str, version: &str) -> Result<()> {
        let (application, version) = (application.to_owned(), version.to_owned());
        self.request("register_version", move |db| {
            at_once!(db.memory.register_version(&application, &version))
        })
        .await
    }

    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>> {
        let (application, version) = (application.to_owned(), version.to_owned());
        self.request("stranded", move |db| {
            at_once!(db.memory.stranded(&application, &version))
        })
        .await
    }

    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>> {
        let claimant = claimant.clone();
        self.request("unrunnable", move |db| {
            at_once!(db.memory.unrunnable(&claimant))
        })
        .await
    }
}

#[async_trait]
impl Executors for SimDb {
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined> {
        let id = wanted.id.clone();
        let wanted = wanted.clone();
        let joined = self
            .request("join", move |db| {
                let joined = at_once!(db.memory.join(&wanted))?;
                db.tell(Fact::Joined {
                    executor: joined.id.clone(),
                    life: joined.incarnation,
                });
                Ok(joined)
            })
            .await;
        if joined.is_err() {
            // What shows that a process lives is the process's own, and a join that fails gives it back.
            at_once!(self.memory.leave(&id))?;
        }
        joined
    }

    async fn leave(&self, executor: &ExecutorId) -> Result<()> {
        let executor = executor.clone();
        self.request("leave", move |db| at_once!(db.memory.leave(&executor)))
            .await
    }

    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>> {
        let query = query.clone();
        self.request("abandoned", move |db| at_once!(db.memory.abandoned(&query)))
            .await
    }

    async fn requeue(
        &self,
        claimant: &Claimant,
        abandoned: &[Abandoned],
    ) -> Result<Vec<WorkflowId>> {
        let (claimant, abandoned) = (claimant.clone(), abandoned.to_vec());
        self.request("requeue", move |db| {
            let requeued = at_once!(db.memory.requeue(&claimant, &abandoned))?;
            for id in &requeued {
                db.tell(Fact::Requeued(id.clone()));
            }
            Ok(requeued)
        })
        .await
    }

    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>> {
        let (claimant, adoptions) = (claimant.clone(), adoptions.to_vec());
        self.request("adopt", move |db| {
            let before: Vec<_> = adoptions
                .iter()
                .map(|adoption| db.memory.executor_of(&adoption.workflow))
                .collect();
            let adopted = at_once!(db.memory.adopt(&claimant, &adoptions))?;
            for taken in &adopted {
                let nth = adoptions
                    .iter()
                    .position(|adoption| adoption.workflow == taken.row.id);
                db.tell(Fact::Taken {
                    owner: owner_of(&taken.row),
                    executor: claimant.executor.clone(),
                    queue: None,
                    from: nth.and_then(|nth| before[nth].clone()),
                    life: claimant.incarnation,
                });
            }
            Ok(adopted)
        })
        .await
    }
}
