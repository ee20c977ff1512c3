//! The model as what says which calls are possible.

use durable_core::ids::WorkflowId;
use futures_util::FutureExt as _;

use super::{
    Made,
    search::{Span, Spec},
};
use crate::{
    Memory,
    calls::{Call, Scene, WORKFLOWS},
    model_check::Process,
};

/// The calls of a history on the model.
pub(super) struct Calls<'a> {
    pub(super) made: &'a [Made],
    pub(super) scene: &'a Scene,
    /// Whether looks pass over rows that somebody else is just changing.
    pub(super) passes_over: bool,
}

impl Spec for Calls<'_> {
    /// The processes of a database in memory.
    type State = Vec<Memory>;

    fn after(&self, state: &Vec<Memory>, n: usize) -> Vec<Vec<Memory>> {
        let made = &self.made[n];
        let fits = |answer: &String| {
            let given = made.answer.as_ref();
            given.is_none_or(|given| lasting(made.call, given) == lasting(made.call, answer))
        };
        let mut after = Vec::new();
        for hidden in self.hidden(n) {
            let next = Memory::branch(state);
            let answer = self.apply(&next, made, &hidden);
            if fits(&answer) {
                after.push(next);
                if made.answer.is_some() {
                    break;
                }
            }
        }
        after
    }

    fn settles(&self, n: usize) -> bool {
        !matches!(self.made[n].call, Call::Join(..) | Call::Leave(_))
    }

    fn key(&self, state: &Vec<Memory>) -> String {
        state[0].timeless_dump()
    }
}

impl Calls<'_> {
    /// Makes a call on the model, which answers at once.
    fn apply(&self, processes: &[Memory], made: &Made, hidden: &[WorkflowId]) -> String {
        let process = &processes[made.process % processes.len()];
        process.without_rows(hidden, || {
            let side = Process(std::sync::Arc::new(process.clone()));
            let answer = made.call.answer(&side, self.scene).now_or_never();
            answer.expect("the model answers at once")
        })
    }

    /// The rows that a call may not have seen: none, and for a look all choices of those that others are about meanwhile. A cancel of
    /// several takes each for itself, and one that is made or resumed meanwhile later or not at all.
    fn hidden(&self, n: usize) -> Vec<Vec<WorkflowId>> {
        let mut choices = vec![Vec::new()];
        let is_unseen = |id: &str| match self.made[n].call {
            Call::Cancel(ids) => {
                ids.iter().any(|of| *of != id) && self.is_meanwhile(n, |call| may_bring(call, id))
            }
            call if call.is_look() => {
                self.passes_over && self.is_meanwhile(n, |call| may_change(call, id))
            }
            _ => false,
        };
        for id in WORKFLOWS.iter().filter(|id| is_unseen(id)) {
            let with = choices.clone().into_iter().map(|mut hidden| {
                hidden.push(self.scene.id(id));
                hidden
            });
            choices.extend(with.collect::<Vec<_>>());
        }
        choices
    }

    /// Whether another call that is such a one was under way at the same time.
    fn is_meanwhile(&self, n: usize, is_such: impl Fn(Call) -> bool) -> bool {
        let span = &self.made[n].span;
        let others = self.made.iter().enumerate();
        others
            .filter(|(other, _)| *other != n)
            .any(|(_, made)| span.overlaps(&made.span) && is_such(made.call))
    }
}

impl Span {
    fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| a.ended.is_some_and(|ended| ended < b.began);
        !before(self, other) && !before(other, self)
    }
}

/// What an answer says of the moment at which the call has its effect: the state of a child that was there already is that of an earlier
/// moment of the call, before its record is written.
fn lasting(call: Call, answer: &str) -> &str {
    let until = match call {
        Call::StartChild(..) => answer
            .contains("Existing {")
            .then(|| answer.find(", status:"))
            .flatten(),
        _ => None,
    };
    &answer[..until.unwrap_or(answer.len())]
}

/// Whether a call may make a workflow one that can be cancelled.
fn may_bring(call: Call, id: &str) -> bool {
    match call {
        Call::Start(of, _) | Call::StartChild(of, ..) | Call::Resume(of, _) => of == id,
        _ => false,
    }
}

/// Whether a call may lock the row of a workflow.
fn may_change(call: Call, id: &str) -> bool {
    match call {
        Call::Start(of, _) | Call::Resume(of, _) | Call::Delete(of) | Call::LeaveToken(of, _) => {
            of == id
        }
        Call::StartChild(of, _, by, _) => of == id || by.of == id,
        Call::Record(by, ..)
        | Call::Finish(by, _)
        | Call::DeadLetter(by)
        | Call::Receive(by, ..)
        | Call::SetEvent(by, ..) => by.of == id,
        Call::Mail(letter) => letter.to == id,
        Call::Send(letter, by, _) => letter.to == id || by.of == id,
        Call::Cancel(ids) => ids.iter().any(|of| *of == id),
        Call::Adopt(_, held, _) | Call::Requeue(_, held) | Call::Release(held) => {
            held.iter().any(|by| by.of == id)
        }
        other => other.is_look(),
    }
}
