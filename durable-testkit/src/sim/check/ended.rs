//! How a run of a check ended.

use std::any::Any;

use durable_core::{ids::WorkflowId, state::WorkflowRow};

use super::Outside;
use crate::{Memory, sim::Service};

/// How a run ended, for an invariant to judge.
pub struct Ended<'a> {
    pub(super) outside: &'a Outside,
    pub(super) memory: &'a Memory,
    pub(super) end: &'a End,
}

/// How the workflow ended: its value as JSON, or what its error says.
pub(super) type End = Result<String, String>;

impl Ended<'_> {
    /// The workflow's value as JSON; `None` if it ended with an error.
    pub fn value(&self) -> Option<&str> {
        self.end.as_deref().ok()
    }

    /// What the workflow's error says; `None` if it ended with a value.
    pub fn error(&self) -> Option<&str> {
        self.end.as_ref().err().map(String::as_str)
    }

    /// What [`Check::shared`](super::Check::shared) made for this run.
    ///
    /// Panics where it made nothing of this type.
    pub fn shared<T: Any>(&self) -> &T {
        let mut shared = self.outside.shared.iter();
        shared
            .find_map(|value| value.downcast_ref())
            .unwrap_or_else(|| {
                panic!(
                    "nothing of type {} was given to `.shared(…)`",
                    std::any::type_name::<T>()
                )
            })
    }

    /// The service of this name, whatever it stands in.
    ///
    /// Panics where neither `.service(…)` nor `.shared(…)` made one of this name.
    pub fn service(&self, name: &str) -> &Service {
        let mut services = self.outside.services.iter();
        services
            .find(|service| service.name() == name)
            .unwrap_or_else(|| {
                panic!("neither `.service(…)` nor `.shared(…)` made a service {name:?}")
            })
    }

    /// The rows of all workflows.
    pub fn workflows(&self) -> Vec<WorkflowRow> {
        self.memory.rows()
    }

    /// The recorded operations of a workflow, each with its number.
    pub fn steps(&self, workflow: &str) -> Vec<String> {
        self.memory.recorded_steps(&WorkflowId::from(workflow))
    }
}
