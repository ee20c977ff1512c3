//! What the processes do: calls as data, made alike on every database, and their answers as text.

use std::fmt::Debug;

use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, DbError,
        Inserted, Message, NewWorkflow, Placement, Result, StepRecord, StepResult, StepStamp,
        Timing, WantedExecutor,
    },
    ids::{Owner, WorkflowId, WorkflowKey},
    payload::{Encoded, Outcome},
    state::claim::Claimant,
    time::Timestamp,
};

use super::scene::{KEY, Scene, Side, TOPIC, WORKFLOWS, timeless};

const FORMAT: &str = "portable_json";
const VERSION: &str = "v1";

/// A call. Unless it says otherwise it is about the workflow "w"; tokens and executors are named by words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    /// Starts a workflow that runs at once, under the token `creator`.
    Start(&'static str, New),
    /// Starts a workflow as step 1 of the workflow of that name and token.
    StartChild(&'static str, New, &'static str, &'static str),
    /// Records a step: token, number, value.
    Record(&'static str, i32, &'static str),
    /// Ends the execution of this token with a value.
    Finish(&'static str, &'static str),
    /// Puts the execution of this token away.
    DeadLetter(&'static str),
    Cancel(&'static str),
    /// Puts it on the queue again.
    Resume,
    /// Claims one workflow of the queue: executor, token.
    Claim(&'static str, &'static str),
    /// Takes it over: executor, token that it holds, new token.
    Adopt(&'static str, &'static str, &'static str),
    /// Puts it back onto its queue: executor, token that it holds.
    Requeue(&'static str, &'static str),
    /// Cancels what is past its deadline.
    Sweep,
    /// Sends a message of this id from outside.
    Mail(&'static str, &'static str),
    /// Sends a message of this id to that workflow, as step 1 of the workflow of that name and token.
    Send(&'static str, &'static str, &'static str, &'static str),
    /// Receives as step 1 of the execution of this token; without a message it records that there was none, if so asked.
    Receive(&'static str, bool),
    /// Publishes a value as step 1 of the execution of this token.
    SetEvent(&'static str, &'static str),
    /// Reads the steps of all, as whoever takes a workflow does.
    ReadSteps,
    /// Begins a life of this executor.
    Join(&'static str),
    /// Ends it.
    Leave(&'static str),
    /// Looks for what an earlier life of this executor, whose present life has that number, left.
    Abandoned(&'static str, i64),
    /// Deletes a workflow as another SDK does.
    Delete(&'static str),
}

/// What is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    pub(super) creator: &'static str,
    pub(super) name: &'static str,
    pub(super) queued: bool,
    pub(super) overdue: bool,
}

/// A start that runs at once.
pub(super) const fn here(creator: &'static str) -> New {
    New {
        creator,
        name: "work",
        queued: false,
        overdue: false,
    }
}

/// A start that goes on the queue.
pub(super) const fn queued(creator: &'static str) -> New {
    New {
        queued: true,
        ..here(creator)
    }
}

/// A start whose deadline has passed.
pub(super) const fn overdue(new: New) -> New {
    New {
        overdue: true,
        ..new
    }
}

/// A start of another workflow.
pub(super) const fn other(new: New) -> New {
    New {
        name: "other work",
        ..new
    }
}

impl Call {
    /// Whether it passes over what somebody else is just changing, and leaves it to the next look.
    pub(super) fn is_look(self) -> bool {
        matches!(self, Self::Claim(..) | Self::Sweep)
    }

    /// Makes the call; its answer, without the times that the database gave.
    pub(super) async fn answer(self, side: &dyn Side, scene: &Scene) -> String {
        let said = Maker { side, scene }.make(self).await;
        scene.plain(&said)
    }
}

struct Maker<'a> {
    side: &'a dyn Side,
    scene: &'a Scene,
}

impl Maker<'_> {
    async fn make(&self, call: Call) -> String {
        let (db, w) = (self.side.db(), self.scene.id("w"));
        match call {
            Call::Start(id, new) => {
                let inserted = db.insert_workflow(&self.new_workflow(id, new)).await;
                said(inserted.map(without_deadline))
            }
            Call::StartChild(id, new, parent, token) => {
                self.start_child(id, new, parent, token).await
            }
            Call::Record(token, number, value) => {
                let step = step(number, StepResult::Output(json(value)));
                said(db.record_step(&self.owner("w", token), &step).await)
            }
            Call::Finish(token, value) => {
                let outcome = Outcome::Success(json(value));
                said(db.finish_workflow(&self.owner("w", token), &outcome).await)
            }
            Call::DeadLetter(token) => said(db.dead_letter(&self.owner("w", token)).await),
            Call::Cancel(id) => said(db.cancel(&[self.scene.id(id)]).await),
            Call::Resume => said(db.resume(&w, Some(&self.scene.name("queue"))).await),
            Call::Sweep => said(db.expire_deadlines(&self.application(), 10).await),
            Call::SetEvent(token, value) => {
                let owner = self.owner("w", token);
                said(db.set_event(&owner, KEY, &json(value), &stamp(1)).await)
            }
            Call::ReadSteps => {
                let ids = WORKFLOWS.map(|name| self.scene.id(name));
                said(db.histories(&ids).await)
            }
            Call::Delete(id) => match self.side.delete(&self.scene.id(id)).await {
                Ok(()) => "deleted".to_owned(),
                Err(error) => format!("error: {error}"),
            },
            Call::Claim(..) | Call::Adopt(..) | Call::Requeue(..) => self.take(call).await,
            Call::Mail(..) | Call::Send(..) | Call::Receive(..) => self.mail(call).await,
            Call::Join(_) | Call::Leave(_) | Call::Abandoned(..) => self.live(call).await,
        }
    }

    async fn start_child(&self, id: &str, new: New, parent: &str, token: &str) -> String {
        let child = NewWorkflow {
            parent: Some(self.scene.id(parent)),
            ..self.new_workflow(id, new)
        };
        let owner = self.owner(parent, token);
        let inserted = self.side.db().insert_child(&child, &owner, &stamp(1)).await;
        said(inserted.map(|inserted| match inserted {
            ChildInserted::Done(inserted) => ChildInserted::Done(without_deadline(inserted)),
            lost @ ChildInserted::Lost(_) => lost,
        }))
    }

    async fn take(&self, call: Call) -> String {
        let (db, w) = (self.side.db(), self.scene.id("w"));
        match call {
            Call::Claim(executor, token) => {
                let request = ClaimRequest {
                    queue: self.scene.name("queue"),
                    claimant: self.claimant(executor, 1),
                    tokens: vec![token.into()],
                };
                said(db.claim(&request).await.map(timeless_claims))
            }
            Call::Adopt(executor, held, token) => {
                let adoption = Adoption {
                    workflow: w,
                    held: Some(held.into()),
                    token: token.into(),
                };
                let adopted = db.adopt(&self.claimant(executor, 1), &[adoption]).await;
                said(adopted.map(timeless_claims))
            }
            Call::Requeue(executor, held) => {
                let left = Abandoned {
                    workflow: w,
                    executor: self.scene.executor(executor),
                    held: Some(held.into()),
                    queue: Some(self.scene.name("queue")),
                };
                said(db.requeue(&self.claimant(executor, 1), &[left]).await)
            }
            other => unreachable!("{other:?} takes nothing"),
        }
    }

    async fn mail(&self, call: Call) -> String {
        let db = self.side.db();
        match call {
            Call::Mail(id, to) => said(db.send(&self.message(id, to), None).await),
            Call::Send(id, to, from, token) => {
                let (owner, stamp) = (self.owner(from, token), stamp(1));
                let message = self.message(id, to);
                said(db.send(&message, Some((&owner, &stamp))).await)
            }
            Call::Receive(token, otherwise) => {
                let none = json("null");
                let otherwise = otherwise.then_some(&none);
                let owner = self.owner("w", token);
                said(db.receive(&owner, TOPIC, &stamp(1), otherwise).await)
            }
            other => unreachable!("{other:?} is no mail"),
        }
    }

    async fn live(&self, call: Call) -> String {
        let db = self.side.db();
        match call {
            Call::Join(executor) => {
                let wanted = WantedExecutor {
                    id: self.scene.executor(executor),
                    given: true,
                    application: self.application(),
                };
                said(db.join(&wanted).await)
            }
            Call::Leave(executor) => said(db.leave(&self.scene.executor(executor)).await),
            Call::Abandoned(executor, life) => {
                let query = AbandonedQuery {
                    claimant: self.claimant(executor, life),
                    own: true,
                    after: None,
                    limit: 10,
                };
                said(db.abandoned(&query).await)
            }
            other => unreachable!("{other:?} is nobody's life"),
        }
    }

    fn application(&self) -> String {
        self.scene.name("shop")
    }

    fn owner(&self, id: &str, token: &str) -> Owner {
        Owner {
            workflow: self.scene.id(id),
            token: token.into(),
        }
    }

    fn claimant(&self, executor: &str, incarnation: i64) -> Claimant {
        Claimant {
            executor: self.scene.executor(executor),
            incarnation,
            application: self.application(),
            version: VERSION.to_owned(),
            runnable: [WorkflowKey::function("work")].into(),
            formats: [FORMAT.into()].into(),
        }
    }

    fn new_workflow(&self, id: &str, new: New) -> NewWorkflow {
        let placement = if new.queued {
            Placement::Queue {
                name: self.scene.name("queue"),
                priority: 0,
            }
        } else {
            Placement::Here
        };
        NewWorkflow {
            id: self.scene.id(id),
            key: WorkflowKey::function(new.name),
            input: json(&format!("\"for {}\"", new.creator)),
            placement,
            creator: new.creator.into(),
            executor: self.scene.executor("one"),
            application: self.application(),
            version: Some(VERSION.to_owned()),
            timing: if new.overdue {
                Timing::Inherited(Timestamp::from_millis(1))
            } else {
                Timing::Unbounded
            },
            parent: None,
        }
    }

    fn message(&self, id: &str, to: &str) -> Message {
        Message {
            id: self.scene.name(id),
            destination: WorkflowId::from(self.scene.name(to)),
            topic: TOPIC.to_owned(),
            payload: json(&format!("\"{id}\"")),
        }
    }
}

fn said<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(DbError::Unavailable { .. }) => "error: unavailable".to_owned(),
        Err(DbError::Broken { .. }) => "error: broken".to_owned(),
        Err(other) => format!("error: {other}"),
    }
}

fn without_deadline(inserted: Inserted) -> Inserted {
    match inserted {
        Inserted::Created { deadline } => Inserted::Created {
            deadline: deadline.map(|_| Timestamp::default()),
        },
        exists @ Inserted::Exists(_) => exists,
    }
}

fn timeless_claims(claimed: Vec<Claimed>) -> Vec<Claimed> {
    let timeless = |claimed: Claimed| Claimed {
        row: timeless(claimed.row),
        ..claimed
    };
    claimed.into_iter().map(timeless).collect()
}

fn json(text: &str) -> Encoded {
    Encoded::new(text, FORMAT)
}

fn stamp(number: i32) -> StepStamp {
    StepStamp {
        number,
        name: "step".to_owned(),
        started_at: Timestamp::from_millis(1_700_000_000_000),
        completed_at: Timestamp::from_millis(1_700_000_000_007),
    }
}

fn step(number: i32, result: StepResult) -> StepRecord {
    stamp(number).record(result, None)
}
