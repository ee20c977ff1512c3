//! The conformance suite on Postgres, through whatever driver.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use async_trait::async_trait;
use durable_core::{
    db::SystemDb,
    ids::WorkflowId,
    payload::{Encoded, Outcome},
    time::Timestamp,
};
use durable_pg::{Driver, Param, PgOptions};

use super::TestDb;
use crate::{
    conformance::{Factory, TestDatabase},
    raw::{Payloads, RawWorkflow},
};

/// Makes a database for each case.
pub struct PgFactory<D: Driver> {
    name: String,
    options: fn(PgOptions<D>) -> PgOptions<D>,
    app_role: bool,
    before: String,
    driver: PhantomData<fn() -> D>,
}

impl<D: Driver> PgFactory<D> {
    /// A factory of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            options: |options| options,
            app_role: false,
            before: String::new(),
            driver: PhantomData,
        }
    }

    /// Opens each database with these options.
    pub fn with(mut self, options: fn(PgOptions<D>) -> PgOptions<D>) -> Self {
        self.options = options;
        self
    }

    /// Opens each database as a role that was granted what an application needs, and no more.
    pub fn as_app_role(mut self) -> Self {
        self.app_role = true;
        self
    }

    /// Runs this script in each database before anybody uses it.
    pub fn after(mut self, script: impl Into<String>) -> Self {
        self.before = script.into();
        self
    }
}

#[async_trait]
impl<D: Driver> Factory for PgFactory<D> {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn database(&self) -> Box<dyn TestDatabase> {
        let database = if self.app_role {
            TestDb::<D>::migrated_for_app_role().await
        } else {
            TestDb::<D>::migrated().await
        };
        if !self.before.is_empty() {
            database.bare().await.batch(&self.before).await;
        }
        Box::new(Case {
            database,
            options: self.options,
            app_role: self.app_role,
        })
    }
}

struct Case<D: Driver> {
    database: TestDb<D>,
    options: fn(PgOptions<D>) -> PgOptions<D>,
    app_role: bool,
}

#[async_trait]
impl<D: Driver> TestDatabase for Case<D> {
    async fn connect(&self) -> Arc<dyn SystemDb> {
        let options = if self.app_role {
            self.database.app_role_options().await
        } else {
            self.database.options()
        };
        let options = (self.options)(options);
        let opened = options.connect().await;
        Arc::new(opened.unwrap_or_else(|error| panic!("{error}")))
    }

    async fn advance(&self, by: Duration) {
        // The server's clock is nobody's to move. It counts in whole milliseconds, so one more passes before all see them.
        tokio::time::sleep(by + Duration::from_millis(1)).await;
    }

    async fn put_workflow(&self, raw: &RawWorkflow) {
        let mut bare = self.database.bare().await;
        let row = &raw.row;
        let at = |instant: Option<Timestamp>| Param::BigInt(instant.map(Timestamp::as_millis));
        bare.query(
            PUT_ROW,
            &[
                row.id.as_str().into(),
                row.status.as_str().into(),
                row.key.name.as_str().into(),
                row.key.class.as_deref().into(),
                row.key.config.as_deref().into(),
                row.application.as_deref().into(),
                row.version.as_deref().into(),
                row.executor.as_ref().map(AsRef::<str>::as_ref).into(),
                row.owner.as_ref().map(AsRef::<str>::as_ref).into(),
                row.creator.as_ref().map(AsRef::<str>::as_ref).into(),
                row.attempts.into(),
                row.queue.as_deref().into(),
                i64::from(row.priority).into(),
                row.deduplication_id.as_deref().into(),
                row.partition_key.as_deref().into(),
                row.timeout_ms.into(),
                at(row.deadline),
                at(row.delay_until),
                row.parent.as_ref().map(AsRef::<str>::as_ref).into(),
                row.forked_from.as_ref().map(AsRef::<str>::as_ref).into(),
                row.format.as_ref().map(AsRef::<str>::as_ref).into(),
                at(Some(row.created_at)),
                at(Some(row.updated_at)),
                at(row.started_at),
                at(row.completed_at),
            ],
        )
        .await;
        let (output, error) = match &raw.outcome {
            Some(Outcome::Success(value)) => (Some(value.text.as_str()), None),
            Some(Outcome::Failure(error)) => (None, Some(error.text.as_str())),
            None => (None, None),
        };
        let (id, input) = (row.id.as_str(), raw.input.as_deref());
        match raw.payloads {
            Payloads::Columns => {
                let parameters = [id.into(), input.into(), output.into(), error.into()];
                bare.query(PUT_COLUMNS, &parameters).await;
            }
            Payloads::Tables => {
                if raw.input.is_some() {
                    bare.query(PUT_INPUT, &[id.into(), input.into()]).await;
                }
                if raw.outcome.is_some() {
                    let parameters = [id.into(), output.into(), error.into()];
                    bare.query(PUT_OUTPUT, &parameters).await;
                }
            }
        }
    }

    async fn delete_row(&self, workflow: &WorkflowId) {
        let mut bare = self.database.bare().await;
        bare.query(DELETE_ROW, &[workflow.as_str().into()]).await;
    }

    async fn event_history(&self, workflow: &WorkflowId, key: &str) -> Vec<(i32, Encoded)> {
        let mut bare = self.database.bare().await;
        let rows = bare
            .query(HISTORY, &[workflow.as_str().into(), key.into()])
            .await;
        rows.into_iter()
            .map(|mut row| {
                let number = row.integer().expect("an integer").expect("a number");
                let value = Encoded {
                    text: row.text().expect("a text").expect("a value"),
                    format: row.text().expect("a text").map(Into::into),
                };
                (i32::try_from(number).expect("a step's number"), value)
            })
            .collect()
    }
}

const PUT_ROW: &str = "
    INSERT INTO dbos.workflow_status AS s (
        workflow_uuid, status, name, class_name, config_name, application_name, application_version, executor_id,
        owner_xid, creator_xid, recovery_attempts, queue_name, priority, deduplication_id, queue_partition_key,
        workflow_timeout_ms, workflow_deadline_epoch_ms, delay_until_epoch_ms, parent_workflow_id, forked_from,
        serialization, created_at, updated_at, started_at_epoch_ms, completed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::bigint::int, $14, $15, $16, $17, $18, $19, $20,
        $21, $22, $23, $24, $25)
    ON CONFLICT (workflow_uuid) DO UPDATE SET
        status = excluded.status, name = excluded.name, class_name = excluded.class_name,
        config_name = excluded.config_name, application_name = excluded.application_name,
        application_version = excluded.application_version, executor_id = excluded.executor_id,
        owner_xid = excluded.owner_xid, creator_xid = excluded.creator_xid,
        recovery_attempts = excluded.recovery_attempts, queue_name = excluded.queue_name,
        priority = excluded.priority, deduplication_id = excluded.deduplication_id,
        queue_partition_key = excluded.queue_partition_key, workflow_timeout_ms = excluded.workflow_timeout_ms,
        workflow_deadline_epoch_ms = excluded.workflow_deadline_epoch_ms,
        delay_until_epoch_ms = excluded.delay_until_epoch_ms, parent_workflow_id = excluded.parent_workflow_id,
        forked_from = excluded.forked_from, serialization = excluded.serialization, created_at = excluded.created_at,
        updated_at = excluded.updated_at, started_at_epoch_ms = excluded.started_at_epoch_ms,
        completed_at = excluded.completed_at, inputs = NULL, output = NULL, error = NULL";

const PUT_COLUMNS: &str = "
    UPDATE dbos.workflow_status SET inputs = $2, output = $3, error = $4 WHERE workflow_uuid = $1";

const PUT_INPUT: &str = "
    INSERT INTO dbos.workflow_input (workflow_uuid, inputs) VALUES ($1, $2)
    ON CONFLICT (workflow_uuid) DO UPDATE SET inputs = excluded.inputs";

const PUT_OUTPUT: &str = "
    INSERT INTO dbos.workflow_output (workflow_uuid, output, error) VALUES ($1, $2, $3)
    ON CONFLICT (workflow_uuid) DO UPDATE SET output = excluded.output, error = excluded.error";

const DELETE_ROW: &str = "DELETE FROM dbos.workflow_status WHERE workflow_uuid = $1";

const HISTORY: &str = "
    SELECT function_id, value, serialization
    FROM dbos.workflow_events_history
    WHERE workflow_uuid = $1
      AND key = $2
    ORDER BY function_id";
