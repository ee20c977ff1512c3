//! A durable sleep ends when its time has come, and not before.

use std::{collections::BTreeMap, time::Duration};

use durable_core::{
    ids::{Owner, WorkflowId},
    time::millis,
};

use super::{Invariant, known_clock::KnownClock};
use crate::sim::{
    fact::{Fact, Moment, Written},
    world::EPOCH,
};

/// A durable sleep does not end before the time that is recorded for it, nor long after it while its execution runs.
///
/// That it ends at all is asked by the end of its workflow.
#[derive(Debug, Default)]
pub struct TimersFireInTime {
    /// The wake times that are recorded, and when they were.
    until: BTreeMap<(WorkflowId, i32), (i64, Duration)>,
    clock: KnownClock,
    /// Since when an execution runs, or goes on after its process stood still.
    since: BTreeMap<Owner, (usize, Duration)>,
}

/// A sleep that ends later than this after its time, with its execution running, has begun anew. The database's clock, as a process knows
/// it, is behind by as much as answers take.
const LATE: Duration = Duration::from_secs(30);

impl TimersFireInTime {
    /// A wait that ends before its time.
    fn early(&self, at: Duration, place: &(WorkflowId, i32)) -> Result<(), String> {
        let Some((until, recorded)) = self.until.get(place) else {
            return Ok(());
        };
        let early = until - self.clock.latest(at, *recorded).as_millis();
        match u64::try_from(early).map(Duration::from_millis) {
            Ok(early) if !early.is_zero() => {
                let (workflow, number) = place;
                Err(format!("wait {number} of {workflow} ended {early:?} early"))
            }
            _ => Ok(()),
        }
    }
}

impl Invariant for TimersFireInTime {
    fn name(&self) -> &'static str {
        "timers_fire_in_time"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.clock.see(moment);
        match moment.fact {
            Fact::Written {
                owner,
                what:
                    Written::Step {
                        number,
                        until: Some(until),
                        ..
                    },
                ..
            } => {
                let place = (owner.workflow.clone(), *number);
                let (recorded, _) = *self.until.entry(place).or_insert((*until, moment.at));
                if recorded != *until {
                    return Err(format!(
                        "the wake time of sleep {number} of {} has changed",
                        owner.workflow
                    ));
                }
            }
            Fact::Written {
                owner,
                what:
                    Written::Receive {
                        number,
                        message: None,
                        ..
                    },
                ..
            } => {
                self.early(moment.at, &(owner.workflow.clone(), number + 1))?;
            }
            Fact::Execution { owner, .. } => {
                self.since
                    .insert(owner.clone(), (moment.process, moment.at));
            }
            Fact::WokenUp => {
                let of = self
                    .since
                    .values_mut()
                    .filter(|(of, _)| *of == moment.process);
                of.for_each(|(_, since)| *since = moment.at);
            }
            Fact::Woke { owner, number } => {
                let place = (owner.workflow.clone(), *number);
                let now = EPOCH.saturating_add(moment.at).as_millis();
                let Some((until, recorded)) = self.until.get(&place) else {
                    return Err(format!(
                        "sleep {number} of {} ended, and is not recorded",
                        owner.workflow
                    ));
                };
                self.early(moment.at, &place)?;
                let (_, since) = self.since.get(owner).copied().unwrap_or_default();
                let begun = EPOCH.saturating_add(since.max(*recorded));
                let due = begun.as_millis().max(*until);
                if now - due > millis(LATE) {
                    return Err(format!(
                        "sleep {number} of {} ended {} s late, its execution running",
                        owner.workflow,
                        (now - due) / 1000
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};
    use crate::sim::fact::Ends;

    /// In the second second.
    fn slept(lasting_ms: i64) -> [Fact; 3] {
        let sleep = Written::Step {
            number: 1,
            name: "DBOS.sleep".to_owned(),
            child: None,
            until: Some(EPOCH.as_millis() + 1000 + lasting_ms),
            result: Ends::Value,
        };
        let woke = Fact::Woke {
            owner: owner("a", "1"),
            number: 1,
        };
        [started("a", "1"), written("a", "1", sleep), woke]
    }

    #[test]
    fn a_sleep_that_ends_early_is_found() {
        assert!(judge(TimersFireInTime::default(), &slept(1001)).is_err());
    }

    #[test]
    fn a_sleep_that_begins_anew_is_found() {
        let [start, sleep, woke] = slept(0);
        let wait = std::iter::repeat_n(Fact::Note(String::new()), 40);
        let facts: Vec<_> = [start, sleep]
            .into_iter()
            .chain(wait)
            .chain([woke])
            .collect();
        assert!(judge(TimersFireInTime::default(), &facts).is_err());
    }

    #[test]
    fn one_that_ends_in_time_is_right() {
        assert_eq!(judge(TimersFireInTime::default(), &slept(1000)), Ok(()));
    }
}
