//! What a test may do to the bodies of steps. Not for applications: it may change in any release.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    sync::Arc,
};

use super::execution::{Call, Execution};
use crate::{Error, WorkflowError, ids::WorkflowId};

/// An attempt of a step that is about to run its body.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The workflow.
    pub workflow: &'a WorkflowId,
    /// The step's number.
    pub number: i32,
    /// Its name.
    pub name: &'a str,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The type that the step fails with.
    pub error: TypeId,
    /// That type's name.
    pub error_name: &'static str,
}

/// An error to give instead of running the body: a value of the type that the step fails with.
pub type Injected = Box<dyn Any + Send>;

/// Asked before each attempt, in the task of the workflow.
#[derive(Clone)]
pub(crate) struct BodyHook(Arc<Hook>);

type Hook = dyn Fn(&Attempt<'_>) -> Option<Injected> + Send + Sync;

impl BodyHook {
    pub(super) fn new(
        hook: impl Fn(&Attempt<'_>) -> Option<Injected> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }
}

impl fmt::Debug for BodyHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyHook")
    }
}

impl Execution {
    /// The error that a test wants instead of this attempt's body.
    pub(crate) fn injected<E: WorkflowError>(&self, call: Call<'_>, attempt: u32) -> Option<E> {
        let hook = self.engine.body_hook.as_ref()?;
        let injected = (hook.0)(&Attempt {
            workflow: self.id(),
            number: call.number,
            name: call.name,
            attempt,
            error: TypeId::of::<E>(),
            error_name: type_name::<E>(),
        })?;
        let error = injected.downcast::<E>().map(|error| *error);
        Some(error.unwrap_or_else(|_| {
            let name = type_name::<E>();
            let text = format!(
                "step {:?} fails with `{name}`, and with no other type",
                call.name
            );
            E::from_durable(Error::Invalid(text))
        }))
    }
}
