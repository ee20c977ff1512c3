//! What must hold in every run, whatever happens: one invariant in each file, fed with all that happens.

use std::fmt;

use super::{Plan, fact::Moment};

mod acknowledged;
mod attempts;
mod cancel;
mod children;
mod complete;
mod deadlines;
mod fifo;
#[cfg(test)]
mod history;
mod known_clock;
mod lives;
mod losers;
mod messages;
mod outcome;
mod owner;
mod patience;
mod places;
mod publishes;
mod races;
mod recorded;
mod retries;
mod sends;
mod standing;
mod takeovers;
mod timeouts;
mod timers;
mod transactions;
mod versions;
mod waits;
mod wakeups;

pub use acknowledged::AcknowledgedIsKept;
pub use attempts::AttemptsAreCounted;
pub use cancel::CancelsAreClean;
pub use children::ChildrenAreJoined;
pub use complete::EndedIsRecorded;
pub use deadlines::DeadlinesAreKept;
pub use fifo::FifoWithinPriority;
pub use lives::OnlyPresentLivesTake;
pub use losers::LosersStop;
pub use messages::MessagesAreTakenOnce;
pub use outcome::OneOutcome;
pub use owner::OnlyOwnersWrite;
pub use places::PlacesAreKept;
pub use publishes::LastPublishStands;
pub use races::LosersStayOut;
pub use recorded::RecordedStepsDoNotRun;
pub use retries::RetriesAreKept;
pub use sends::SendsArriveOnce;
pub use takeovers::OnlyTheDeadAreRobbed;
pub use timeouts::WaitsEndInTime;
pub use timers::TimersFireInTime;
pub use transactions::TransactionsHappenOnce;
pub use versions::VersionsAreKept;
pub use waits::WaitsLastAsLong;
pub use wakeups::WakeUpsAreNotLost;

/// Something that must hold in every run.
pub trait Invariant: Send {
    /// Its name, for reports.
    fn name(&self) -> &'static str;

    /// Looks at what has just happened. Errors: what is wrong, in words.
    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String>;
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// All invariants that hold for every scenario, whatever its code is.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(OnlyOwnersWrite::default()),
        Box::new(AcknowledgedIsKept::default()),
        Box::new(RecordedStepsDoNotRun::default()),
        Box::new(OneOutcome::default()),
        Box::new(OnlyPresentLivesTake::default()),
        Box::new(MessagesAreTakenOnce::default()),
        Box::new(ChildrenAreJoined::default()),
        Box::new(TimersFireInTime::default()),
        Box::new(TransactionsHappenOnce::default()),
        Box::new(CancelsAreClean::default()),
        Box::new(SendsArriveOnce::default()),
        Box::new(LastPublishStands::default()),
    ]
}

/// And those that ask something of a scenario's code: that it polls all that it waits for, leaks no operation, has bodies that last no longer
/// than a few seconds, starts no child without a deadline on purpose, and names steps as [`RetriesAreKept`] has it.
pub fn of_engine(plan: &Plan) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(DeadlinesAreKept::new(plan)),
        Box::new(WaitsEndInTime::new(plan)),
        Box::new(WakeUpsAreNotLost::new(plan)),
        Box::new(LosersStop::new(plan)),
        Box::new(LosersStayOut::default()),
        Box::new(OnlyTheDeadAreRobbed::default()),
        Box::new(EndedIsRecorded::default()),
        Box::new(VersionsAreKept::default()),
        Box::new(RetriesAreKept::default()),
    ]
}
