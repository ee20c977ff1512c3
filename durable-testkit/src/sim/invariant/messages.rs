//! A message is taken once, and in its turn.

use std::collections::BTreeMap;

use durable_core::ids::WorkflowId;

use super::Invariant;
use crate::sim::fact::{Fact, Moment, Written};

/// A message is taken by one operation of the workflow that it was sent to, each topic's messages in the order in which they came, and none
/// is missed.
#[derive(Debug, Default)]
pub struct MessagesAreTakenOnce {
    next: u64,
    sent: BTreeMap<String, Mail>,
    /// What each operation received.
    received: BTreeMap<(WorkflowId, i32), Option<String>>,
}

#[derive(Debug)]
struct Mail {
    nth: u64,
    to: WorkflowId,
    topic: String,
    taken_by: Option<i32>,
}

impl Invariant for MessagesAreTakenOnce {
    fn name(&self) -> &'static str {
        "messages_are_taken_once"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Sent {
                message, to, topic, ..
            } => {
                self.next += 1;
                let mail = Mail {
                    nth: self.next,
                    to: to.clone(),
                    topic: topic.clone(),
                    taken_by: None,
                };
                if self.sent.insert(message.clone(), mail).is_some() {
                    return Err(format!(
                        "message {message} was put into the mailbox of {to} twice"
                    ));
                }
                Ok(())
            }
            Fact::Written {
                owner,
                what:
                    Written::Receive {
                        number,
                        topic,
                        message,
                    },
                ..
            } => {
                let place = (owner.workflow.clone(), *number);
                let is_new = !self.received.contains_key(&place);
                if is_new && message.is_none() {
                    self.check_empty(&owner.workflow, *number, topic)?;
                }
                let before = self
                    .received
                    .entry(place)
                    .or_insert_with(|| message.clone());
                if before != message {
                    return Err(format!(
                        "operation {number} of {} received {before:?}, and then {message:?}",
                        owner.workflow
                    ));
                }
                message.as_ref().map_or(Ok(()), |message| {
                    self.take(&owner.workflow, *number, message)
                })
            }
            _ => Ok(()),
        }
    }
}

impl MessagesAreTakenOnce {
    /// Errors: an operation received nothing, and there was something.
    fn check_empty(&self, workflow: &WorkflowId, number: i32, topic: &str) -> Result<(), String> {
        let lies =
            |mail: &Mail| mail.to == *workflow && mail.topic == topic && mail.taken_by.is_none();
        match self.sent.iter().find(|(_, mail)| lies(mail)) {
            None => Ok(()),
            Some((message, _)) => Err(format!(
                "operation {number} of {workflow} received nothing, though {message} was there"
            )),
        }
    }

    fn take(&mut self, workflow: &WorkflowId, number: i32, message: &str) -> Result<(), String> {
        let Some(mail) = self.sent.get(message).filter(|mail| mail.to == *workflow) else {
            return Err(format!(
                "{workflow} took message {message}, which nobody sent it"
            ));
        };
        match mail.taken_by {
            Some(before) if before == number => return Ok(()),
            Some(before) => {
                return Err(format!(
                    "message {message} was taken by operation {before} of {workflow}, and again by operation {number}"
                ));
            }
            None => {}
        }
        let mut before = self.sent.iter().filter(|(_, other)| {
            other.to == mail.to && other.topic == mail.topic && other.nth < mail.nth
        });
        if let Some((first, _)) = before.find(|(_, other)| other.taken_by.is_none()) {
            return Err(format!(
                "{workflow} took message {message} before {first}, which came first"
            ));
        }
        if let Some(mail) = self.sent.get_mut(message) {
            mail.taken_by = Some(number);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn sent(message: &str) -> Fact {
        Fact::Sent {
            message: message.to_owned(),
            to: WorkflowId::from("a"),
            topic: "t".to_owned(),
            payload: String::new(),
            by: None,
        }
    }

    fn taken(message: &str, number: i32) -> Fact {
        received(number, Some(message.to_owned()))
    }

    fn received(number: i32, message: Option<String>) -> Fact {
        let receive = Written::Receive {
            number,
            topic: "t".to_owned(),
            message,
        };
        written("a", "1", receive)
    }

    #[test]
    fn a_message_that_is_taken_twice_or_was_not_sent_or_overtakes_is_found() {
        let twice = [sent("m"), taken("m", 1), taken("m", 3)];
        let not_sent = [sent("m"), taken("n", 1), taken("m", 3)];
        let overtakes = [sent("m"), sent("n"), taken("n", 1)];
        let lost = [sent("m"), taken("m", 1), received(1, None)];
        let missed = [sent("m"), received(1, None), sent("n")];
        for facts in [twice, not_sent, overtakes, lost, missed] {
            assert!(judge(MessagesAreTakenOnce::default(), &facts).is_err());
        }
    }

    #[test]
    fn each_message_once_in_its_turn_is_right_also_where_an_answer_comes_twice() {
        let facts = [
            sent("m"),
            sent("n"),
            taken("m", 1),
            taken("m", 1),
            taken("n", 3),
            received(5, None),
        ];
        assert_eq!(judge(MessagesAreTakenOnce::default(), &facts), Ok(()));
    }
}
