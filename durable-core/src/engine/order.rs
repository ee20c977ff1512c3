//! In which order the operations of one execution end: in that of the places that are recorded of
//! them, so that every later execution of the workflow ends them in the same order, and a race has
//! the same winner.
//!
//! A place is a time, and the operation's number among those of the same time. It stands in the
//! record's `completed_at`. An operation that is done waits for those with earlier places that the
//! workflow awaits as well, however late their answers or timers are. One ends at a time: before
//! the next, the workflow is polled until nothing in it moves. Its place is the least that a later
//! one can get. What is recorded ends before anything new begins: a branch that lost before a crash
//! is dropped on the replay before it can do anything.
//!
//! **A place is not a clock.** The database's clock may have been ahead for a while, so that places
//! lie in the future of one that is right:
//!
//! - An operation that is done gets the time of now, or that of the last place if this is later.
//! - A sleep wakes by the clock alone, at the time in its record's output. Its place is that time,
//!   moved on by as much as the places are ahead of the clock, so that what is done before it wakes
//!   still finds a place before it. Sleeps have their places in the order in which they wake, as
//!   far as there is room between two of them.
//! - A replayed sleep that something recorded comes after is over: an earlier execution has seen it
//!   end.
//!
//! So a clock that was ahead can hold up a sleep which was recorded by it, and nothing else. On a
//! replay the places are read, not made anew.
//!
//! Whether an operation is awaited is found out by waking it: if the workflow comes to rest without having polled it, it is not.
//!
//! Each change costs no more than the logarithm of how many operations there are: a join of many
//! thousand is common.

use std::{
    collections::{BTreeMap, BTreeSet},
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

/// Where the record of an operation puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) at: Timestamp,
    /// When it wakes, if it is a sleep.
    pub(crate) wake: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    /// Those whose place is known.
    timed: BTreeMap<i32, Timed>,
    /// The places of those that are not passed over.
    places: BTreeSet<Key>,
    /// The places of those that the workflow does not await: they were woken, and not polled.
    passed: BTreeSet<Key>,
    /// Those of `places` that end when they are polled in their turn.
    ready: BTreeSet<Key>,
    /// The sleeps: when each wakes, and its number.
    sleeps: BTreeSet<Key>,
    /// The greatest of those that have ended.
    last: Option<Key>,
    /// The greatest place that an earlier execution recorded, of sleeps aside.
    floor: Option<Key>,
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
    /// The identity of the waker with which the workflow is polled.
    bell: Option<Identity>,
    /// The number of wakers of this identity that are kept here.
    kept: usize,
    /// How often new operations were let begin.
    round: u64,
    /// How many operations were looked at in all, for a test that counts the work.
    #[cfg(test)]
    looked_at: usize,
}

/// An operation whose place is known.
#[derive(Debug)]
struct Timed {
    position: Position,
    waker: Option<Waker>,
    /// The last poll of the workflow that polled it.
    polled: u64,
    /// Whether it ends when it is polled in its turn.
    ready: bool,
    /// Whether the workflow does not await it.
    passed: bool,
    /// The epoch in which it was woken and polled.
    awaited: Option<u64>,
}

impl Timed {
    fn at(position: Position) -> Self {
        Self {
            position,
            waker: None,
            polled: 0,
            ready: false,
            passed: false,
            awaited: None,
        }
    }

    /// Returns `true` if its place is in [`State::ready`].
    fn is_listed_ready(&self) -> bool {
        self.ready && !self.passed
    }
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
    /// Says which is the greatest place that is recorded already, of sleeps aside.
    pub(super) fn begins_at(&self, floor: Option<(Timestamp, i32)>) {
        self.lock().floor = floor;
    }

    /// Says that the workflow's task was woken.
    pub(super) fn woken(&self) {
        self.lock().epoch += 1;
    }

    /// Counts a poll of the workflow. All polls of one execution have wakers of one identity.
    pub(super) fn polls(&self, waker: &Waker) {
        let mut state = self.lock();
        state.poll += 1;
        state.bell = Some(identity(waker));
    }

    /// The number of wakers kept here that wake the workflow; `None` if it was at rest, and no
    /// operation has ended since.
    pub(super) fn kept_wakers(&self) -> Option<usize> {
        let state = self.lock();
        (!state.rested).then_some(state.kept)
    }

    /// What comes next, now that the workflow is at rest: it was polled, has not ended, and nothing in it has woken it.
    pub(super) fn at_rest(&self) -> Next {
        let mut state = self.lock();
        state.judge_asked();
        if !std::mem::replace(&mut state.rested, true) {
            // The workflow may await others now.
            state.epoch += 1;
            state.pass_none();
        }
        let wakers = state.ask().or_else(|| state.let_begin());
        wakers.map_or(Next::Waits, Next::Wakes)
    }

    /// The place of an operation that is about to be recorded, done `at` this time: not before what
    /// has ended. From now on it has it.
    pub(crate) fn settle(&self, number: i32, at: Timestamp) -> Timestamp {
        let mut state = self.lock();
        let at = at.max(state.least(number));
        state.place(number, Position { at, wake: None });
        at
    }

    /// The place of a sleep that is about to be recorded and wakes at `wake`, where the clock shows
    /// `now`. From now on it has it.
    pub(crate) fn settle_sleep(&self, number: i32, wake: Timestamp, now: Timestamp) -> Timestamp {
        let mut state = self.lock();
        let at = state.place_of_sleep(number, wake, now);
        let wake = Some(wake);
        state.place(number, Position { at, wake });
        at
    }

    /// The least time that the place of an operation can have now.
    pub(crate) fn least(&self, number: i32) -> Timestamp {
        self.lock().least(number)
    }

    /// Gives an operation the place that its record has, to end in its turn; whether that is now.
    pub(crate) fn recorded(&self, number: i32, place: Position, waker: &Waker) -> bool {
        let (is_next, _old) = {
            let mut state = self.lock();
            // At its first poll others that are awaited may not have their places yet.
            let is_next = state.is_next(number);
            state.place(number, place);
            (is_next, state.keep(number, waker, true))
        };
        is_next
    }

    /// Gives an operation the place that its record turned out to have.
    pub(crate) fn known(&self, number: i32, place: Position) {
        self.lock().place(number, place);
    }

    /// Whether an earlier execution has recorded something after this operation.
    pub(crate) fn is_past(&self, number: i32) -> bool {
        let state = self.lock();
        let place = state.place_of(number);
        place.is_some() && place < state.floor
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
            state.count(waker, true);
            let old = state.new.insert(number, waker.clone());
            state.uncounted(old)
        };
        false
    }

    /// Says that an operation is polled that has begun or is recorded.
    pub(crate) fn polled(&self, number: i32) {
        let mut state = self.lock();
        let poll = state.poll;
        state.change(number, |timed| {
            timed.polled = poll;
            timed.passed = false;
        });
    }

    /// Keeps what wakes an operation that has begun and is not done.
    pub(crate) fn pends(&self, number: i32, waker: &Waker) {
        let _old = self.lock().keep(number, waker, false);
    }

    /// Whether an operation that is done may end now; then it has ended.
    pub(crate) fn may_end(&self, number: i32, waker: &Waker) -> bool {
        let (may, _old) = {
            let mut state = self.lock();
            if !state.timed.contains_key(&number) {
                // It ends without a record of its own: the sooner the better.
                let last = state.last.map(|(at, _)| at);
                let at = last.unwrap_or(Timestamp::from_millis(0));
                state.place(number, Position { at, wake: None });
            }
            if state.is_next(number) || Bug::EndsInAnyOrder.is_planted() {
                state.last = state.last.max(state.place_of(number));
                state.rested = false;
                (true, state.remove(number))
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
            let new = state.new.remove(&number);
            (state.remove(number), state.uncounted(new))
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The identity of a waker: equal for those that wake the same.
type Identity = (usize, usize);

fn identity(waker: &Waker) -> Identity {
    let table = std::ptr::from_ref(waker.vtable());
    (waker.data().addr(), table.addr())
}

/// The least time with which this operation's place comes after that one.
fn after(key: Key, number: i32) -> Timestamp {
    // Of the same time only if it comes after it by its number as well.
    let later = u64::from(number < key.1);
    key.0.saturating_add(Duration::from_millis(later))
}

/// The greatest time with which this operation's place comes before that one.
fn before(key: Key, number: i32) -> Timestamp {
    let earlier = i64::from(number > key.1);
    Timestamp::from_millis(key.0.as_millis().saturating_sub(earlier))
}

// What a waker does when it is woken or dropped is not known here: whatever is taken out is dropped after the lock.
impl State {
    /// The least time that this operation's place can get now.
    fn least(&self, number: i32) -> Timestamp {
        let last = self.last.max(self.floor);
        last.map_or(Timestamp::from_millis(i64::MIN), |last| after(last, number))
    }

    fn place_of_sleep(&self, number: i32, wake: Timestamp, now: Timestamp) -> Timestamp {
        let place_of = |(_, number): &Key| self.place_of(*number);
        let earlier = self.sleeps.range(..(wake, number)).next_back();
        let later = self.sleeps.range((wake, number)..).next();
        let ground = self.least(number);
        let earlier = earlier.and_then(place_of).map(|key| after(key, number));
        let least = earlier.map_or(ground, |earlier| earlier.max(ground));
        let at = wake.saturating_add(ground.since(now)).max(least);
        match later.and_then(place_of).map(|key| before(key, number)) {
            Some(most) if least <= most => at.min(most),
            _ => at,
        }
    }

    /// An operation's place, if it is known.
    fn place_of(&self, number: i32) -> Option<Key> {
        let timed = self.timed.get(&number)?;
        Some((timed.position.at, number))
    }

    fn place(&mut self, number: i32, position: Position) {
        self.look();
        self.unlist(number);
        let timed = self.timed.entry(number);
        let timed = timed.or_insert_with(|| Timed::at(position));
        timed.position = position;
        let key = (position.at, number);
        let (is_passed, is_ready) = (timed.passed, timed.is_listed_ready());
        self.places_of(is_passed).insert(key);
        if is_ready {
            self.ready.insert(key);
        }
        if let Some(wake) = position.wake {
            self.sleeps.insert((wake, number));
        }
    }

    /// Removes an operation's place from all sets of places.
    fn unlist(&mut self, number: i32) {
        let Some(timed) = self.timed.get(&number) else {
            return;
        };
        let key = (timed.position.at, number);
        if timed.is_listed_ready() {
            self.ready.remove(&key);
        }
        if let Some(wake) = timed.position.wake {
            self.sleeps.remove(&(wake, number));
        }
        let is_passed = timed.passed;
        self.places_of(is_passed).remove(&key);
    }

    /// The set of places that holds those which are passed over, or the other one.
    fn places_of(&mut self, passed: bool) -> &mut BTreeSet<Key> {
        if passed {
            &mut self.passed
        } else {
            &mut self.places
        }
    }

    /// Changes what is known of an operation beside its place, if that is known.
    fn change<T>(&mut self, number: i32, change: impl FnOnce(&mut Timed) -> T) -> Option<T> {
        self.look();
        let timed = self.timed.get_mut(&number)?;
        let key = (timed.position.at, number);
        let (was_passed, was_ready) = (timed.passed, timed.is_listed_ready());
        let changed = change(timed);
        let (is_passed, is_ready) = (timed.passed, timed.is_listed_ready());
        if is_passed != was_passed {
            self.places_of(was_passed).remove(&key);
            self.places_of(is_passed).insert(key);
        }
        match (was_ready, is_ready) {
            (false, true) => self.ready.insert(key),
            (true, false) => self.ready.remove(&key),
            _ => false,
        };
        Some(changed)
    }

    /// Removes an operation; gives the waker that was kept for it.
    fn remove(&mut self, number: i32) -> Option<Waker> {
        self.unlist(number);
        let waker = self.timed.remove(&number)?.waker;
        self.uncounted(waker)
    }

    /// Keeps what wakes an operation, if its place is known; gives the waker that was kept before.
    fn keep(&mut self, number: i32, waker: &Waker, ready: bool) -> Option<Waker> {
        let poll = self.poll;
        let old = self.change(number, |timed| {
            timed.ready = ready;
            timed.polled = poll;
            timed.waker.replace(waker.clone())
        })?;
        self.count(waker, true);
        self.uncounted(old)
    }

    /// Counts a waker that is kept from now on, or not any more.
    fn count(&mut self, waker: &Waker, kept: bool) {
        if self.bell != Some(identity(waker)) {
            return;
        }
        if kept {
            self.kept += 1;
        } else {
            self.kept -= 1;
        }
    }

    /// A waker that is not kept any more.
    fn uncounted(&mut self, waker: Option<Waker>) -> Option<Waker> {
        if let Some(waker) = &waker {
            self.count(waker, false);
        }
        waker
    }

    fn is_next(&self, number: i32) -> bool {
        let next = self.places.first().map(|key| key.1);
        self.rested && next == Some(number)
    }

    /// Takes note of who was polled of those that were asked.
    fn judge_asked(&mut self) {
        let Some((poll, asked)) = self.asked.take() else {
            return;
        };
        let epoch = self.epoch;
        for (at, number) in asked {
            // It may have got another place meanwhile.
            if self.place_of(number) == Some((at, number)) {
                self.change(number, |timed| {
                    timed.passed = timed.polled <= poll;
                    timed.awaited = (!timed.passed).then_some(epoch);
                });
            }
        }
    }

    fn pass_none(&mut self) {
        while let Some((_, number)) = self.passed.pop_first() {
            self.change(number, |timed| timed.passed = false);
        }
    }

    /// Who must be woken: the first that can end, and whoever is before it and not known to be awaited.
    fn ask(&mut self) -> Option<Vec<Waker>> {
        let first_ready = *self.ready.first()?;
        let (mut keys, mut wakers) = (Vec::new(), Vec::new());
        for key in self.places.range(..=first_ready) {
            let Some(timed) = self.timed.get(&key.1) else {
                continue;
            };
            if !timed.ready && timed.awaited == Some(self.epoch) {
                // It is awaited and not done: its own waker says when it is.
                return None;
            }
            keys.push(*key);
            wakers.extend(timed.waker.clone());
        }
        for _ in &keys {
            self.look();
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
        let wakers: Vec<_> = std::mem::take(&mut self.new).into_values().collect();
        for waker in &wakers {
            self.look();
            self.count(waker, false);
        }
        Some(wakers)
    }

    #[cfg(test)]
    fn look(&mut self) {
        self.looked_at += 1;
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    fn look(&self) {}
}

#[cfg(test)]
mod tests;
