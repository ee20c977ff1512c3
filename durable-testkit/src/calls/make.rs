//! Making calls, and saying what they answered.

use std::{cmp::Ordering, fmt::Debug};

use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, DbError,
        Inserted, Message, NewWorkflow, Placement, Result, Serves, StepRecord, StepResult,
        StepStamp, Waits, Wakes, WantedExecutor,
    },
    ids::{Owner, OwnerToken, WorkflowId, WorkflowKey},
    payload::{Encoded, Outcome},
    state::claim::Claimant,
    time::Timestamp,
};

use super::{
    Call, Claims, End, Execution, FORMAT, Few, Given, KEY, Letter, New, Present, SHOP, Scene, Side,
    TOPIC, VERSION, WORKFLOWS,
};

/// The executor that starts workflows; it need not live.
const STARTER: &str = "one";

impl Call {
    /// Makes the call, which names everything; its answer, without the times that the database gave.
    pub(crate) async fn answer(self, side: &dyn Side, scene: &Scene) -> String {
        self.answer_now(side, scene, &Present::default()).await
    }

    /// Makes the call in this state of things; its answer. Where a method leaves the order open, it is that of the ids.
    pub(crate) async fn answer_now(
        self,
        side: &dyn Side,
        scene: &Scene,
        present: &Present,
    ) -> String {
        let maker = Maker {
            side,
            scene,
            present,
        };
        scene.plain(&maker.make(self).await)
    }
}

struct Maker<'a> {
    side: &'a dyn Side,
    scene: &'a Scene,
    present: &'a Present,
}

impl Maker<'_> {
    async fn make(&self, call: Call) -> String {
        let db = self.side.db();
        match call {
            Call::Start(..)
            | Call::StartChild(..)
            | Call::Workflow(_)
            | Call::Finish(..)
            | Call::DeadLetter(_)
            | Call::Cancel(_)
            | Call::Resume(..)
            | Call::Sweep(_)
            | Call::Delete(_)
            | Call::LeaveToken(..) => self.change(call).await,
            Call::Record(by, number, given) => {
                let step = step(number, given);
                said(db.record_step(&self.owner(by), &step).await)
            }
            Call::Histories => said(db.histories(&self.ids(WORKFLOWS.iter())).await),
            Call::Claim(..)
            | Call::ClaimedBy(_)
            | Call::Adopt(..)
            | Call::Requeue(..)
            | Call::Release(_) => self.take(call).await,
            Call::Mail(_) | Call::Send(..) | Call::Receive(..) => self.mail(call).await,
            Call::SetEvent(by, key, number, value) => {
                let (owner, stamp) = (self.owner(by), stamp(number));
                said(db.set_event(&owner, key, &json(value), &stamp).await)
            }
            Call::Event(id, key) => said(db.event(&self.scene.id(id), key).await),
            Call::Register(application, version) => {
                let (application, version) =
                    (self.scene.name(application), self.scene.name(version));
                said(db.register_version(&application, &version).await)
            }
            Call::Stranded(version) => {
                let version = self.scene.name(version);
                said(db.stranded(&self.scene.name(SHOP), &version).await)
            }
            Call::Unrunnable(who) => said(db.unrunnable(&self.claimant(who)).await),
            Call::Waiting => said(db.waiting(&self.scene.name(SHOP)).await),
            Call::Join(..) | Call::Leave(_) | Call::Serving | Call::Abandoned(..) => {
                self.live(call).await
            }
            Call::Poll(tokens) => said(self.poll(&tokens).await),
        }
    }

    /// What happens to workflows.
    async fn change(&self, call: Call) -> String {
        let (db, scene) = (self.side.db(), self.scene);
        match call {
            Call::Start(id, new) => {
                let inserted = db.insert_workflow(&self.new_workflow(id, new)).await;
                said(inserted.map(|inserted| self.inserted(inserted)))
            }
            Call::StartChild(id, new, parent, number) => {
                said(self.start_child(id, new, parent, number).await)
            }
            Call::Workflow(id) => {
                let row = db.workflow(&scene.id(id)).await;
                said(row.map(|row| row.map(|row| scene.row(row))))
            }
            Call::Finish(by, end) => said(db.finish_workflow(&self.owner(by), &outcome(end)).await),
            Call::DeadLetter(by) => said(db.dead_letter(&self.owner(by)).await),
            Call::Cancel(ids) => said(db.cancel(&self.ids(ids.iter())).await),
            Call::Resume(id, queue) => {
                let queue = queue.map(|queue| scene.queue(queue));
                said(db.resume(&scene.id(id), queue.as_deref()).await)
            }
            Call::Sweep(limit) => said(db.expire_deadlines(&scene.name(SHOP), limit).await),
            Call::Delete(id) => match self.side.delete(&scene.id(id)).await {
                Ok(()) => "deleted".to_owned(),
                Err(error) => format!("error: {error}"),
            },
            Call::LeaveToken(id, token) => {
                let token = scene.name(token);
                match self.side.leave_token(&scene.id(id), &token).await {
                    Ok(()) => "left".to_owned(),
                    Err(error) => format!("error: {error}"),
                }
            }
            other => unreachable!("{other:?} changes no workflow"),
        }
    }

    async fn start_child(
        &self,
        id: &str,
        new: New,
        parent: Execution,
        number: i32,
    ) -> Result<ChildInserted> {
        let child = NewWorkflow {
            parent: Some(self.scene.id(parent.of)),
            ..self.new_workflow(id, new)
        };
        let (owner, stamp) = (self.owner(parent), stamp(number));
        let inserted = self.side.db().insert_child(&child, &owner, &stamp).await?;
        Ok(match inserted {
            ChildInserted::Done(inserted) => ChildInserted::Done(self.inserted(inserted)),
            lost @ ChildInserted::Lost(_) => lost,
        })
    }

    async fn take(&self, call: Call) -> String {
        let db = self.side.db();
        match call {
            Call::Claim(who, queue, tokens) => {
                let request = ClaimRequest {
                    queue: self.scene.queue(queue),
                    claimant: self.claimant(who),
                    tokens: self.tokens(&tokens),
                };
                said(db.claim(&request).await.map(|taken| self.taken(taken)))
            }
            Call::ClaimedBy(tokens) => {
                let claimed = db.claimed_by(&self.tokens(&tokens)).await;
                said(claimed.map(|mut claimed| {
                    claimed.sort_by(|a, b| a.row.id.cmp(&b.row.id));
                    self.taken(claimed)
                }))
            }
            Call::Adopt(who, held, tokens) => {
                let adoptions: Vec<Adoption> = held
                    .iter()
                    .zip(tokens.iter())
                    .map(|(held, token)| Adoption {
                        workflow: self.scene.id(held.of),
                        held: Some(self.owner(*held).token),
                        token: self.scene.name(token).into(),
                    })
                    .collect();
                let adopted = db.adopt(&self.claimant(who), &adoptions).await;
                said(adopted.map(|taken| self.taken(taken)))
            }
            Call::Requeue(who, held) => {
                let left: Vec<Abandoned> = held.iter().map(|held| self.abandoned(*held)).collect();
                said(db.requeue(&self.claimant(who), &left).await)
            }
            Call::Release(held) => {
                let owners: Vec<Owner> = held.iter().map(|held| self.owner(*held)).collect();
                said(db.release(&owners).await)
            }
            other => unreachable!("{other:?} takes nothing"),
        }
    }

    async fn mail(&self, call: Call) -> String {
        let db = self.side.db();
        match call {
            Call::Mail(letter) => said(db.send(&self.message(letter), None).await),
            Call::Send(letter, by, number) => {
                let (owner, stamp) = (self.owner(by), stamp(number));
                let message = self.message(letter);
                said(db.send(&message, Some((&owner, &stamp))).await)
            }
            Call::Receive(by, topic, number, otherwise) => {
                let (owner, stamp, none) = (self.owner(by), stamp(number), json("null"));
                let otherwise = otherwise.then_some(&none);
                said(db.receive(&owner, topic, &stamp, otherwise).await)
            }
            other => unreachable!("{other:?} is no mail"),
        }
    }

    async fn live(&self, call: Call) -> String {
        let db = self.side.db();
        match call {
            Call::Join(executor, given) => {
                let wanted = WantedExecutor {
                    id: self.scene.executor(executor),
                    given,
                    application: self.scene.name(SHOP),
                    serves: Serves {
                        version: self.scene.name(VERSION),
                        queues: vec![self.scene.name(super::QUEUE)],
                    },
                };
                said(db.join(&wanted).await)
            }
            Call::Serving => said(db.serving(&self.scene.name(SHOP)).await),
            Call::Leave(executor) => said(db.leave(&self.scene.executor(executor)).await),
            Call::Abandoned(who, own, after, limit) => {
                let query = AbandonedQuery {
                    claimant: self.claimant(who),
                    own,
                    after: after.map(|after| self.scene.id(after)),
                    limit,
                };
                said(db.abandoned(&query).await)
            }
            other => unreachable!("{other:?} is nobody's life"),
        }
    }

    async fn poll(&self, tokens: &Few<&'static str>) -> Result<Wakes> {
        let ids = self.ids(WORKFLOWS.iter());
        let each = |name: &str| ids.iter().map(|id| (id.clone(), name.to_owned())).collect();
        let owners = WORKFLOWS.iter().flat_map(|of| {
            let owner = move |token: &&str| Owner {
                workflow: self.scene.id(of),
                token: self.scene.name(token).into(),
            };
            tokens.iter().map(owner)
        });
        let waits = Waits {
            messages: each(TOPIC),
            events: each(KEY),
            owners: owners.collect(),
            results: ids.clone(),
        };
        let mut wakes = self.side.db().poll(&waits).await?;
        wakes.results.sort_by(|(a, _), (b, _)| a.cmp(b));
        wakes.messages.sort();
        wakes.events.sort();
        let by_owner = |(a, _): &(Owner, _), (b, _): &(Owner, _)| -> Ordering { a.cmp(b) };
        wakes.owners.sort_by(by_owner);
        Ok(wakes)
    }

    fn ids<'n>(&self, names: impl Iterator<Item = &'n &'static str>) -> Vec<WorkflowId> {
        names.map(|name| self.scene.id(name)).collect()
    }

    fn tokens(&self, names: &Few<&'static str>) -> Vec<OwnerToken> {
        let token = |name: &&str| self.scene.name(name).into();
        names.iter().map(token).collect()
    }

    fn owner(&self, execution: Execution) -> Owner {
        let workflow = self.scene.id(execution.of);
        let token = self.present.token(&workflow, execution.token, self.scene);
        Owner {
            workflow,
            token: token.into(),
        }
    }

    fn abandoned(&self, held: Execution) -> Abandoned {
        let Owner { workflow, token } = self.owner(held);
        Abandoned {
            workflow,
            executor: self.scene.executor(STARTER),
            held: Some(token),
            queue: Some(self.scene.name(super::QUEUE)),
        }
    }

    fn claimant(&self, who: Claims) -> Claimant {
        let executor = self.scene.executor(who.executor);
        Claimant {
            incarnation: self.present.life(&executor, who.life),
            executor,
            application: self.scene.name(SHOP),
            version: self.scene.name(who.version),
            runnable: [WorkflowKey::function("work")].into(),
            formats: [FORMAT.into()].into(),
        }
    }

    fn new_workflow(&self, id: &str, new: New) -> NewWorkflow {
        let placement = match new.queue {
            Some((name, priority)) => Placement::Queue {
                name: self.scene.queue(name),
                priority,
            },
            None => Placement::Here,
        };
        NewWorkflow {
            id: self.scene.id(id),
            key: WorkflowKey::function(new.name),
            input: Encoded::new(format!("\"for {}\"", new.creator), new.format),
            placement,
            creator: self.scene.name(new.creator).into(),
            executor: self.scene.executor(STARTER),
            application: self.scene.name(new.application),
            version: new.version.map(|version| self.scene.name(version)),
            timing: new.timing,
            parent: None,
        }
    }

    fn message(&self, letter: Letter) -> Message {
        Message {
            id: self.scene.name(letter.id),
            destination: self.scene.id(letter.to),
            topic: letter.topic.to_owned(),
            payload: json(&format!("\"{}\"", letter.id)),
        }
    }

    fn inserted(&self, inserted: Inserted) -> Inserted {
        match inserted {
            Inserted::Created { deadline } => Inserted::Created {
                deadline: self.scene.instant(deadline),
            },
            exists @ Inserted::Exists(_) => exists,
        }
    }

    fn taken(&self, taken: Vec<Claimed>) -> Vec<Claimed> {
        let told = |claimed: Claimed| Claimed {
            row: self.scene.row(claimed.row),
            ..claimed
        };
        taken.into_iter().map(told).collect()
    }
}

/// An answer as text. What a refusal says is each backend's own.
fn said<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(DbError::Unavailable { .. }) => UNAVAILABLE.to_owned(),
        Err(DbError::Broken { .. }) => "error: broken".to_owned(),
        Err(DbError::Refused(_)) => "error: refused".to_owned(),
        Err(DbError::InvalidArgument { .. }) => "error: invalid argument".to_owned(),
        Err(other) => format!("error: {other}"),
    }
}

/// An answer without the fields that say nothing, for a person to read.
pub(crate) fn brief(answer: &str) -> String {
    let fields = answer.split(", ");
    let there =
        fields.filter(|field| !field.ends_with(": None") && !field.ends_with("_at: Timestamp(0)"));
    there.collect::<Vec<_>>().join(", ")
}

/// The answer that is none: the call may have happened.
pub(crate) const UNAVAILABLE: &str = "error: unavailable";

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

fn step(number: i32, given: Given) -> StepRecord {
    let result = match given {
        Given::Value(value) => StepResult::Output(json(value)),
        Given::Error(error) => StepResult::Error(json(error)),
        Given::Nothing => StepResult::Nothing,
    };
    stamp(number).record(result, None)
}

fn outcome(end: End) -> Outcome {
    match end {
        End::Success(value) => Outcome::Success(json(value)),
        End::Failure(error) => Outcome::Failure(json(error)),
        End::Foreign(value) => Outcome::Success(Encoded::new(value, "another format")),
    }
}
