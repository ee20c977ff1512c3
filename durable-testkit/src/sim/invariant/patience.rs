//! How long something may take before it is late: what several invariants go by.

use std::{collections::BTreeMap, time::Duration};

use crate::sim::{
    fact::{Fact, Moment},
    plan::{Network, Plan},
};

/// A request that failed is made again after so long at the latest: the longest wait of `Retrying`, spread.
const RETRY: Duration = Duration::from_secs(15);

/// How long a body may take, with what follows it.
pub(super) const BODIES: Duration = Duration::from_secs(5);

/// For how long nothing but housekeeping happens before idle time is skipped, less what timers are rounded by.
const IDLE: Duration = Duration::from_secs(28);

/// What nobody prevents happens within a bound: a few looks around and answers of the network.
///
/// It starts over whenever something was in the way: a request that failed, a process that stood still or was not there.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// The longest time between two looks around.
    look: Duration,
    /// The longest time from a request to its answer.
    answer: Duration,
    /// Since when no request has failed and no idle time was skipped.
    undisturbed: Duration,
    /// The processes with an application that is joined and goes on, and since when.
    up: BTreeMap<usize, Duration>,
    /// Processes that stand still.
    paused: BTreeMap<usize, bool>,
}

impl Patience {
    /// For runs under this plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let Network { slow, slowest, .. } = plan.network;
        let answer = if slow == 0 {
            Duration::ZERO
        } else {
            slowest * 2
        };
        Self {
            // As `poll_pause` spreads it.
            look: plan.poll.mul_f64(1.05),
            answer,
            undisturbed: Duration::ZERO,
            up: BTreeMap::new(),
            paused: BTreeMap::new(),
        }
    }

    /// Takes in what has happened. To be called after [`is_late`](Self::is_late) was asked.
    pub(super) fn see(&mut self, moment: &Moment<'_>) {
        let (at, process) = (moment.at, moment.process);
        match moment.fact {
            Fact::Failed { .. } => self.undisturbed = at + RETRY,
            Fact::Skipped(_) => self.undisturbed = self.undisturbed.max(at),
            Fact::Joined { process, .. } => {
                self.up.insert(*process, at);
            }
            Fact::Crashed { .. } => {
                self.up.remove(&process);
                self.paused.remove(&process);
            }
            // It begins nothing new.
            Fact::ShutsDown { .. } => {
                self.up.remove(&process);
            }
            Fact::Paused { .. } => {
                let was_up = self.up.remove(&process).is_some();
                self.paused.insert(process, was_up);
            }
            Fact::WokenUp if self.paused.remove(&process) == Some(true) => {
                self.up.insert(process, at);
            }
            _ => {}
        }
    }

    /// Whether what could have happened in this process since `from` is late now, if it takes `looks` looks around and `slack` besides.
    pub(super) fn is_late(
        &self,
        moment: &Moment<'_>,
        process: usize,
        from: Duration,
        (looks, slack): (u32, Duration),
    ) -> bool {
        let Some(up) = self.up.get(&process) else {
            return false;
        };
        let begun = from.max(self.undisturbed).max(*up);
        // A look that is under way, one that finds it, and what is done about it.
        let bound = self.look * looks + self.answer * 8 + slack + Duration::from_secs(1);
        if moment.at.saturating_sub(begun) > bound {
            // What comes right after idle time, was put off by it.
            return !matches!(moment.fact, Fact::Skipped(_)) || was_idle(moment, begun, slack);
        }
        false
    }

    /// The processes that go on.
    pub(super) fn up(&self) -> impl Iterator<Item = usize> {
        self.up.keys().copied()
    }
}

/// Returns `true` if all were idle since `begun`, long enough that nothing is to come.
fn was_idle(moment: &Moment<'_>, begun: Duration, slack: Duration) -> bool {
    let Fact::Skipped(by) = moment.fact else {
        return false;
    };
    moment.at.saturating_sub(*by).saturating_sub(begun) >= IDLE + slack
}
