//! The engine of `durable`: workflow life cycle, contexts, queues and timers, over any database.
//!
//! Applications depend on the facade crate `durable`; this crate is for those who write a backend or a tool. It knows no
//! database driver and no SQL. Where things are:
//!
//! - [`state`]: the life cycle as pure functions
//! - [`db`]: what a backend must provide
//! - [`runtime`]: what else the engine takes from the outside world

mod any_error;
mod behind;
mod codec;
mod ctx;
pub mod db;
mod engine;
mod error;
pub mod ids;
pub mod names;
mod panics;
pub mod payload;
pub mod runtime;
#[doc(hidden)]
pub mod sabotage;
pub mod source;
pub mod state;
pub mod time;
mod workflow;

pub use any_error::{AnyError, WorkflowError};
pub use codec::{Codec, PORTABLE_JSON, RecordedError};
pub use ctx::{
    ChildCall, ChildHandle, ChildStart, Ctx, Operation, SendAsyncFn, Step, StepBody, StepCtx,
    Transaction,
};
#[doc(hidden)]
pub use engine::hook;
#[doc(hidden)]
pub use engine::replay;
pub use engine::{
    App, AppBuilder, Awaited, DatabaseHealth, Event, Handle, Health, LaunchReport, MethodSet,
    Parked, ParkedWorkflow, Queue, Registrar, Start,
};
pub use error::Error;
pub use source::{DataSource, Isolation};
pub use state::retry::RetryPolicy;
pub use workflow::{Invocation, MethodFn, Payload, WorkflowDef, WorkflowFn};

/// What the macros of `durable-macros` and the testkit name. Not for direct use: it may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use std::{sync::Arc, time::Duration};

    pub use crate::{
        Ctx, Invocation, MethodSet, Payload, Registrar, RetryPolicy, Step, StepCtx, WorkflowDef,
        WorkflowError,
        ctx::SLEEP,
        panics::{caught, discard, panic_ended, panic_message},
        state::DEFAULT_MAX_RECOVERY_ATTEMPTS,
        workflow::Callable,
    };

    /// The two sides of a `Result`, also where it is written as an alias.
    pub trait StepResultType {
        /// What it holds when it went well.
        type Ok;
        /// What it holds otherwise.
        type Err;
    }

    // The bounds stand here, and not only where the types are used: so the compiler names the type and what it needs, and not a
    // trait of serde's.
    impl<T: Payload, E: WorkflowError> StepResultType for Result<T, E> {
        type Ok = T;
        type Err = E;
    }
}
