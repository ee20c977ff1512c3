//! What the model says: the calls of two processes one after the other, in every order.

use async_trait::async_trait;
use durable_core::{
    db::{Events as _, SystemDb},
    ids::WorkflowId,
};

use super::{
    gate::Span,
    pairs::Pair,
    scene::{STAYING, STEP, seen},
    words::join,
};
use crate::{
    Memory,
    calls::{KEY, Scene, Side},
};

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) a: Vec<String>,
    pub(super) b: Vec<String>,
    pub(super) seen: Vec<String>,
    /// The answers of what happens afterwards.
    pub(super) then: Vec<String>,
}

/// What came of the calls in one order.
#[derive(Debug)]
pub(super) struct Serial {
    /// Whose call is next: true for the first process.
    pub(super) order: Vec<bool>,
    pub(super) outcome: Outcome,
}

/// The answer of a call that the server ended, so that nothing of it happened.
pub(super) const ENDED_BY_THE_SERVER: &str = "error";

/// What the model says of a pair.
pub(super) async fn serials(pair: &Pair) -> Vec<Serial> {
    let mut serials = Vec::new();
    for order in orders(pair.a.len(), pair.b.len()) {
        serials.push(serial(pair, order).await);
    }
    if pair.deadlock {
        for order in [vec![true], vec![false]] {
            serials.push(serial(pair, order).await);
        }
    }
    serials
}

/// All ways to merge so many calls with so many.
fn orders(a: usize, b: usize) -> Vec<Vec<bool>> {
    if a == 0 || b == 0 {
        return vec![[vec![true; a], vec![false; b]].concat()];
    }
    let with = |first: bool, rest: Vec<Vec<bool>>| {
        rest.into_iter()
            .map(move |rest| [vec![first], rest].concat())
    };
    with(true, orders(a - 1, b))
        .chain(with(false, orders(a, b - 1)))
        .collect()
}

async fn serial(pair: &Pair, order: Vec<bool>) -> Serial {
    let scene = Scene::new(0, 0, &STAYING);
    let memory = Memory::new();
    let (a, b) = (memory.process(), memory.process());
    for executor in STAYING {
        join(executor).answer(&memory, &scene).await;
    }
    for call in pair.given {
        call.answer(&a, &scene).await;
    }
    let mut outcome = Outcome::default();
    for first in &order {
        let (process, calls, answers) = if *first {
            (&a, pair.a, &mut outcome.a)
        } else {
            (&b, pair.b, &mut outcome.b)
        };
        let call = calls[answers.len()];
        answers.push(call.answer(process, &scene).await);
    }
    for (answers, calls) in [(&mut outcome.a, pair.a), (&mut outcome.b, pair.b)] {
        answers.resize(calls.len(), ENDED_BY_THE_SERVER.to_owned());
    }
    outcome.seen = seen(&a, &scene).await;
    for call in pair.then {
        outcome.then.push(call.answer(&a, &scene).await);
    }
    Serial { order, outcome }
}

impl Serial {
    /// Whether the run gave these answers and left this, and no call came after one that began when it was over.
    pub(super) fn agrees(&self, pair: &Pair, found: &Outcome, spans: [&[Span]; 2]) -> bool {
        self.outcome.a == found.a
            && self.outcome.b == found.b
            && self.outcome.seen == without_orphans(pair, found)
            && self.is_possible(spans)
    }

    fn is_possible(&self, [a, b]: [&[Span]; 2]) -> bool {
        let (mut a, mut b) = (a.iter(), b.iter());
        let next = |first: &bool| Some((*first, if *first { a.next() } else { b.next() }?));
        let spans: Vec<(bool, &Span)> = self.order.iter().filter_map(next).collect();
        (0..spans.len()).all(|n| {
            let (whose, span) = spans[n];
            !spans[n + 1..]
                .iter()
                .any(|(other, later)| *other != whose && later.is_before(span))
        })
    }
}

/// What was found, without the steps of a workflow whose row is gone, where the pair allows that they stay: not if their call was told
/// that it wrote nothing.
fn without_orphans(pair: &Pair, found: &Outcome) -> Vec<String> {
    let gone = !found
        .seen
        .iter()
        .any(|line| line.starts_with("WorkflowRow { id: \"w\""));
    let lost = |answer: &String| answer.contains("Lost");
    let told = found.a.iter().chain(&found.b).any(lost);
    let mut seen = found.seen.clone();
    if pair.orphans && gone && !told {
        seen.retain(|line| !line.starts_with(&format!("{STEP}\"w\"")));
    }
    seen
}

#[async_trait]
impl Side for Memory {
    fn db(&self) -> &dyn SystemDb {
        self
    }

    async fn delete(&self, id: &WorkflowId) -> Result<(), String> {
        self.delete_workflow(id);
        Ok(())
    }

    async fn leave_token(&self, id: &WorkflowId, token: &str) -> Result<(), String> {
        self.leave_owner(id, token);
        Ok(())
    }

    async fn rest(&self, ids: &[WorkflowId]) -> Vec<String> {
        let mut lines = Vec::new();
        for id in ids {
            if let Some(input) = self.input(id) {
                lines.push(format!("input of {id:?}: {input}"));
            }
        }
        for id in ids {
            for (message, taken) in self.mailbox(id) {
                lines.push(format!("mail of {id:?}: {message} taken by {taken:?}"));
            }
        }
        for id in ids {
            if let Some(value) = self.event(id, KEY).await.expect("the model answers") {
                lines.push(format!("event of {id:?}: {}", value.text));
            }
        }
        for id in ids {
            for (number, value) in self.event_history(id, KEY) {
                lines.push(format!("event of {id:?} by step {number}: {}", value.text));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_merged_in_every_order() {
        assert_eq!(orders(1, 1), [[true, false], [false, true]]);
        assert_eq!(orders(2, 2).len(), 6);
    }

    #[test]
    fn what_was_over_before_another_began_comes_first() {
        let span = |began, ended| Span {
            began: Some(began),
            ended,
        };
        let serial = |order: [bool; 2]| Serial {
            order: order.to_vec(),
            outcome: Outcome::default(),
        };
        let (early, late) = (span(0, 2), span(2, 3));
        assert!(serial([true, false]).is_possible([&[early], &[late]]));
        assert!(!serial([false, true]).is_possible([&[early], &[late]]));
        let meanwhile = span(1, 3);
        assert!(serial([false, true]).is_possible([&[early], &[meanwhile]]));
    }
}
