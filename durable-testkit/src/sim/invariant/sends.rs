//! A message that was sent is in its mailbox.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::ids::WorkflowId;

use super::Invariant;
use crate::sim::fact::{Fact, Moment, Written};

/// A send of a workflow that is recorded has put one message into a mailbox, and one that was acknowledged outside of workflows, too.
#[derive(Debug, Default)]
pub struct SendsArriveOnce {
    /// The message of each operation that sent one.
    sent: BTreeMap<(WorkflowId, i32), String>,
    /// What was sent to whom from outside.
    posted: BTreeSet<(WorkflowId, String)>,
    /// What was sent at all, where no two messages are the same.
    texts: Option<BTreeSet<(WorkflowId, String)>>,
}

impl SendsArriveOnce {
    /// For scenarios in which no two messages to a workflow are the same.
    pub fn of_different_texts() -> Self {
        Self {
            texts: Some(BTreeSet::new()),
            ..Self::default()
        }
    }
}

impl Invariant for SendsArriveOnce {
    fn name(&self) -> &'static str {
        "sends_arrive_once"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Sent {
                message,
                to,
                payload,
                by,
                ..
            } => {
                let text = (to.clone(), payload.clone());
                if let Some(texts) = &mut self.texts
                    && !texts.insert(text.clone())
                {
                    return Err(format!("{payload} was put into the mailbox of {to} twice"));
                }
                let Some(place) = by else {
                    self.posted.insert(text);
                    return Ok(());
                };
                if let Some(before) = self.sent.insert(place.clone(), message.clone()) {
                    return Err(format!(
                        "operation {} of {} sent {before}, and then {message}",
                        place.1, place.0
                    ));
                }
                Ok(())
            }
            Fact::Written {
                owner,
                what: Written::Send { number },
                ..
            } if !self.sent.contains_key(&(owner.workflow.clone(), *number)) => Err(format!(
                "send {number} of {} is recorded, and its message is in no mailbox",
                owner.workflow
            )),
            Fact::Posted { to, payload }
                if !self.posted.contains(&(to.clone(), payload.clone())) =>
            {
                Err(format!(
                    "the send of {payload} to {to} was acknowledged, and is not in its mailbox"
                ))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn sent(message: &str, payload: &str, by: Option<i32>) -> Fact {
        Fact::Sent {
            message: message.to_owned(),
            to: WorkflowId::from("b"),
            topic: "t".to_owned(),
            payload: payload.to_owned(),
            by: by.map(|number| (WorkflowId::from("a"), number)),
        }
    }

    fn send(number: i32) -> Fact {
        written("a", "1", Written::Send { number })
    }

    fn posted(payload: &str) -> Fact {
        Fact::Posted {
            to: WorkflowId::from("b"),
            payload: payload.to_owned(),
        }
    }

    #[test]
    fn a_send_without_a_message_and_one_with_two_are_found() {
        let second = [sent("m", "x", Some(1)), send(1), send(2)];
        let twice = [sent("m", "x", Some(1)), sent("n", "y", Some(1)), send(1)];
        let outside = [sent("m", "x", None), posted("y")];
        for facts in [&second[..], &twice, &outside] {
            assert!(judge(SendsArriveOnce::default(), facts).is_err());
        }
        let again = [sent("m", "x", None), sent("n", "x", Some(1))];
        assert!(judge(SendsArriveOnce::of_different_texts(), &again).is_err());
    }

    #[test]
    fn one_message_for_each_send_is_right_also_where_an_answer_comes_twice() {
        let facts = [
            sent("m", "x", Some(1)),
            send(1),
            send(1),
            sent("n", "y", None),
            posted("y"),
        ];
        assert_eq!(judge(SendsArriveOnce::of_different_texts(), &facts), Ok(()));
        let same = [sent("m", "x", Some(1)), send(1), sent("n", "x", None)];
        assert_eq!(judge(SendsArriveOnce::default(), &same), Ok(()));
    }
}
