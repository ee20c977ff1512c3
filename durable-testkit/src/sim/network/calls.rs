//! The calls of each concern: what is asked of the model, and what is told of it.

use async_trait::async_trait;
use durable_core::{
    __private::SLEEP,
    db::{
        Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, Events,
        Executors, History, Inserted, Joined, Message, Messages, NewWorkflow, Queues, Received,
        Recorded, Result, Resumed, Sent, Serving, StepRecord, StepResult, StepStamp, Steps,
        Unrunnable, VersionCount, Versions, WaitingCount, WantedExecutor, Workflows, Write,
    },
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    payload::{Encoded, Outcome},
    state::{WorkflowRow, claim::Claimant},
    time::Timestamp,
};
use futures_util::FutureExt as _;

use super::{SimDb, Wrote};
use crate::{
    Memory,
    sim::fact::{Ends, Fact, Terms, Written},
};

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
                db.tell(Fact::Expired(id.clone()));
                db.tell(Fact::Cancelled(id.clone()));
            }
            Ok(expired)
        })
        .await
    }
}

fn wrote(answer: &Result<Write>, what: Written) -> Wrote {
    match answer {
        Ok(Write::Written) => Wrote::This(what),
        Ok(Write::Lost(_)) => Wrote::Refused,
        Err(_) => Wrote::Nothing,
    }
}

/// What a record says.
pub(super) fn ends(result: &StepResult) -> Ends {
    match result {
        // As the engine writes it: see `nothing` of its mailboxes.
        StepResult::Output(value) if value.text == "null " => Ends::Empty,
        StepResult::Output(_) | StepResult::Nothing => Ends::Value,
        StepResult::Error(_) => Ends::Error,
    }
}

fn recorded(answer: &Result<Recorded>, what: Written) -> Wrote {
    match answer {
        Ok(Recorded::Written) => Wrote::This(what),
        Ok(Recorded::Lost(_)) => Wrote::Refused,
        Ok(Recorded::Conflict(_)) | Err(_) => Wrote::Nothing,
    }
}

/// When a sleep wakes, as it is recorded: epoch seconds with three decimals.
fn wakes_at(step: &StepRecord) -> Option<i64> {
    let StepResult::Output(value) = &step.result else {
        return None;
    };
    let (seconds, ms) = value.text.split_once('.')?;
    let at = || Some(seconds.parse::<i64>().ok()? * 1000 + ms.parse::<i64>().ok()?);
    (step.name == SLEEP).then(at).flatten()
}

#[async_trait]
impl Steps for SimDb {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        let (owner, step) = (owner.clone(), step.clone());
        self.request("record_step", move |db| {
            let serve = |memory: &Memory| at_once!(memory.record_step(&owner, &step));
            db.write("record_step", &owner, serve, |answer| {
                let until = wakes_at(&step);
                if let (Ok(Recorded::Written), Some(until)) = (answer, until) {
                    let from = step.started_at.unwrap_or(Timestamp::from_millis(0));
                    db.tell(Fact::Timed {
                        workflow: owner.workflow.clone(),
                        number: step.number,
                        span: (from.as_millis(), until),
                    });
                }
                let what = Written::Step {
                    number: step.number,
                    name: step.name.clone(),
                    child: step.child.clone(),
                    until,
                    result: ends(&step.result),
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
                    by: db.by,
                    terms: Terms::from(&taken.row),
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

    async fn waiting(&self, application: &str) -> Result<Vec<WaitingCount>> {
        let application = application.to_owned();
        self.request("waiting", move |db| {
            at_once!(db.memory.waiting(&application))
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
            let serve = |memory: &Memory| {
                let answer = serve(memory);
                if memory.mailbox_size(&message.destination) > before {
                    db.tell(Fact::Sent {
                        message: message.id.clone(),
                        to: message.destination.clone(),
                        topic: message.topic.clone(),
                        payload: message.payload.text.clone(),
                        by: by.map(|(owner, stamp)| (owner.workflow.clone(), stamp.number)),
                    });
                }
                answer
            };
            match by {
                None => serve(db.memory),
                Some((owner, stamp)) => db.write("send", owner, serve, |answer| match answer {
                    Ok(Sent::Delivered) => Wrote::This(Written::Send {
                        number: stamp.number,
                    }),
                    Ok(Sent::Lost(_)) => Wrote::Refused,
                    Ok(Sent::NoDestination) | Err(_) => Wrote::Nothing,
                }),
            }
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
            let asked = topic.clone();
            db.write("receive", &owner, serve, |answer| match answer {
                Ok(Received::Message(_)) => {
                    let message = db.memory.taken_by(&owner.workflow, number);
                    Wrote::This(Written::Receive {
                        number,
                        topic: asked,
                        message,
                    })
                }
                Ok(Received::Otherwise) => Wrote::This(Written::Receive {
                    number,
                    topic: asked,
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
            let answer = db.write("set_event", &owner, serve, |answer| {
                recorded(
                    answer,
                    Written::Event {
                        number: step.number,
                        key: key.clone(),
                        value: value.text.clone(),
                    },
                )
            });
            if let Ok(Recorded::Written) = answer {
                let stands = at_once!(db.memory.event(&owner.workflow, &key))?;
                db.tell(Fact::Stands {
                    workflow: owner.workflow.clone(),
                    key: key.clone(),
                    value: stands.map(|value| value.text),
                });
            }
            answer
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
                    process: db.by.process,
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
        self.request("leave", move |db| {
            at_once!(db.memory.leave(&executor))?;
            db.tell(Fact::Left {
                executor,
                by: db.by,
            });
            Ok(())
        })
        .await
    }

    async fn release(&self, owners: &[Owner]) -> Result<Vec<WorkflowId>> {
        let owners = owners.to_vec();
        self.request("release", move |db| at_once!(db.memory.release(&owners)))
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
                db.tell(Fact::Requeued {
                    workflow: id.clone(),
                    by: db.by,
                });
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
                    by: db.by,
                    terms: Terms::from(&taken.row),
                });
            }
            Ok(adopted)
        })
        .await
    }

    async fn serving(&self, application: &str) -> Result<Vec<Serving>> {
        let application = application.to_owned();
        self.request("serving", move |db| {
            at_once!(db.memory.serving(&application))
        })
        .await
    }
}
