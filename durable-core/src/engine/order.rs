//! In which order the operations of one execution end: in that of the times that are recorded of them, so that every later execution of the
//! workflow ends them in the same order, and a race has the same winner.
//!
//! A sleep's time is the one at which it wakes, any other operation's the one with which its record is written. An operation that is done waits
//! for those with earlier times that the workflow awaits as well, however late their answers or timers are. One ends at a time: before the
//! next, the workflow is polled until nothing in it moves. Its time is the least that a later one can get. What is recorded ends before
//! anything new begins: a branch that lost before a crash is dropped on the replay before it can do anything.
//!
//! Whether an operation is awaited is found out by waking it: if the workflow comes to rest without having polled it, it is not.

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
    /// No operation has a time before this.
    floor: Option<Timestamp>,
    /// Which poll of the workflow this is.
    poll: u64,
    /// Whether the workflow was at rest, and no operation has ended since: the next one may.
    rested: bool,
    /// Counts what may have changed who is awaited: wakes of the task, and ends.
    epoch: u64,
    /// Those that were woken to see whether they are awaited, and in which poll.
    asked: Option<(u64, Vec<Key>)>,
    /// New operations that may not begin yet.
    new: BTreeMap<i32, Waker>,
    /// How often new operations were let begin.
    round: u64,
}

/// An operation whose time is known.
#[derive(Debug, Default)]
struct Timed {
    waker: Option<Waker>,
    /// The last poll of the workflow that polled it.
    polled: u64,
    /// Whether it ends when it is polled in its turn.
    ready: bool,
    /// Whether the workflow does not await it: it was woken, and not polled.
    passed: bool,
    /// The epoch in which it was woken and polled.
    awaited: Option<u64>,
}

/// What the driver does once the workflow is at rest.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing: something else must happen first.
    Waits,
    /// These are woken, and the workflow is polled.
    Wakes(Vec<Waker>),
}

impl Order {
    /// Says that no operation has a time before this one.
    pub(super) fn begins_at(&self, floor: Option<Timestamp>) {
        self.lock().floor = floor;
    }

    /// The least time that an operation can get now.
    pub(crate) fn floor(&self) -> Option<Timestamp> {
        let state = self.lock();
        state.floor.max(state.last.map(|(at, _)| at))
    }

    /// Says that the workflow's task was woken.
    pub(super) fn woken(&self) {
        self.lock().epoch += 1;
    }

    /// Says that the workflow is polled.
    pub(super) fn polls(&self) {
        self.lock().poll += 1;
    }

    /// How many wakers are kept here that wake what this one wakes; none if the workflow was at rest, and no operation has ended since.
    pub(super) fn restless(&self, waker: &Waker) -> Option<usize> {
        let state = self.lock();
        if state.rested {
            return None;
        }
        let timed = state
            .timed
            .values()
            .filter_map(|timed| timed.waker.as_ref());
        let wakers = timed.chain(state.new.values());
        Some(wakers.filter(|kept| kept.will_wake(waker)).count())
    }

    /// What comes next, now that the workflow is at rest: it was polled, has not ended, and nothing in it has woken it.
    pub(super) fn at_rest(&self) -> Next {
        let mut state = self.lock();
        state.judge_asked();
        if !std::mem::replace(&mut state.rested, true) {
            // The workflow may await others now.
            state.epoch += 1;
            for timed in state.timed.values_mut() {
                timed.passed = false;
            }
        }
        let wakers = state.ask().or_else(|| state.let_begin());
        wakers.map_or(Next::Waits, Next::Wakes)
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

    /// Gives an operation the place that its record has, to end in its turn; whether that is now.
    pub(crate) fn recorded(&self, number: i32, at: Timestamp, waker: &Waker) -> bool {
        let (is_next, _old) = {
            let mut state = self.lock();
            // At its first poll others that are awaited may not have their places yet.
            let is_next = state.times.contains_key(&number) && state.is_next(number);
            state.place(number, at);
            (is_next, state.keep(number, waker, true))
        };
        is_next
    }

    /// Gives an operation the place that its record turned out to have.
    pub(crate) fn known(&self, number: i32, at: Timestamp) {
        self.lock().place(number, at);
    }

    /// Says that an operation is not done after all.
    pub(crate) fn unsettle(&self, number: i32) {
        let _removed = self.lock().remove(number);
    }

    /// Whether a new operation may begin, which first asked in this round, if it has asked before.
    pub(crate) fn may_begin(&self, number: i32, since: &mut Option<u64>, waker: &Waker) -> bool {
        let _old = {
            let mut state = self.lock();
            if since.is_some_and(|since| since < state.round) {
                return true;
            }
            *since = Some(state.round);
            state.new.insert(number, waker.clone())
        };
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

    /// Keeps what wakes an operation that has begun and is not done.
    pub(crate) fn pends(&self, number: i32, waker: &Waker) {
        let _old = self.lock().keep(number, waker, false);
    }

    /// Whether an operation that is done may end now; then it has ended.
    pub(crate) fn may_end(&self, number: i32, waker: &Waker) -> bool {
        let (may, _old) = {
            let mut state = self.lock();
            if !state.times.contains_key(&number) {
                // It ends without a record of its own: the sooner the better.
                let last = state.last.map(|(at, _)| at);
                state.place(number, last.unwrap_or(Timestamp::from_millis(0)));
            }
            if state.is_next(number) || Bug::EndsInAnyOrder.is_planted() {
                let removed = state.remove(number);
                let key = removed.as_ref().map(|(key, _)| *key);
                state.last = state.last.max(key);
                state.rested = false;
                (true, removed.and_then(|(_, timed)| timed.waker))
            } else {
                (false, state.keep(number, waker, true))
            }
        };
        may
    }

    /// Says that an operation was dropped.
    pub(crate) fn forget(&self, number: i32) {
        let _removed = {
            let mut state = self.lock();
            (state.remove(number), state.new.remove(&number))
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// What a waker does when it is woken or dropped is not known here: whatever is taken out is dropped after the lock.
impl State {
    fn place(&mut self, number: i32, at: Timestamp) {
        let before = self.times.insert(number, at);
        let timed = before.and_then(|before| self.timed.remove(&(before, number)));
        self.timed.insert((at, number), timed.unwrap_or_default());
    }

    fn remove(&mut self, number: i32) -> Option<(Key, Timed)> {
        let key = (self.times.remove(&number)?, number);
        Some((key, self.timed.remove(&key)?))
    }

    fn of(&mut self, number: i32) -> Option<&mut Timed> {
        let at = self.times.get(&number)?;
        self.timed.get_mut(&(*at, number))
    }

    /// Keeps what wakes an operation, if its time is known; gives the waker that was kept before.
    fn keep(&mut self, number: i32, waker: &Waker, ready: bool) -> Option<Waker> {
        let poll = self.poll;
        let timed = self.of(number)?;
        timed.ready = ready;
        timed.polled = poll;
        timed.waker.replace(waker.clone())
    }

    fn is_next(&self, number: i32) -> bool {
        let mut awaited = self.timed.iter().filter(|(_, timed)| !timed.passed);
        let next = awaited.next().map(|(key, _)| key.1);
        self.rested && next == Some(number)
    }

    /// Takes note of who was polled of those that were asked.
    fn judge_asked(&mut self) {
        let Some((poll, asked)) = self.asked.take() else {
            return;
        };
        for key in asked {
            if let Some(timed) = self.timed.get_mut(&key) {
                timed.passed = timed.polled <= poll;
                timed.awaited = (!timed.passed).then_some(self.epoch);
            }
        }
    }

    /// Who must be woken: the first that can end, and whoever is before it and not known to be awaited.
    fn ask(&mut self) -> Option<Vec<Waker>> {
        let awaited = || self.timed.iter().filter(|(_, timed)| !timed.passed);
        let first_ready = awaited().position(|(_, timed)| timed.ready)?;
        let (mut keys, mut wakers) = (Vec::new(), Vec::new());
        for (key, timed) in awaited().take(first_ready + 1) {
            if !timed.ready && timed.awaited == Some(self.epoch) {
                // It is awaited and not done: its own waker says when it is.
                return None;
            }
            keys.push(*key);
            wakers.extend(timed.waker.clone());
        }
        if keys.is_empty() {
            return None;
        }
        self.asked = Some((self.poll, keys));
        Some(wakers)
    }

    /// Lets new operations begin, if there are any.
    fn let_begin(&mut self) -> Option<Vec<Waker>> {
        if self.new.is_empty() {
            return None;
        }
        self.round += 1;
        Some(std::mem::take(&mut self.new).into_values().collect())
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
        order.woken();
        order.polls();
        assert!(!goes_on(&order));
        for (number, time) in times {
            assert_eq!(order.settle(*number, at(*time)), at(*time));
        }
        order
    }

    /// The workflow is at rest; whether it is polled again.
    fn goes_on(order: &Order) -> bool {
        let wakes = matches!(order.at_rest(), Next::Wakes(_));
        if wakes {
            order.polls();
        }
        wakes
    }

    /// The task is woken from outside, and the workflow polled.
    fn woken(order: &Order) {
        order.woken();
        order.polls();
    }

    #[test]
    fn the_earlier_one_ends_first_however_late_its_answer_is() {
        let order = settled(&[(1, 5), (2, 6)]);
        order.pends(1, WAKER);
        assert!(!order.may_end(2, WAKER));
        assert!(goes_on(&order), "the first is asked whether it is awaited");
        order.pends(1, WAKER);
        assert!(!goes_on(&order), "it is, and its answer is waited for");
        woken(&order);
        assert!(order.may_end(1, WAKER));
        assert!(goes_on(&order));
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn the_next_ends_only_when_the_workflow_is_at_rest() {
        let order = settled(&[(1, 5), (2, 6)]);
        assert!(order.may_end(1, WAKER));
        assert!(!order.may_end(2, WAKER));
        order.polls();
        assert!(!order.may_end(2, WAKER));
        assert!(goes_on(&order));
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn one_that_is_not_awaited_holds_nobody_up() {
        let order = settled(&[(1, 5)]);
        order.pends(1, WAKER);
        assert!(!goes_on(&order));
        woken(&order);
        order.settle(2, at(6));
        assert!(!order.may_end(2, WAKER));
        assert!(goes_on(&order), "the first is asked whether it is awaited");
        assert!(!order.may_end(2, WAKER));
        assert!(goes_on(&order), "it is not");
        assert!(order.may_end(2, WAKER));
        assert!(!goes_on(&order));
        // Awaited again, it ends.
        woken(&order);
        order.polled(1);
        assert!(order.may_end(1, WAKER));
    }

    #[test]
    fn who_is_awaited_is_asked_again_when_the_task_is_woken() {
        let order = settled(&[(1, 5), (2, 6)]);
        order.pends(1, WAKER);
        assert!(!order.may_end(2, WAKER));
        assert!(goes_on(&order));
        order.pends(1, WAKER);
        assert!(!order.may_end(2, WAKER));
        assert!(!goes_on(&order), "awaited");
        // Something that is no operation has made the code await only the second.
        woken(&order);
        assert!(goes_on(&order), "both are asked");
        assert!(!order.may_end(2, WAKER));
        assert!(goes_on(&order), "the first is not awaited");
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn what_is_dropped_holds_nobody_up() {
        let order = settled(&[(1, 5), (2, 6)]);
        assert!(!order.may_end(2, WAKER));
        order.forget(1);
        assert!(goes_on(&order));
        assert!(order.may_end(2, WAKER));
    }

    #[test]
    fn a_time_comes_after_what_has_ended() {
        let order = settled(&[(2, 5)]);
        assert!(order.may_end(2, WAKER));
        assert_eq!(order.settle(1, at(5)), at(6));
        assert_eq!(order.settle(3, at(4)), at(5));
        assert_eq!(order.settle(4, at(7)), at(7));
        assert_eq!(order.floor(), Some(at(5)));
    }

    #[test]
    fn what_is_recorded_ends_before_anything_new_begins() {
        let order = settled(&[]);
        let mut since = None;
        assert!(!order.may_begin(3, &mut since, WAKER));
        assert!(!order.recorded(2, at(9), WAKER));
        assert!(!order.recorded(1, at(10), WAKER));
        for number in [2, 1] {
            assert!(goes_on(&order));
            assert!(!order.may_begin(3, &mut since, WAKER));
            assert!(order.recorded(number, at(if number == 2 { 9 } else { 10 }), WAKER));
            assert!(order.may_end(number, WAKER));
        }
        assert!(goes_on(&order));
        assert!(order.may_begin(3, &mut since, WAKER));
    }
}
