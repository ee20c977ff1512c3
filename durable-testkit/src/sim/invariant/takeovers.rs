//! Nobody's work is taken while it runs.

use std::collections::{BTreeMap, BTreeSet};

use durable_core::ids::{Owner, OwnerToken, WorkflowId};

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Asker, Fact, Moment};

/// A workflow is taken from another process only if that has died, stood still or given its id back
/// since it got the workflow, and it gives that back only when it runs nothing; and a process takes
/// again what is its own only if it does not run it, and will not.
#[derive(Debug, Default)]
pub struct OnlyTheDeadAreRobbed {
    standings: Standings,
    /// Which life of which process each token was given to, and when.
    given: BTreeMap<OwnerToken, (Asker, u64)>,
    /// Lives of processes, and whether they go on.
    lives: BTreeMap<usize, (u32, bool)>,
    /// Until when each process stood still.
    still: BTreeMap<usize, u64>,
    running: BTreeSet<(Asker, Owner)>,
    /// Tokens that a process took from itself.
    given_up: BTreeSet<(Asker, OwnerToken)>,
    /// How many facts there were.
    clock: u64,
}

impl OnlyTheDeadAreRobbed {
    /// The present life of a process.
    fn present(&self, process: usize) -> Asker {
        let life = self.lives.get(&process).map_or(1, |(life, _)| *life);
        Asker { process, life }
    }

    fn lives(&self, asker: Asker) -> bool {
        let known = self.lives.get(&asker.process);
        known.is_none_or(|(life, alive)| *life == asker.life && *alive)
    }

    fn give(&mut self, owner: &Owner, asker: Asker) {
        let given = (asker, self.clock);
        self.given.insert(owner.token.clone(), given);
    }

    /// Judges that a process takes a workflow from whoever has it.
    fn rob(&mut self, workflow: &WorkflowId, taker: Asker) -> Result<(), String> {
        let standing = self.standings.of(workflow);
        let Some(token) = standing.and_then(|standing| standing.token.clone()) else {
            return Ok(());
        };
        let Some((holder, since)) = self.given.get(&token).copied() else {
            return Ok(());
        };
        let owner = Owner {
            workflow: workflow.clone(),
            token: token.clone(),
        };
        let still = self.still.get(&holder.process);
        let stood_still = still.is_some_and(|until| *until > since);
        let process = taker.process;
        if holder == taker {
            // A request of an earlier life is served late.
            if self.lives(taker) && self.running.contains(&(holder, owner)) {
                return Err(format!(
                    "E{process} takes {workflow} from itself, where it runs under token {token}"
                ));
            }
            self.given_up.insert((holder, token));
            return Ok(());
        }
        if self.lives(holder) && !stood_still {
            return Err(format!(
                "E{process} takes {workflow}, which E{} was given under token {token}: that has neither died nor stood still",
                holder.process
            ));
        }
        Ok(())
    }
}

impl Invariant for OnlyTheDeadAreRobbed {
    fn name(&self) -> &'static str {
        "only_the_dead_are_robbed"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.clock += 1;
        let process = moment.process;
        match moment.fact {
            Fact::Inserted {
                owner,
                queue: None,
                by,
                ..
            } => self.give(owner, *by),
            Fact::Taken {
                owner, queue, by, ..
            } => {
                if queue.is_none() {
                    self.rob(&owner.workflow, *by)?;
                }
                self.give(owner, *by);
            }
            Fact::Requeued { workflow, by } => self.rob(workflow, *by)?,
            Fact::Execution { owner, .. } => {
                let place = self.present(process);
                if self.given_up.contains(&(place, owner.token.clone())) {
                    return Err(format!(
                        "E{process} has taken {} from itself, and runs it under the old token {}",
                        owner.workflow, owner.token
                    ));
                }
                self.running.insert((place, owner.clone()));
            }
            Fact::Finished(owner) | Fact::Stopped { owner, .. } => {
                let place = self.present(process);
                self.running.remove(&(place, owner.clone()));
            }
            Fact::Crashed { .. } => {
                self.lives.entry(process).or_insert((1, true)).1 = false;
            }
            Fact::Left { by, .. } => {
                if let Some((_, owner)) = self.running.iter().find(|(of, _)| of == by) {
                    return Err(format!(
                        "E{} gives its id back while it runs {} under token {}",
                        by.process, owner.workflow, owner.token
                    ));
                }
                if self.present(by.process) == *by {
                    self.lives.insert(by.process, (by.life, false));
                }
            }
            Fact::Restarted => {
                let life = self.lives.entry(process).or_insert((1, false));
                *life = (life.0 + 1, true);
            }
            Fact::Paused { .. } => {
                self.still.insert(process, u64::MAX);
            }
            Fact::WokenUp => {
                self.still.insert(process, self.clock);
            }
            _ => {}
        }
        self.standings.see(moment.fact);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::history::*, *};

    fn execution(token: &str) -> Fact {
        Fact::Execution {
            owner: owner("a", token),
            attempt: 1,
        }
    }

    fn crash() -> Fact {
        Fact::Crashed {
            down: Duration::ZERO,
        }
    }

    fn judged(facts: &[Fact]) -> Result<(), String> {
        judge(OnlyTheDeadAreRobbed::default(), facts)
    }

    #[test]
    fn an_id_that_is_given_back_while_its_executor_runs_is_found() {
        let asker = Asker {
            process: 1,
            life: 1,
        };
        let left = || Fact::Left {
            executor: "one".into(),
            by: asker,
        };
        let runs = [started("a", "1"), execution("1"), left()];
        assert!(judge(OnlyTheDeadAreRobbed::default(), &runs).is_err());
        let done = Fact::Finished(owner("a", "1"));
        let rests = [started("a", "1"), execution("1"), done, left()];
        assert_eq!(judge(OnlyTheDeadAreRobbed::default(), &rests), Ok(()));
    }

    #[test]
    fn what_the_living_run_and_is_taken_is_found() {
        // Process 1 starts and claims; an adoption and a requeue are process 2's.
        assert!(judged(&[started("a", "1"), by(2, adopted("a", "2"))]).is_err());
        let put_back = [enqueued("a", 0), claimed("a", "1"), requeued("a", 2)];
        assert!(judged(&put_back).is_err());
        let later = [started("a", "1"), crash(), by(2, adopted("a", "2"))];
        assert!(judged(&[&later[..], &[by(3, adopted("a", "3"))]].concat()).is_err());
    }

    #[test]
    fn what_a_process_runs_and_takes_from_itself_is_found() {
        let runs = [started("a", "1"), execution("1"), by(1, adopted("a", "2"))];
        assert!(judged(&runs).is_err());
        let will = [started("a", "1"), by(1, adopted("a", "2")), execution("1")];
        assert!(judged(&will).is_err());
    }

    #[test]
    fn what_the_dead_the_still_and_lost_answers_left_may_be_taken() {
        let still = Fact::Paused {
            lasting: Duration::ZERO,
        };
        for in_the_way in [crash(), still] {
            let facts = [started("a", "1"), in_the_way, by(2, adopted("a", "2"))];
            assert_eq!(judged(&facts), Ok(()));
        }
        let own = [started("a", "1"), by(1, adopted("a", "2")), execution("2")];
        assert_eq!(judged(&own), Ok(()));
    }
}
