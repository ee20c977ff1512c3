//! A failed attempt is made again as often as is allowed, and not at once.

use std::{collections::BTreeMap, time::Duration};

use durable_core::ids::Owner;

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Ends, Fact, Moment, Written};

/// The attempts of a step are made one after the other, never more than it may have, with the waits between them that its policy has; and it
/// is not recorded as failed before all were made.
///
/// It goes by the names of steps: `NAME/N` has N attempts by the policy that is the default, if all fail.
#[derive(Debug, Default)]
pub struct RetriesAreKept {
    standings: Standings,
    /// The last attempt of each step of an execution, and when it began.
    attempts: BTreeMap<(Owner, i32), (u32, Duration)>,
}

/// How many attempts a step of this name has.
fn allowed(name: &str) -> Option<u32> {
    name.rsplit_once('/')?.1.parse().ok()
}

impl Invariant for RetriesAreKept {
    fn name(&self) -> &'static str {
        "retries_are_kept"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Body {
                owner,
                number,
                name,
                attempt,
            } => {
                if let Some(most) = allowed(name) {
                    self.begins(owner, *number, *attempt, most, moment.at)?;
                }
            }
            Fact::Written {
                owner,
                what:
                    Written::Step {
                        number,
                        name,
                        result: Ends::Error,
                        ..
                    },
                ..
            } if !self.standings.is_recorded(&owner.workflow, *number) => {
                let place = (owner.clone(), *number);
                let made = self.attempts.get(&place).map_or(0, |(attempt, _)| *attempt);
                if let Some(most) = allowed(name)
                    && made != most
                {
                    return Err(format!(
                        "step {number} {name:?} of {} failed for good after {made} attempts",
                        owner.workflow
                    ));
                }
            }
            _ => {}
        }
        self.standings.see(moment.fact);
        Ok(())
    }
}

impl RetriesAreKept {
    fn begins(
        &mut self,
        owner: &Owner,
        number: i32,
        attempt: u32,
        most: u32,
        at: Duration,
    ) -> Result<(), String> {
        let place = (owner.clone(), number);
        let before = self.attempts.insert(place, (attempt, at));
        let (last, begun) = before.unwrap_or_default();
        let step = || format!("step {number} of {}", owner.workflow);
        if attempt != last + 1 {
            return Err(format!(
                "{}: attempt {attempt} follows attempt {last}",
                step()
            ));
        }
        if attempt > most {
            return Err(format!(
                "{}: attempt {attempt} is made, and it has {most}",
                step()
            ));
        }
        // A second, and twice as long each time.
        let wait = match last {
            0 => Duration::ZERO,
            last => Duration::from_secs(1 << (last - 1).min(20)),
        };
        if at.saturating_sub(begun) < wait {
            return Err(format!(
                "{}: attempt {attempt} is made {:?} after the one before",
                step(),
                at.saturating_sub(begun)
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn attempt(token: &str, attempt: u32) -> Fact {
        Fact::Body {
            owner: owner("a", token),
            number: 1,
            name: "failing/2".to_owned(),
            attempt,
        }
    }

    fn failed(token: &str) -> Fact {
        let failed = Written::Step {
            number: 1,
            name: "failing/2".to_owned(),
            child: None,
            until: None,
            result: Ends::Error,
        };
        written("a", token, failed)
    }

    fn judged(facts: &[Fact]) -> Result<(), String> {
        judge(RetriesAreKept::default(), facts)
    }

    #[test]
    fn too_many_and_too_few_attempts_are_found() {
        let note = || Fact::Note(String::new());
        let three = [
            attempt("1", 1),
            attempt("1", 2),
            note(),
            note(),
            attempt("1", 3),
        ];
        assert!(judged(&three).is_err());
        assert!(judged(&[attempt("1", 1), failed("1")]).is_err());
        assert!(judged(&[attempt("1", 2)]).is_err());
    }

    #[test]
    fn an_attempt_without_a_wait_is_found() {
        let mut retries = RetriesAreKept::default();
        for (nth, wanted) in [(1, true), (2, false)] {
            let moment = Moment {
                at: Duration::from_secs(5),
                process: 1,
                fact: &attempt("1", nth),
            };
            assert_eq!(retries.see(&moment).is_ok(), wanted);
        }
    }

    #[test]
    fn all_attempts_and_those_of_another_execution_are_right() {
        let facts = [
            started("a", "1"),
            attempt("1", 1),
            adopted("a", "2"),
            attempt("2", 1),
            attempt("2", 2),
            failed("2"),
            failed("2"),
        ];
        assert_eq!(judged(&facts), Ok(()));
    }
}
