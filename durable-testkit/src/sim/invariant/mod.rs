//! What must hold in every run, whatever happens: one invariant in each file, fed with all that happens.

use std::fmt;

use super::fact::Moment;

mod acknowledged;
mod cancel;
mod children;
mod fifo;
#[cfg(test)]
mod history;
mod lives;
mod messages;
mod outcome;
mod owner;
mod places;
mod recorded;
mod standing;
mod timers;
mod transactions;
mod wakeups;

pub use acknowledged::AcknowledgedIsKept;
pub use cancel::CancelsAreClean;
pub use children::ChildrenAreJoined;
pub use fifo::FifoWithinPriority;
pub use lives::OnlyPresentLivesTake;
pub use messages::MessagesAreTakenOnce;
pub use outcome::OneOutcome;
pub use owner::OnlyOwnersWrite;
pub use places::PlacesAreKept;
pub use recorded::RecordedStepsDoNotRun;
pub use timers::TimersFireInTime;
pub use transactions::TransactionsHappenOnce;
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

/// All invariants that hold for every scenario.
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
        Box::new(WakeUpsAreNotLost::default()),
    ]
}
