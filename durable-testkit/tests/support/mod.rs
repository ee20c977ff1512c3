//! The in-memory backend as the conformance suite takes it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::{db::SystemDb, ids::WorkflowId, payload::Encoded};
use durable_testkit::{
    ManualClock, Memory,
    conformance::{Factory, TestDatabase},
    raw::RawWorkflow,
};

/// What stands between the suite and each process's handle; as it is, or broken on purpose.
pub(crate) type Wrap = Arc<dyn Fn(Memory) -> Arc<dyn SystemDb> + Send + Sync>;

pub(crate) struct MemoryFactory {
    pub(crate) wrap: Wrap,
    pub(crate) patience: Duration,
}

#[async_trait]
impl Factory for MemoryFactory {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn database(&self) -> Box<dyn TestDatabase> {
        let clock = ManualClock::default();
        Box::new(MemoryDatabase {
            memory: Memory::with_clock(clock.clone()),
            clock,
            wrap: Arc::clone(&self.wrap),
            patience: self.patience,
        })
    }
}

struct MemoryDatabase {
    memory: Memory,
    clock: ManualClock,
    wrap: Wrap,
    patience: Duration,
}

#[async_trait]
impl TestDatabase for MemoryDatabase {
    async fn connect(&self) -> Arc<dyn SystemDb> {
        (self.wrap)(self.memory.process())
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn put_workflow(&self, raw: &RawWorkflow) {
        self.memory.put_workflow(raw);
    }

    async fn delete_row(&self, workflow: &WorkflowId) {
        self.memory.delete_workflow_row_only(workflow);
    }

    async fn event_history(&self, workflow: &WorkflowId, key: &str) -> Vec<(i32, Encoded)> {
        self.memory.event_history(workflow, key)
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}
