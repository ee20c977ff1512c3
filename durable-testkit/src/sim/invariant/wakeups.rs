//! Who waits for what others do is woken when it is there.

use std::{collections::BTreeMap, time::Duration};

use durable_core::ids::WorkflowId;

use super::{
    Invariant,
    patience::{BODIES, Patience},
    standing::Standings,
};
use crate::sim::{
    fact::{Awaits, Fact, Moment, Written},
    plan::Plan,
};

/// Whoever waits for a message, an event or a workflow's end, in a workflow or outside of them, has it soon after it is there, whatever
/// becomes of hints.
///
/// Each lost request puts that off, and so does a process that stands still. For scenarios whose code polls all that it waits for.
#[derive(Debug)]
pub struct WakeUpsAreNotLost {
    patience: Patience,
    standings: Standings,
    waiting: BTreeMap<Waiter, Wait>,
    /// How many messages lie in each mailbox, by topic.
    mail: BTreeMap<(WorkflowId, String), usize>,
    /// What workflows have published, and since when.
    events: BTreeMap<(WorkflowId, String), Duration>,
    /// Since when workflows have ended.
    ends: BTreeMap<WorkflowId, Duration>,
}

/// Who waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waiter {
    /// An operation of a workflow.
    Operation(WorkflowId, i32),
    /// Code outside of workflows.
    Outside(u64),
}

#[derive(Clone, Debug)]
struct Wait {
    process: usize,
    what: Awaits,
    /// Since when what it waits for is there for it.
    there: Option<Duration>,
}

impl WakeUpsAreNotLost {
    /// For runs under this plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            patience: Patience::of(plan),
            standings: Standings::default(),
            waiting: BTreeMap::new(),
            mail: BTreeMap::new(),
            events: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Errors: somebody waits for what has been there for long.
    fn check_late(&self, moment: &Moment<'_>) -> Result<(), String> {
        for (waiter, wait) in &self.waiting {
            let Some(there) = wait.there else { continue };
            // Who waits for a workflow that runs in the same process hears of its cancel when its body has returned.
            let slack = match wait.what {
                Awaits::End(_) => BODIES,
                _ => Duration::ZERO,
            };
            let bound = (1, slack);
            if self.patience.is_late(moment, wait.process, there, bound) {
                let who = match waiter {
                    Waiter::Operation(workflow, number) => {
                        format!("operation {number} of {workflow}")
                    }
                    Waiter::Outside(_) => format!("process {}", wait.process),
                };
                return Err(format!(
                    "{who} waits for {}, which has been there since {:.3} s",
                    wait.what,
                    there.as_secs_f64()
                ));
            }
        }
        Ok(())
    }

    fn begin(&mut self, waiter: Waiter, moment: &Moment<'_>, what: &Awaits) {
        let wait = Wait {
            process: moment.process,
            what: what.clone(),
            there: None,
        };
        self.waiting.insert(waiter, wait);
        self.look(moment.at);
    }

    /// Says of each who waits whether what it waits for is there: of messages, whether there are any, as one may take another's.
    fn look(&mut self, at: Duration) {
        for (waiter, wait) in &mut self.waiting {
            let there = match (&wait.what, waiter) {
                (Awaits::Message(topic), Waiter::Operation(workflow, _)) => {
                    let place = (workflow.clone(), topic.clone());
                    self.mail.get(&place).is_some_and(|mail| *mail > 0)
                }
                (Awaits::Message(_), Waiter::Outside(_)) => false,
                (Awaits::Event(workflow, key), _) => {
                    let place = (workflow.clone(), key.clone());
                    self.events.contains_key(&place)
                }
                (Awaits::End(workflow), _) => self.ends.contains_key(workflow),
            };
            wait.there = there.then(|| wait.there.unwrap_or(at));
        }
    }

    /// A message was taken: whoever else waits for one of this topic may have been beaten to it.
    fn taken(&mut self, workflow: &WorkflowId, topic: &str) {
        if let Some(mail) = self.mail.get_mut(&(workflow.clone(), topic.to_owned())) {
            *mail = mail.saturating_sub(1);
        }
        let of_topic = |waiter: &Waiter, wait: &Wait| {
            matches!(waiter, Waiter::Operation(of, _) if of == workflow)
                && matches!(&wait.what, Awaits::Message(awaited) if awaited == topic)
        };
        for (waiter, wait) in &mut self.waiting {
            if of_topic(waiter, wait) {
                wait.there = None;
            }
        }
    }

    fn forget(&mut self, workflow: &WorkflowId) {
        let is_of = |waiter: &Waiter| matches!(waiter, Waiter::Operation(of, _) if of == workflow);
        self.waiting.retain(|waiter, _| !is_of(waiter));
    }

    fn written(&mut self, workflow: &WorkflowId, what: &Written, at: Duration) {
        match what {
            Written::Receive {
                topic,
                message: Some(_),
                ..
            } => self.taken(workflow, topic),
            Written::Event { key, .. } => {
                let place = (workflow.clone(), key.clone());
                self.events.entry(place).or_insert(at);
            }
            Written::Outcome { .. } | Written::DeadLetter => {
                self.forget(workflow);
                self.ends.insert(workflow.clone(), at);
            }
            _ => {}
        }
        if let Some(number) = what.number() {
            let waiter = Waiter::Operation(workflow.clone(), number);
            self.waiting.remove(&waiter);
        }
    }
}

impl Invariant for WakeUpsAreNotLost {
    fn name(&self) -> &'static str {
        "wake_ups_are_not_lost"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.check_late(moment)?;
        self.patience.see(moment);
        let at = moment.at;
        match moment.fact {
            Fact::Waits {
                owner,
                number,
                what,
            } if self.standings.is_owner(owner) => {
                let waiter = Waiter::Operation(owner.workflow.clone(), *number);
                self.begin(waiter, moment, what);
            }
            Fact::Asks { ticket, what } => self.begin(Waiter::Outside(*ticket), moment, what),
            Fact::Answered(ticket) => {
                self.waiting.remove(&Waiter::Outside(*ticket));
            }
            Fact::Sent { to, topic, .. } => {
                *self.mail.entry((to.clone(), topic.clone())).or_default() += 1;
            }
            // An answer that is given again tells nothing new.
            Fact::Written { owner, what, .. }
                if what
                    .number()
                    .is_none_or(|number| !self.standings.is_recorded(&owner.workflow, number)) =>
            {
                self.written(&owner.workflow, what, at);
            }
            Fact::Dropped { owner, number } => {
                let waiter = Waiter::Operation(owner.workflow.clone(), *number);
                self.waiting.remove(&waiter);
            }
            Fact::Cancelled(workflow) => {
                self.forget(workflow);
                self.ends.insert(workflow.clone(), at);
            }
            Fact::Resumed(workflow) => {
                self.ends.remove(workflow);
            }
            Fact::Requeued { workflow, .. } => self.forget(workflow),
            Fact::Taken { owner, .. } | Fact::Stopped { owner, .. } => {
                self.forget(&owner.workflow);
            }
            Fact::Crashed { .. } => self
                .waiting
                .retain(|_, wait| wait.process != moment.process),
            _ => {}
        }
        self.standings.see(moment.fact);
        if !self.waiting.is_empty() {
            self.look(at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn kept() -> WakeUpsAreNotLost {
        WakeUpsAreNotLost::new(&Plan::calm())
    }

    fn waits(what: Awaits) -> Fact {
        Fact::Waits {
            owner: owner("a", "1"),
            number: 1,
            what,
        }
    }

    fn message() -> Awaits {
        Awaits::Message("t".to_owned())
    }

    fn sent(topic: &str) -> Fact {
        Fact::Sent {
            message: "m".to_owned(),
            to: WorkflowId::from("a"),
            topic: topic.to_owned(),
            payload: String::new(),
            by: None,
        }
    }

    fn event(of: &str) -> Awaits {
        Awaits::Event(WorkflowId::from(of), "k".to_owned())
    }

    fn published() -> Fact {
        let event = Written::Event {
            number: 1,
            key: "k".to_owned(),
            value: String::new(),
        };
        written("b", "2", event)
    }

    fn ended() -> Fact {
        written("b", "2", outcome("1"))
    }

    /// What happens, with "a" and "b" under way in process 1, and then a quarter of a minute.
    fn judged(facts: &[Fact]) -> Result<(), String> {
        let begin = [joined(1), started("a", "1"), started("b", "2")];
        let wait = std::iter::repeat_n(Fact::Note(String::new()), 15);
        let facts: Vec<_> = begin
            .into_iter()
            .chain(facts.iter().cloned())
            .chain(wait)
            .collect();
        judge(kept(), &facts)
    }

    #[test]
    fn whoever_is_not_woken_is_found_whatever_it_waits_for() {
        let end = || Awaits::End(WorkflowId::from("b"));
        for facts in [
            [waits(message()), sent("t")],
            [sent("t"), waits(message())],
            [waits(event("b")), published()],
            [published(), waits(event("b"))],
            [waits(end()), ended()],
            [waits(end()), Fact::Cancelled(WorkflowId::from("b"))],
        ] {
            assert!(judged(&facts).is_err(), "{facts:?}");
        }
        for what in [event("b"), end()] {
            let asks = Fact::Asks { ticket: 1, what };
            assert!(judged(&[asks, published(), ended()]).is_err());
        }
    }

    #[test]
    fn a_second_message_that_is_left_lying_is_found() {
        let second = Fact::Waits {
            owner: owner("a", "1"),
            number: 3,
            what: message(),
        };
        let facts = [waits(message()), second, sent("t"), sent("t"), taken()];
        assert!(judged(&facts).is_err());
    }

    fn taken() -> Fact {
        let message = Some("m".to_owned());
        let receive = Written::Receive {
            number: 1,
            topic: "t".to_owned(),
            message,
        };
        written("a", "1", receive)
    }

    #[test]
    fn what_is_had_in_time_or_not_waited_for_or_not_there_is_right() {
        let dropped = Fact::Dropped {
            owner: owner("a", "1"),
            number: 1,
        };
        let crash = Fact::Crashed {
            down: Duration::ZERO,
        };
        let asks = Fact::Asks {
            ticket: 1,
            what: event("b"),
        };
        for facts in [
            vec![waits(message()), sent("t"), taken()],
            vec![waits(message()), sent("other")],
            vec![waits(message()), sent("t"), crash],
            vec![waits(message()), sent("t"), dropped],
            vec![waits(event("b")), ended()],
            vec![waits(event("b")), published(), written("a", "1", step(1))],
            vec![asks, published(), Fact::Answered(1)],
            vec![
                waits(Awaits::End(WorkflowId::from("b"))),
                Fact::Cancelled(WorkflowId::from("b")),
                Fact::Resumed(WorkflowId::from("b")),
            ],
        ] {
            assert_eq!(judged(&facts), Ok(()), "{facts:?}");
        }
    }

    #[test]
    fn what_could_not_happen_is_not_late() {
        let failed = || Fact::Failed {
            call: "poll",
            happened: false,
        };
        let facts = [waits(message()), sent("t"), failed()];
        assert_eq!(judged(&facts), Ok(()));
    }
}
