//! Checkpoints.

use std::collections::HashMap;

use async_trait::async_trait;
use durable_core::{
    db::{History, Recorded, Result, StepRecord, Steps},
    ids::{Owner, WorkflowId},
};

use crate::{
    Driver, PgSystemDb, Row,
    error::Failure,
    rows::{self, step_columns},
    value::params,
};

#[async_trait]
impl<D: Driver> Steps for PgSystemDb<D> {
    async fn record_step(&self, owner: &Owner, step: &StepRecord) -> Result<Recorded> {
        self.lanes().record(owner, step).await
    }

    async fn histories(&self, ids: &[WorkflowId]) -> Result<Vec<History>> {
        const DOING: &str = "read the steps of workflows";
        let asked = rows::list(ids);
        let found = self.core().ask(DOING, HISTORIES, params![&asked]).await?;
        histories(found, ids).map_err(|failure| failure.into_error(DOING))
    }
}

/// By the primary key, once for each workflow.
pub(crate) const HISTORIES: &str = concat!(
    "SELECT o.workflow_uuid, ",
    step_columns!(),
    " FROM dbos.operation_outputs AS o
    WHERE o.workflow_uuid = ANY ($1::text[])
    ORDER BY o.workflow_uuid, o.function_id"
);

fn histories(found: Vec<Row>, ids: &[WorkflowId]) -> Result<Vec<History>, Failure> {
    let mut steps: HashMap<WorkflowId, Vec<StepRecord>> = HashMap::new();
    for mut row in found {
        let id = row.some_text()?.into();
        steps.entry(id).or_default().push(rows::step(&mut row)?);
    }
    // Taken out, so that an id that is asked for twice is answered once.
    let history = |id: &WorkflowId| {
        steps.remove(id).map(|steps| History {
            workflow: id.clone(),
            steps,
        })
    };
    Ok(ids.iter().filter_map(history).collect())
}
