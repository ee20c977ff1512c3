//! Whether a process of an SDK that does not know the payload tables still works on the database.

use std::sync::Arc;

use crate::{Connection, error::Failure, text::SchemaName};

/// Workflows whose outcome stands only where older SDKs keep it, and that ended after the first input was written where newer ones do.
/// `inputs` says nothing: newer SDKs write it too when they fork. At most 1,000 are counted.
const WRITTEN_SINCE: &str = "
    SELECT count(*), min(found.workflow_uuid), min(found.application_name)
    FROM (
        SELECT ws.workflow_uuid, ws.application_name
        FROM dbos.workflow_status AS ws
        WHERE (ws.output IS NOT NULL OR ws.error IS NOT NULL)
          AND ws.status IN ('SUCCESS', 'ERROR')
          AND coalesce(ws.completed_at, ws.updated_at) > (
              SELECT min(wi.retention_timestamp) FROM dbos.workflow_input AS wi
          )
          AND NOT EXISTS (
              SELECT FROM dbos.workflow_output AS wo WHERE wo.workflow_uuid = ws.workflow_uuid
          )
        LIMIT 1000
    ) AS found";

/// What to tell about such a process, if there is one.
pub(super) async fn writers<C: Connection>(
    connection: &mut C,
    schema: &SchemaName,
) -> Result<Option<String>, Failure> {
    let statement = Arc::from(schema.render(WRITTEN_SINCE));
    let rows = connection.query(&statement, &[]).await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let (count, example, application) = (row.integer()?, row.text()?, row.text()?);
    let (Some(count @ 1..), Some(example)) = (count, example) else {
        return Ok(None);
    };
    let (count, plural) = match count {
        1 => ("1".to_owned(), ""),
        1000 => ("1000 or more".to_owned(), "s"),
        _ => (count.to_string(), "s"),
    };
    let of = application.map_or_else(String::new, |name| format!(" of application {name:?}"));
    Ok(Some(format!(
        "a process of an older SDK works on schema {:?}: since it was migrated, {count} workflow{plural}{of} ended with \
         the result in table workflow_status, where newer SDKs no longer write it ({example:?} is one). Such a process \
         reads the results of all others as null. Bring it to Python dbos 3.0.0, npm @dbos-inc/dbos-sdk 5.0.2, or newer",
        schema.as_str()
    )))
}
