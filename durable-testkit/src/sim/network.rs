//! The database as one simulated process reaches it: over a network that loses, delays and reorders.
//!
//! A request is a task of the database's process. So it outlives the death of whoever sent it, and may be served after the sender has been
//! started again.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::{
    db::{DbError, Hint, NewWorkflow, Placement, Result, SystemDb, Waits, Wakes},
    ids::{Owner, WorkflowId},
    time::Timestamp,
};
use futures_util::{
    FutureExt as _, StreamExt as _,
    stream::{BoxStream, unfold},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    fact::{Asker, Fact, Terms, Written},
    plan::Network,
    world::{DATABASE, World},
};
use crate::Memory;

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
            by: Asker {
                process: self.process,
                life: self.life,
            },
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
    /// Who asked.
    by: Asker,
}

impl Db<'_> {
    fn tell(&self, fact: Fact) {
        self.world.tell(DATABASE, fact);
    }

    /// Serves an insertion, and tells it unless the row was there.
    fn insert<T>(&self, new: &NewWorkflow, serve: impl FnOnce(&Memory) -> T) -> T {
        let was_there = self.memory.standing(&new.id).is_some();
        let answer = serve(self.memory);
        if !was_there && let Some(terms) = self.terms(&new.id) {
            self.tell(inserted(new, self.by, terms));
        }
        answer
    }

    /// What a workflow's row says now.
    fn terms(&self, id: &WorkflowId) -> Option<Terms> {
        self.memory.with_row(id, |row| Terms::from(row))
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

fn inserted(new: &NewWorkflow, by: Asker, terms: Terms) -> Fact {
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
        by,
        terms,
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

// After the macro, which they use.
mod calls;
mod tables;

pub(super) use tables::SimTables;

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
