//! What waiters wait for, and how they are woken.

use super::Lost;
use crate::{
    ids::{Owner, WorkflowId},
    payload::Ended,
};

/// Everything that one process waits for, asked in one query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Workflows whose end is awaited.
    pub results: Vec<WorkflowId>,
    /// Mailboxes in which a message is awaited: workflow and topic.
    pub messages: Vec<(WorkflowId, String)>,
    /// Events that are awaited: workflow and key.
    pub events: Vec<(WorkflowId, String)>,
    /// Executions that want to know when they lose their token.
    pub owners: Vec<Owner>,
}

impl Waits {
    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
            && self.messages.is_empty()
            && self.events.is_empty()
            && self.owners.is_empty()
    }

    /// Two parts of about the same size. Errors: all of it, as it is not more than one.
    pub fn halves(mut self) -> Result<[Self; 2], Self> {
        let count =
            self.results.len() + self.messages.len() + self.events.len() + self.owners.len();
        if count < 2 {
            return Err(self);
        }
        let mut left = count / 2;
        let other = Self {
            results: take_up_to(&mut self.results, &mut left),
            messages: take_up_to(&mut self.messages, &mut left),
            events: take_up_to(&mut self.events, &mut left),
            owners: take_up_to(&mut self.owners, &mut left),
        };
        Ok([self, other])
    }
}

/// Takes up to `left` from the end of a list, and counts them off.
fn take_up_to<T>(list: &mut Vec<T>, left: &mut usize) -> Vec<T> {
    let taken = list.split_off(list.len().saturating_sub(*left));
    *left -= taken.len();
    taken
}

/// The part of [`Waits`] that has come; what has not is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wakes {
    /// Workflows that have ended, or do not exist.
    pub results: Vec<(WorkflowId, Ended)>,
    /// Mailboxes with an unconsumed message.
    pub messages: Vec<(WorkflowId, String)>,
    /// Events that are set.
    pub events: Vec<(WorkflowId, String)>,
    /// Executions whose token is no longer the row's.
    pub owners: Vec<(Owner, Lost)>,
}

/// A sign that something may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Hint {
    /// A message arrived: destination and topic.
    Message(WorkflowId, String),
    /// An event was set: workflow and key.
    Event(WorkflowId, String),
    /// Work was put on a queue.
    Queue(String),
    /// A workflow ended, or its owner changed.
    Workflow(WorkflowId),
    /// Something changed; the backend cannot tell what.
    Anything,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_all_of_it_and_each_less_than_all() {
        let place = |n: usize| (WorkflowId::from(format!("w{n}")), "name".to_owned());
        let owner = |n: usize| Owner {
            workflow: format!("w{n}").into(),
            token: "t".into(),
        };
        for (results, messages, events, owners) in
            [(2, 0, 0, 0), (1, 1, 0, 0), (0, 1, 3, 1), (5, 4, 3, 2)]
        {
            let waits = Waits {
                results: (0..results).map(|n| place(n).0).collect(),
                messages: (0..messages).map(place).collect(),
                events: (0..events).map(place).collect(),
                owners: (0..owners).map(owner).collect(),
            };
            let mut parts = vec![waits];
            let mut ones = [0; 4];
            while let Some(part) = parts.pop() {
                match part.halves() {
                    Ok(halves) => {
                        assert!(halves.iter().all(|half| !half.is_empty()));
                        parts.extend(halves);
                    }
                    Err(one) => {
                        ones[0] += one.results.len();
                        ones[1] += one.messages.len();
                        ones[2] += one.events.len();
                        ones[3] += one.owners.len();
                    }
                }
            }
            assert_eq!(ones, [results, messages, events, owners]);
        }
        assert_eq!(Waits::default().halves(), Err(Waits::default()));
    }
}
