//! The engine: what an application runs on.
//!
//! [`launch`] puts it together, [`app`] is its public face. [`start`] inserts workflows, [`dispatch`] claims them from queues,
//! [`recovery`] takes over what dead executors left; all three hand them to [`run`], which sees one [`execution`] to its end:
//! [`driver`] polls its code, [`turns`] tells it whether that only gave way, [`order`] says which operation ends next.
//! [`notices`] tells what should be heard of workflows that ended; [`place`] refuses calls of the application inside a workflow, where
//! they would not be recorded; [`unserved`] warns of starts onto queues that nobody serves;
//! [`witnesses`] removes those that are needed no longer.
//! [`waiters`] wakes whoever waits for something in the database; [`housekeeping`] does what must be done again and again;
//! [`health`] tells a probe how it is; [`replay`] holds code against a history, with nothing launched.

mod app;
mod builder;
mod clock;
mod dispatch;
mod driver;
pub(crate) mod execution;
mod handle;
mod health;
pub mod hook;
mod housekeeping;
mod interrupt;
mod launch;
mod notices;
pub(crate) mod observer;
pub(crate) mod order;
mod place;
mod recovery;
mod registry;
pub mod replay;
mod run;
mod running;
pub(crate) mod slot;
pub(crate) mod start;
mod turns;
mod unserved;
mod version;
mod waiters;
pub(crate) mod witnesses;

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{Either, select};
use tokio_util::sync::CancellationToken;

pub use app::App;
pub use builder::{AppBuilder, Queue};
pub use handle::Handle;
pub use health::{DatabaseHealth, Health, Parked, ParkedWorkflow};
pub use launch::LaunchReport;
pub use observer::{Awaited, Event};
pub use registry::{MethodSet, Registrar};
pub use start::Start;

pub(crate) use handle::decode_end;
pub(crate) use interrupt::Interruption;
pub(crate) use registry::unencodable;

use crate::{
    Error,
    codec::Codecs,
    db::{SystemDb, outage::Outage},
    ids::OwnerToken,
    runtime::{IdKind, Runtime, TaskHandle, Timer},
    source::writer::Holders,
    state::claim::Claimant,
};

/// Everything that the parts of a launched application share.
pub(crate) struct Engine {
    pub(crate) db: Arc<dyn SystemDb>,
    /// What sees the calls to it.
    pub(crate) outage: Arc<Outage>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) claimant: Claimant,
    pub(crate) codecs: Codecs,
    pub(crate) registry: registry::Registry,
    pub(crate) states: registry::States,
    pub(crate) clock: clock::DbClock,
    pub(crate) waiters: waiters::Waiters,
    pub(crate) settings: Settings,
    running: running::Running,
    queues: Vec<Arc<dispatch::Worker>>,
    observer: Option<observer::Observer>,
    told: notices::Told,
    last_looks: unserved::LastLooks,
    /// What a test has asked before bodies run.
    body_hook: Option<hook::BodyHook>,
    /// The closures that have a database's only writer now.
    pub(crate) holders: Holders,
    /// The databases with witnesses.
    pub(crate) keepers: witnesses::Keepers,
    /// Nothing new is started or claimed.
    stopping: CancellationToken,
    /// The shutdown is over: nothing that is waited for will be seen any more.
    stopped: CancellationToken,
    /// The runtime has ended, without a shutdown.
    ended: CancellationToken,
    tasks: Mutex<Vec<TaskHandle>>,
}

/// How often the engine looks for what no hint told it, and what it tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Between two looks at the queues, at awaited results, messages, events and at ownership.
    pub(crate) poll: Duration,
    /// Between two looks for workflows that dead executors left.
    pub(crate) recovery: Duration,
    /// `true`: failures of workflows, and of steps in each of their attempts, are in the log.
    pub(crate) tell_failures: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            recovery: Duration::from_secs(5),
            tell_failures: true,
        }
    }
}

impl Engine {
    pub(crate) fn new_token(&self) -> OwnerToken {
        OwnerToken::from(self.runtime.new_id(IdKind::Owner))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Why nothing that is waited for will be seen any more, once `stopped` or `stopping` is
    /// cancelled.
    pub(crate) fn why_stopped(&self) -> Error {
        if self.ended.is_cancelled() {
            Error::RuntimeEnded
        } else {
            Error::ShuttingDown
        }
    }

    /// Asks for something on behalf of the application. Errors: also that the runtime has ended, at
    /// once, as nobody would answer.
    pub(crate) async fn served<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let ended = std::pin::pin!(self.ended.cancelled());
        // That first: a call that is asked may be answered still, as by a pool that reads.
        match select(ended, std::pin::pin!(asked)).await {
            Either::Left(((), _)) => Err(Error::RuntimeEnded),
            Either::Right((answer, _)) => answer,
        }
    }

    pub(crate) fn observe(&self, event: &Event<'_>) {
        observer::observe(self.observer.as_ref(), event);
    }

    /// Waits about as long as the poll interval, so that many processes do not ask at once.
    async fn poll_pause(&self, interval: Duration) {
        // From 0.95 to 1.05 times the interval.
        let spread = u32::try_from(self.runtime.random() % 101).unwrap_or(50);
        let wait = interval.saturating_mul(950 + spread) / 1000;
        self.runtime.sleep(wait, Timer::Housekeeping).await;
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("application", &self.claimant.application)
            .field("executor", &self.claimant.executor)
            .field("version", &self.claimant.version)
            .finish_non_exhaustive()
    }
}
