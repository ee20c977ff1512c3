//! Checkpoints.

use async_trait::async_trait;
use durable_core::{
    db::{History, Recorded, Result, StepRecord, Steps},
    ids::{Owner, WorkflowId},
};

use super::Memory;

#[async_trait]
impl Steps for Memory {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        self.takes("record a step", &[&owner, &step])?;
        Ok(self.commit(|store, _| match store.check_owner(owner) {
            Ok(()) => store.record(&owner.workflow, step),
            Err(lost) => Recorded::Lost(lost),
        }))
    }

    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>> {
        self.takes("read the steps of workflows", &[&ids])?;
        Ok(self.commit(|store, _| {
            ids.iter()
                .filter_map(|id| {
                    Some(History {
                        workflow: id.clone(),
                        steps: store.steps.get(id)?.values().cloned().collect(),
                    })
                })
                .collect()
        }))
    }
}
