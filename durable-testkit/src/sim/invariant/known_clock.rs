//! The database's clock in a run in which it may be ahead, as processes may know it.

use std::time::Duration;

use durable_core::time::Timestamp;

use crate::sim::{
    fact::{Fact, Moment},
    world::EPOCH,
};

/// A process looks at the database's clock this often; and answers take their time.
const LOOK: Duration = Duration::from_secs(60);

/// The database's clock, and how long a process may take it for one that is ahead.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownClock {
    /// By how much it is ahead now.
    ahead: Duration,
    /// By how much it was ahead at most.
    most: Duration,
    /// Until when a process may think that it is ahead.
    doubtful: Duration,
}

impl KnownClock {
    /// Takes in what has happened.
    pub(super) fn see(&mut self, moment: &Moment<'_>) {
        if let Fact::Ahead(by) = moment.fact {
            self.ahead = *by;
            self.most = self.most.max(*by);
            self.doubtful = if by.is_zero() {
                moment.at.saturating_add(LOOK)
            } else {
                Duration::MAX
            };
        }
    }

    /// The database's time at this time of the world, which is the present.
    pub(super) fn database(&self, at: Duration) -> Timestamp {
        EPOCH.saturating_add(at.saturating_add(self.ahead))
    }

    /// Returns `true` if no process can take the clock for one that is ahead.
    pub(super) fn is_known(&self, at: Duration) -> bool {
        at > self.doubtful
    }

    /// The latest time that a process may have taken for now when it ended a wait that was
    /// recorded then.
    pub(super) fn latest(&self, at: Duration, recorded: Duration) -> Timestamp {
        let now = EPOCH.saturating_add(at);
        if self.is_known(recorded) {
            return now;
        }
        // What was over by a clock that was ahead is over for every later execution.
        let shown = at.min(self.doubtful).saturating_add(self.most);
        now.max(EPOCH.saturating_add(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn seen(at: u64, by: u64, clock: &mut KnownClock) {
        let fact = Fact::Ahead(second(by));
        clock.see(&Moment {
            at: second(at),
            process: 0,
            fact: &fact,
        });
    }

    #[test]
    fn a_clock_that_was_never_ahead_is_known_from_the_first_moment_on() {
        let clock = KnownClock::default();
        assert!(clock.is_known(second(1)));
        assert_eq!(
            clock.latest(second(5), second(1)),
            EPOCH.saturating_add(second(5))
        );
    }

    #[test]
    fn a_clock_that_was_ahead_is_doubted_until_everybody_has_looked_again() {
        let mut clock = KnownClock::default();
        seen(10, 3_600, &mut clock);
        assert_eq!(
            clock.database(second(20)),
            EPOCH.saturating_add(second(3_620))
        );
        assert!(!clock.is_known(second(1_000)));
        seen(20, 0, &mut clock);
        assert_eq!(clock.database(second(20)), EPOCH.saturating_add(second(20)));
        assert!(!clock.is_known(second(80)) && clock.is_known(second(81)));
        let latest = clock.latest(second(100), second(30));
        assert_eq!(latest, EPOCH.saturating_add(second(3_680)));
        assert_eq!(
            clock.latest(second(100), second(90)),
            EPOCH.saturating_add(second(100))
        );
    }
}
