//! A process on Postgres, whose statements stop.

use async_trait::async_trait;
use durable_core::{db::SystemDb, ids::WorkflowId};
use durable_pg::{Connection as _, Driver, DriverError, Param, PgSystemDb, Row};

use super::paused::Paused;
use crate::calls::Side;

/// What belongs to a workflow and is deleted with it, by the statements of another SDK in its order: it locks no row before.
const DELETES: [&str; 4] = [
    "DELETE FROM dbos.workflow_input WHERE workflow_uuid = $1",
    "DELETE FROM dbos.workflow_output WHERE workflow_uuid = $1",
    "DELETE FROM dbos.operation_outputs WHERE workflow_uuid = $1",
    "DELETE FROM dbos.workflow_status WHERE workflow_uuid = $1",
];

/// As what other SDKs write: the token is no sign that a workflow runs.
const LEAVE_TOKEN: &str = "UPDATE dbos.workflow_status SET owner_xid = $2 WHERE workflow_uuid = $1";

const REST: &str = "
    SELECT 1, i.workflow_uuid, i.inputs, NULL::bigint
    FROM dbos.workflow_input AS i
    WHERE i.workflow_uuid = ANY ($1::text[])
      AND EXISTS (SELECT 1 FROM dbos.workflow_status AS s WHERE s.workflow_uuid = i.workflow_uuid)
    UNION ALL
    SELECT 2, n.destination_uuid, n.message_uuid, CASE WHEN n.consumed THEN n.consumed_by_function_id END
    FROM dbos.notifications AS n
    WHERE n.destination_uuid = ANY ($1::text[])
    UNION ALL
    SELECT 3, e.workflow_uuid, e.value, NULL
    FROM dbos.workflow_events AS e
    WHERE e.workflow_uuid = ANY ($1::text[])
    UNION ALL
    SELECT 4, h.workflow_uuid, h.value, h.function_id
    FROM dbos.workflow_events_history AS h
    WHERE h.workflow_uuid = ANY ($1::text[])
    ORDER BY 1, 2, 4, 3";

#[async_trait]
impl<D: Driver> Side for PgSystemDb<Paused<D>> {
    fn db(&self) -> &dyn SystemDb {
        self
    }

    async fn delete(&self, id: &WorkflowId) -> Result<(), String> {
        let said = |error: DriverError| error.to_string();
        let mut connection = self.driver().acquire().await.map_err(said)?;
        let deleted = async {
            connection.batch("BEGIN").await?;
            for statement in DELETES {
                let id = [Param::from(id.as_str())];
                connection.query(&statement.into(), &id).await?;
            }
            connection.batch("COMMIT").await
        };
        let deleted = deleted.await;
        if deleted.is_err() {
            connection.discard();
        }
        deleted.map_err(said)
    }

    async fn leave_token(&self, id: &WorkflowId, token: &str) -> Result<(), String> {
        let said = |error: DriverError| error.to_string();
        let mut connection = self.driver().acquire().await.map_err(said)?;
        let left = [Param::from(id.as_str()), Param::from(token)];
        let answer = connection.query(&LEAVE_TOKEN.into(), &left).await;
        answer.map(drop).map_err(said)
    }

    async fn rest(&self, ids: &[WorkflowId]) -> Vec<String> {
        // In the order in which the model is asked, which is not that of the names.
        let mut lines = Vec::new();
        let mut connection = self.driver().acquire().await.expect("the server answers");
        let asked: Vec<Option<&str>> = ids.iter().map(|id| Some(id.as_str())).collect();
        let rows = connection
            .query(&REST.into(), &[Param::Texts(&asked)])
            .await;
        for row in rows.expect("the tables are read") {
            lines.push(line(row).expect("a row is as it was asked for"));
        }
        let place = |id: &String| ids.iter().position(|asked| asked.as_str() == id);
        lines.sort_by_key(|(kind, id, _)| (*kind, place(id)));
        lines.into_iter().map(|(_, _, line)| line).collect()
    }
}

fn line(mut row: Row) -> Result<(i64, String, String), DriverError> {
    let kind = row.integer()?.unwrap_or_default();
    let (id, text) = (
        row.text()?.unwrap_or_default(),
        row.text()?.unwrap_or_default(),
    );
    let step = row.integer()?;
    let line = match (kind, step) {
        (1, _) => format!("input of {id:?}: {text}"),
        (2, step) => format!("mail of {id:?}: {text} taken by {step:?}"),
        (3, _) => format!("event of {id:?}: {text}"),
        (_, step) => format!(
            "event of {id:?} by step {}: {text}",
            step.unwrap_or_default()
        ),
    };
    Ok((kind, id, line))
}
