//! A wait lasts as long as the code says, by the clock of the database as it was when the wait
//! began.

use std::{collections::BTreeSet, time::Duration};

use durable_core::time::millis;

use super::{Invariant, known_clock::KnownClock};
use crate::sim::{
    fact::{Fact, Moment},
    world::EPOCH,
};

/// Each wait that is recorded is as long as one of those that the scenario's code has, and begins
/// now by the clock of the database, or by what a process took it for after a look at it half a
/// minute ago: not by what an earlier execution recorded.
#[derive(Debug)]
pub struct WaitsLastAsLong {
    lengths: BTreeSet<i64>,
    clock: KnownClock,
}

impl WaitsLastAsLong {
    /// Waits may last so many milliseconds.
    pub fn new(lengths: &[u64]) -> Self {
        let lengths = lengths.iter().map(|ms| millis(Duration::from_millis(*ms)));
        Self {
            lengths: lengths.collect(),
            clock: KnownClock::default(),
        }
    }
}

impl Invariant for WaitsLastAsLong {
    fn name(&self) -> &'static str {
        "waits_last_as_long"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.clock.see(moment);
        if let Fact::Timed {
            workflow,
            number,
            span: (from, until),
        } = moment.fact
        {
            let lasts = until.saturating_sub(*from);
            if !self.lengths.contains(&lasts) {
                return Err(format!(
                    "wait {number} of {workflow} is to last {lasts} ms, which no code asks for"
                ));
            }
            let right = EPOCH.saturating_add(moment.at).as_millis();
            if *from > right && self.clock.is_known(moment.at) {
                return Err(format!(
                    "wait {number} of {workflow} begins {} ms after now",
                    from - right
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::judge, *};

    /// In the first second after the clock was set right, or much later.
    fn wait(before: usize, from: i64, until: i64) -> Result<(), String> {
        let now = EPOCH.as_millis() + i64::try_from(before).expect("a few") * 1000;
        let timed = Fact::Timed {
            workflow: "a".into(),
            number: 1,
            span: (now + from, now + until),
        };
        let facts: Vec<_> = std::iter::repeat_n(Fact::Ahead(Duration::ZERO), 1)
            .chain(std::iter::repeat_n(Fact::Calm, before - 1))
            .chain([timed])
            .collect();
        judge(WaitsLastAsLong::new(&[100, 3_000]), &facts)
    }

    #[test]
    fn a_wait_that_is_longer_than_the_code_says_is_found() {
        assert!(wait(90, 0, 3_600_100).is_err());
    }

    #[test]
    fn a_wait_that_begins_in_the_future_is_found() {
        assert!(wait(90, 3_600_000, 3_600_100).is_err());
        assert_eq!(wait(30, 3_600_000, 3_600_100), Ok(()));
    }

    #[test]
    fn a_wait_that_begins_now_is_right() {
        assert_eq!(wait(90, 0, 3_000), Ok(()));
        assert_eq!(wait(90, -20, 80), Ok(()));
    }
}
