//! Timers of a run, in the order of their deadlines.

use std::{collections::BTreeMap, task::Waker, time::Duration};

use durable_core::runtime::Timer;

/// A timer's place in the order: its deadline, and its number among all that were set.
pub(super) type TimerKey = (Duration, u64);

/// The timers that are set.
#[derive(Default)]
pub(super) struct Timers {
    next: u64,
    /// What somebody waits for.
    work: BTreeMap<TimerKey, Waker>,
    /// What comes again and again.
    housekeeping: BTreeMap<TimerKey, Waker>,
    /// How far housekeeping was put off so far, by skipping idle time.
    skipped: Duration,
}

impl Timers {
    pub(super) fn set(&mut self, at: Duration, kind: Timer, waker: Waker) -> TimerKey {
        self.next += 1;
        // Housekeeping is kept as if nothing were ever skipped, so that a skip changes no key.
        let key = match kind {
            Timer::Work => (at, self.next),
            Timer::Housekeeping => (at.saturating_sub(self.skipped), self.next),
        };
        self.of(kind).insert(key, waker);
        key
    }

    /// Has another waker for a timer that is set; whether it still is.
    pub(super) fn update(&mut self, key: TimerKey, kind: Timer, waker: &Waker) -> bool {
        let held = self.of(kind).get_mut(&key);
        let is_set = held.is_some();
        if let Some(held) = held {
            held.clone_from(waker);
        }
        is_set
    }

    pub(super) fn unset(&mut self, key: TimerKey, kind: Timer) {
        self.of(kind).remove(&key);
    }

    /// Takes out a timer that is due; whether it is one that somebody waits for.
    pub(super) fn due(&mut self, now: Duration) -> Option<(Timer, Waker)> {
        let work = self.next_work();
        let housekeeping = self.next_housekeeping();
        let kind = match (work, housekeeping) {
            (Some(work), Some(housekeeping)) if housekeeping < work => Timer::Housekeeping,
            (Some(_), _) => Timer::Work,
            (None, _) => Timer::Housekeeping,
        };
        let skipped = if kind == Timer::Work {
            Duration::ZERO
        } else {
            self.skipped
        };
        let first = self.of(kind).first_entry()?;
        (first.key().0 + skipped <= now).then(|| (kind, first.remove()))
    }

    pub(super) fn next_work(&self) -> Option<Duration> {
        self.work.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn next_housekeeping(&self) -> Option<Duration> {
        let first = self.housekeeping.first_key_value();
        first.map(|((at, _), _)| *at + self.skipped)
    }

    /// Puts all housekeeping off.
    pub(super) fn skip(&mut self, by: Duration) {
        self.skipped += by;
    }

    /// Takes back a part of the last skip.
    pub(super) fn unskip(&mut self, by: Duration) {
        self.skipped -= by;
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        let housekeeping = std::mem::take(&mut self.housekeeping).into_values();
        std::mem::take(&mut self.work)
            .into_values()
            .chain(housekeeping)
            .collect()
    }

    fn of(&mut self, kind: Timer) -> &mut BTreeMap<TimerKey, Waker> {
        match kind {
            Timer::Work => &mut self.work,
            Timer::Housekeeping => &mut self.housekeeping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn timers_fire_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.set(2 * SECOND, Timer::Work, Waker::noop().clone());
        timers.set(SECOND, Timer::Housekeeping, Waker::noop().clone());
        let mut due = |now| timers.due(now).map(|(kind, _)| kind);
        assert_eq!(due(SECOND / 2), None);
        assert_eq!(due(3 * SECOND), Some(Timer::Housekeeping));
        assert_eq!(due(3 * SECOND), Some(Timer::Work));
        assert_eq!(due(3 * SECOND), None);
    }

    #[test]
    fn a_skip_puts_off_housekeeping_that_is_set_and_not_what_is_set_later() {
        let mut timers = Timers::default();
        timers.set(SECOND, Timer::Housekeeping, Waker::noop().clone());
        timers.skip(10 * SECOND);
        assert_eq!(timers.next_housekeeping(), Some(11 * SECOND));
        timers.due(11 * SECOND);
        timers.set(12 * SECOND, Timer::Housekeeping, Waker::noop().clone());
        assert_eq!(timers.next_housekeeping(), Some(12 * SECOND));
    }
}
