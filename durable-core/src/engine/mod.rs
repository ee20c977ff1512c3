//! The engine: what an application runs on.
//!
//! [`launch`] puts it together, [`app`] is its public face. [`start`] inserts workflows, [`dispatch`] claims them from queues,
//! [`recovery`] takes over what dead executors left; all three hand them to [`run`], which sees one [`execution`] to its end:
//! [`driver`] polls its code, [`turns`] tells it whether that only gave way, [`order`] says which operation ends next.
//! [`place`] refuses calls of the application inside a workflow, where they would not be recorded.
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
mod observer;
mod order;
mod place;
mod recovery;
mod registry;
pub mod replay;
mod run;
mod running;
pub(crate) mod slot;
pub(crate) mod start;
mod turns;
mod version;
mod waiters;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

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
    codec::Codecs,
    db::{SystemDb, outage::Outage},
    ids::OwnerToken,
    runtime::{IdKind, Runtime, TaskHandle, Timer},
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
    /// What a test has asked before bodies run.
    body_hook: Option<hook::BodyHook>,
    /// Nothing new is started or claimed.
    stopping: CancellationToken,
    /// The shutdown is over: nothing that is waited for will be seen any more.
    stopped: CancellationToken,
    tasks: Mutex<Vec<TaskHandle>>,
}

/// How often the engine looks for what no hint told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Between two looks at the queues, at awaited results, messages, events and at ownership.
    pub(crate) poll: Duration,
    /// Between two looks for workflows that dead executors left.
    pub(crate) recovery: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            recovery: Duration::from_secs(5),
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
