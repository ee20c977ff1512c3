//! In which order the operations of one execution end: in that of the times that are recorded of them, so that every later execution of the
//! workflow ends them in the same order, and a race has the same winner.
//!
//! A sleep's time is the one at which it wakes, any other operation's the one at which it was done. An operation that is done waits for those
//! with earlier times that the workflow awaits as well, however late their answers or timers are; one ends in each poll of the workflow, and its
//! time is the least that a later one can get. What is recorded ends before anything new begins: a branch that lost before a crash is
//! dropped on the replay before it can do anything.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use crate::{sabotage::Bug, time::Timestamp};

/// The operations of one execution that were polled and have not ended.
#[derive(Debug, Default)]
pub(crate) struct Order(Mutex<State>);

/// An operation's place: its time, and its number among those of the same time.
type Key = (Timestamp, i32);

#[derive(Debug, Default)]
struct State {
    /// Those whose time is known.
    timed: BTreeMap<Key, Timed>,
    times: BTreeMap<i32, Timestamp>,
    /// The greatest of those that have ended.
    last: Option<Key>,
    /// Which poll of the workflow this is.
    poll: u64,
    /// Whether an operation has ended in this poll.
    ended: bool,
    /// The one that was woken to see whether it is awaited.
    asked: Option<Key>,
    /// For how many wakes of the task from now nobody is asked again: an answer wakes it, too.
    unasked: u8,
    /// New operations that may not begin yet.
    new: Vec<Waker>,
    /// How often new operations were let begin.
    round: u64,
    /// What wakes the task itself, which is polled anyway.
    task: Option<Waker>,
}

/// An operation whose time is known.
#[derive(Debug, Default)]
struct Timed {
    waker: Option<Waker>,
    /// The last poll of the workflow that polled it.
    polled: u64,
    /// Whether it ends when it is polled in its turn.
    ready: bool,
    /// Whether the workflow does not await it: it was woken in its turn, and not polled.
    passed: bool,
}

impl Order {
    /// Says that the workflow's task, woken by `task`, was woken.
    pub(crate) fn woken(&self, task: &Waker) {
        let mut state = self.lock();
        state.unasked = state.unasked.saturating_sub(1);
        if !state.task.as_ref().is_some_and(|old| old.will_wake(task)) {
            state.task = Some(task.clone());
        }
    }

    /// Says that the workflow is polled.
    pub(crate) fn polls(&self) {
        self.lock().poll += 1;
    }

    /// After a poll in which the workflow did not end: whether it must be polled again at once.
    pub(crate) fn goes_on(&self) -> bool {
        let mut state = self.lock();
        state.judge_asked();
        if std::mem::take(&mut state.ended) {
            // The workflow may await others now.
            state
                .timed
                .values_mut()
                .for_each(|timed| timed.passed = false);
        }
        state.ask_next() || state.let_begin()
    }

    /// The time of an operation that is about to be recorded, if it is `at`: not before what has ended. From now on it has its place.
    pub(crate) fn settle(&self, number: i32, at: Timestamp) -> Timestamp {
        let mut state = self.lock();
        let at = match state.last {
            Some(last) if (at, number) < last => {
                // Of the same time as the last one only if it comes after it by its number as well.
                let later = u64::from(number < last.1);
                last.0.saturating_add(Duration::from_millis(later))
            }
            _ => at,
        };
        state.place(number, at);
        at
    }

    /// Gives an operation the place that its record has, to end in its turn.
    pub(crate) fn recorded(&self, number: i32, at: Timestamp, waker: &Waker) {
        let mut state = self.lock();
        state.place(number, at);
        state.keep(number, waker, true);
    }

    /// Gives an operation the place that its record turned out to have.
    pub(crate) fn known(&self, number: i32, at: Timestamp) {
        self.lock().place(number, at);
    }

    /// Says that an operation is not done after all.
    pub(crate) fn unsettle(&self, number: i32) {
        self.lock().remove(number);
    }

    /// Whether a new operation may begin, which first asked in this round, if it has asked before.
    pub(crate) fn may_begin(&self, since: &mut Option<u64>, waker: &Waker) -> bool {
        let mut state = self.lock();
        if since.is_some_and(|since| since < state.round) {
            return true;
        }
        *since = Some(state.round);
        state.new.push(waker.clone());
        false
    }

    /// Says that an operation is polled that has begun or is recorded.
    pub(crate) fn polled(&self, number: i32) {
        let mut state = self.lock();
        let poll = state.poll;
        if let Some(timed) = state.of(number) {
            timed.polled = poll;
            timed.passed = false;
        }
    }

    /// Whether it is an operation's turn.
    pub(crate) fn is_next(&self, number: i32) -> bool {
        self.lock().is_next(number)
    }

    /// Keeps what wakes an operation that has begun and is not done.
    pub(crate) fn pends(&self, number: i32, waker: &Waker) {
        self.lock().keep(number, waker, false);
    }

    /// Whether an operation that is done may end now; then it has ended.
    pub(crate) fn may_end(&self, number: i32, waker: &Waker) -> bool {
        let mut state = self.lock();
        if !state.times.contains_key(&number) {
            let last = state.last.map(|(at, _)| at);
            state.place(number, last.unwrap_or(Timestamp::from_millis(0)));
        }
        if !state.is_next(number) && !Bug::EndsInAnyOrder.is_planted() {
            state.keep(number, waker, true);
            return false;
        }
        let key = state.remove(number);
        state.last = state.last.max(key);
        state.ended = true;
        true
    }

    /// Says that an operation was dropped.
    pub(crate) fn forget(&self, number: i32) {
        self.lock().remove(number);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn place(&mut self, number: i32, at: Timestamp) {
        let before = self.times.insert(number, at);
        let timed = before.and_then(|before| self.timed.remove(&(before, number)));
        self.timed.insert((at, number), timed.unwrap_or_default());
    }

    fn remove(&mut self, number: i32) -> Option<Key> {
        let key = (self.times.remove(&number)?, number);
        self.timed.remove(&key);
        Some(key)
    }

    fn of(&mut self, number: i32) -> Option<&mut Timed> {
        let at = self.times.get(&number)?;
        self.timed.get_mut(&(*at, number))
    }

    fn keep(&mut self, number: i32, waker: &Waker, ready: bool) {
        let poll = self.poll;
        if let Some(timed) = self.of(number) {
            match &mut timed.waker {
                Some(kept) => kept.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            timed.ready = ready;
            timed.polled = poll;
        }
    }

    fn is_next(&self, number: i32) -> bool {
        let mut awaited = self.timed.iter().filter(|(_, timed)| !timed.passed);
        let next = awaited.next().map(|(key, _)| key.1);
        !self.ended && next == Some(number)
    }

    /// Takes note of what came of asking one.
    fn judge_asked(&mut self) {
        let poll = self.poll;
        let asked = self.asked.take();
        if let Some(timed) = asked.and_then(|key| self.timed.get_mut(&key)) {
            timed.passed = timed.polled != poll;
            // It is awaited, and not done: its own waker says when it is.
            if !timed.passed && !timed.ready {
                self.unasked = 2;
            }
        }
    }

    /// Wakes the one whose turn it is, if it can end or if that must be known; whether there is one.
    fn ask_next(&mut self) -> bool {
        let mut awaited = self.timed.iter().filter(|(_, timed)| !timed.passed);
        let Some((key, next)) = awaited.next() else {
            return false;
        };
        let asks = next.ready
            || (next.polled != self.poll
                && self.unasked == 0
                && awaited.any(|(_, other)| other.ready));
        if !asks {
            return false;
        }
        let (key, waker) = (*key, next.waker.clone());
        self.asked = Some(key);
        if let Some(waker) = waker {
            self.wake(&waker);
        }
        true
    }

    /// Lets new operations begin; whether there are any.
    fn let_begin(&mut self) -> bool {
        let new = std::mem::take(&mut self.new);
        for waker in &new {
            self.wake(waker);
        }
        self.round += u64::from(!new.is_empty());
        !new.is_empty()
    }

    /// Has an operation polled in the poll that follows. The task itself need not be woken for that.
    fn wake(&self, waker: &Waker) {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAKER: &Waker = Waker::noop();

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// An order with these operations, whose times are known; the workflow is polled for the first time.
    fn settled(times: &[(i32, i64)]) -> Order {
        let order = Order::default();
        order.woken(WAKER);
        order.polls();
        for (number, time) in times {
            assert_eq!(order.settle(*number, at(*time)), at(*time));
        }
        order
    }

    #[test]
    fn the_earlier_one_ends_first_however_late_its_answer_is() {
        let order = settled(&[(1, 5), (2, 6)]);
        order.pends(1, WAKER);
        assert!(!order.may_end(2, WAKER));
        assert!(!order.goes_on(), "it waits for the answer");
        order.polls();
        assert!(order.may_end(1, WAKER));
        assert!(order.goes_on());
        order.polls();
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn one_ends_in_each_poll() {
        let order = settled(&[(1, 5), (2, 6)]);
        assert!(order.may_end(1, WAKER));
        assert!(!order.may_end(2, WAKER));
        assert!(order.goes_on());
        order.polls();
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn one_that_is_not_awaited_holds_nobody_up() {
        let order = settled(&[(1, 5)]);
        order.pends(1, WAKER);
        assert!(!order.goes_on());
        order.polls();
        order.settle(2, at(6));
        assert!(!order.may_end(2, WAKER));
        assert!(order.goes_on(), "the first is asked whether it is awaited");
        order.polls();
        assert!(!order.may_end(2, WAKER));
        assert!(order.goes_on(), "it is not");
        order.polls();
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn one_that_is_polled_only_when_it_is_woken_is_awaited_all_the_same() {
        let order = settled(&[(1, 5)]);
        order.pends(1, WAKER);
        assert!(!order.goes_on());
        order.polls();
        order.settle(2, at(6));
        assert!(!order.may_end(2, WAKER));
        assert!(order.goes_on(), "the first is asked whether it is awaited");
        order.polls();
        order.polled(1);
        order.pends(1, WAKER);
        assert!(!order.goes_on(), "it is, and not done");
        // The wake that asked is heard by the task itself: nobody is asked again for that.
        order.woken(WAKER);
        order.polls();
        assert!(!order.goes_on());
    }

    #[test]
    fn what_is_dropped_holds_nobody_up() {
        let order = settled(&[(1, 5), (2, 6)]);
        assert!(!order.may_end(2, WAKER));
        order.forget(1);
        assert!(order.goes_on());
        order.polls();
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn a_time_comes_after_what_has_ended() {
        let order = settled(&[(2, 5)]);
        assert!(order.may_end(2, WAKER));
        assert_eq!(order.settle(1, at(5)), at(6));
        assert_eq!(order.settle(3, at(4)), at(5));
        assert_eq!(order.settle(4, at(7)), at(7));
    }

    #[test]
    fn what_is_recorded_ends_before_anything_new_begins() {
        let order = settled(&[]);
        let mut since = None;
        assert!(!order.may_begin(&mut since, WAKER));
        order.recorded(2, at(9), WAKER);
        order.recorded(1, at(10), WAKER);
        assert!(order.goes_on());
        for number in [2, 1] {
            order.polls();
            assert!(!order.may_begin(&mut since, WAKER));
            assert!(order.is_next(number) && order.may_end(number, WAKER));
            assert!(order.goes_on());
        }
        order.polls();
        assert!(order.may_begin(&mut since, WAKER));
    }
}
