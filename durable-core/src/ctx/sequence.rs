//! The order of one execution's operations: who gets which number, and who may ask for one.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::ThreadId,
};

use crate::sabotage::Bug;

/// Numbers operations when they are built, and sees what must not be built.
#[derive(Debug, Default)]
pub(crate) struct Sequence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last number given.
    last: i32,
    /// Operations that run, and have since before no other one ended.
    running: BTreeSet<i32>,
    /// Operations that were polled and have not ended, though another one has since.
    outlasting: BTreeSet<i32>,
    /// The thread that polls the workflow right now.
    polled_by: Option<ThreadId>,
    /// Numbers of operations that were not polled yet; kept only for [`Bug::NumbersAtPoll`].
    unpolled: BTreeSet<i32>,
    /// The step whose body is polled right now.
    body: Option<String>,
}

/// Why an operation cannot be built or polled where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    /// Outside the poll of its workflow.
    ForeignTask,
    /// Inside the body of this step.
    InsideStep(String),
    /// While this operation runs and another has ended: its number would depend on timing.
    Unordered(i32),
}

impl Sequence {
    /// Gives the next `count` numbers to an operation, and returns the first.
    pub(crate) fn take(&self, count: i32) -> Result<i32, Misplaced> {
        let mut state = self.lock();
        state.check_place()?;
        if let Some(number) = state.outlasting.first() {
            return Err(Misplaced::Unordered(*number));
        }
        let first = state.last + 1;
        state.last += count;
        if Bug::NumbersAtPoll.is_planted() {
            state.unpolled.insert(first);
        }
        Ok(first)
    }

    /// The last number that was given.
    pub(crate) fn last(&self) -> i32 {
        self.lock().last
    }

    /// Says that an operation is polled for the first time.
    pub(crate) fn begin(&self, number: i32) -> Result<(), Misplaced> {
        let mut state = self.lock();
        state.check_place()?;
        state.running.insert(number);
        Ok(())
    }

    /// The number of an operation that is polled for the first time: the one that it was built with.
    pub(crate) fn number_at_poll(&self, number: i32) -> i32 {
        if !Bug::NumbersAtPoll.is_planted() {
            return number;
        }
        self.lock().unpolled.pop_first().unwrap_or(number)
    }

    /// Whether an operation may be polled here.
    pub(crate) fn check_place(&self) -> Result<(), Misplaced> {
        self.lock().check_place()
    }

    /// How many operations have begun and not ended.
    pub(crate) fn begun(&self) -> usize {
        let state = self.lock();
        state.running.len() + state.outlasting.len()
    }

    /// Says that an operation has given its result.
    pub(crate) fn end(&self, number: i32) {
        let mut state = self.lock();
        if state.remove(number) {
            // Each operation is moved once at most, and in a sequence none is.
            let running = std::mem::take(&mut state.running);
            state.outlasting.extend(running);
        }
    }

    /// Says that an operation was dropped.
    pub(crate) fn forget(&self, number: i32) {
        self.lock().remove(number);
    }

    /// Says that this thread polls the workflow, until the guard is dropped.
    pub(crate) fn enter(&self) -> PollGuard<'_> {
        self.lock().polled_by = Some(std::thread::current().id());
        PollGuard(self)
    }

    /// Says that the body of a step is polled, until the guard is dropped.
    pub(crate) fn enter_body(&self, step: &str) -> BodyPollGuard<'_> {
        let outer = self.lock().body.replace(step.to_owned());
        BodyPollGuard {
            sequence: self,
            outer,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes an operation out of those that run; whether it was among them.
    fn remove(&mut self, number: i32) -> bool {
        self.running.remove(&number) || self.outlasting.remove(&number)
    }

    fn check_place(&self) -> Result<(), Misplaced> {
        if self.polled_by != Some(std::thread::current().id()) {
            return Err(Misplaced::ForeignTask);
        }
        match &self.body {
            Some(step) => Err(Misplaced::InsideStep(step.clone())),
            None => Ok(()),
        }
    }
}

/// The workflow is being polled.
#[derive(Debug)]
pub(crate) struct PollGuard<'a>(&'a Sequence);

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().polled_by = None;
    }
}

/// A step's body is being polled.
#[derive(Debug)]
pub(crate) struct BodyPollGuard<'a> {
    sequence: &'a Sequence,
    outer: Option<String>,
}

impl Drop for BodyPollGuard<'_> {
    fn drop(&mut self) {
        self.sequence.lock().body = self.outer.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_start_at_one_and_leave_room_for_operations_that_take_two() {
        let sequence = Sequence::default();
        let _poll = sequence.enter();
        assert_eq!(sequence.last(), 0);
        assert_eq!(sequence.take(1), Ok(1));
        assert_eq!(sequence.take(2), Ok(2));
        assert_eq!(sequence.take(1), Ok(4));
        assert_eq!(sequence.last(), 4);
        assert_eq!(sequence.number_at_poll(2), 2);
    }

    #[test]
    fn an_operation_outside_its_workflow_is_refused_and_takes_no_number() {
        let sequence = Sequence::default();
        assert_eq!(sequence.take(1), Err(Misplaced::ForeignTask));
        let poll = sequence.enter();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| (sequence.take(1), sequence.check_place()));
            let (taken, placed) = other.join().unwrap();
            assert_eq!(taken, Err(Misplaced::ForeignTask));
            assert_eq!(placed, Err(Misplaced::ForeignTask));
        });
        assert_eq!(sequence.check_place(), Ok(()));
        assert_eq!(sequence.take(1), Ok(1));
        drop(poll);
        assert_eq!(sequence.begin(1), Err(Misplaced::ForeignTask));
    }

    #[test]
    fn an_operation_inside_a_body_is_refused() {
        let sequence = Sequence::default();
        let _poll = sequence.enter();
        let body = sequence.enter_body("charge");
        let inside = Err(Misplaced::InsideStep("charge".to_owned()));
        assert_eq!(sequence.take(1), inside);
        drop(body);
        assert_eq!(sequence.take(1), Ok(1));
    }

    #[test]
    fn an_operation_built_after_one_ended_and_while_an_earlier_one_runs_is_refused() {
        let sequence = Sequence::default();
        let _poll = sequence.enter();
        let (a, b) = (sequence.take(1).unwrap(), sequence.take(1).unwrap());
        sequence.begin(a).unwrap();
        sequence.begin(b).unwrap();
        assert_eq!(sequence.begun(), 2);
        sequence.end(a);
        assert_eq!(sequence.take(1), Err(Misplaced::Unordered(b)));
        sequence.end(b);
        assert_eq!(sequence.begun(), 0);
        assert_eq!(sequence.take(1), Ok(3));
    }

    #[test]
    fn operations_built_before_any_ended_or_after_all_did_are_fine() {
        let sequence = Sequence::default();
        let _poll = sequence.enter();
        let a = sequence.take(1).unwrap();
        sequence.begin(a).unwrap();
        // Built while `a` runs, but nothing has ended: the order is the code's.
        let b = sequence.take(1).unwrap();
        sequence.begin(b).unwrap();
        sequence.end(a);
        sequence.forget(b);
        assert_eq!(sequence.take(1), Ok(3));
    }
}
