//! Application versions.

use async_trait::async_trait;
use durable_core::db::{Result, VersionCount, Versions};

use crate::{
    Driver, PgSystemDb, Row, error::Failure, rows::now_ms, transaction::Transaction, value::params,
};

#[async_trait]
impl<D: Driver> Versions for PgSystemDb<D> {
    async fn register_version(&self, application: &str, version: &str) -> Result<()> {
        self.core()
            .transact(
                "register a version",
                (application, version),
                |t, (application, version)| Box::pin(register(t, application, version)),
            )
            .await
    }

    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>> {
        const DOING: &str = "count workflows of other versions";
        let found = self
            .core()
            .ask(DOING, STRANDED, params![application, version])
            .await?;
        let counts: Result<Vec<_>, Failure> = found.into_iter().map(count).collect();
        counts.map_err(|failure| failure.into_error(DOING))
    }
}

/// By the unique index on `version_name`. A version that nobody owns is claimed, and keeps its place.
const CLAIM: &str = "
    UPDATE dbos.application_versions AS v
    SET application_name = $2
    WHERE v.version_name = $1
      AND v.application_name IS NULL";

/// By the unique indexes and `idx_application_versions_timestamp`. Newer than every other, also within one millisecond. No conflict is
/// named: that a version's name is unique in the whole database is announced to end.
const REGISTER: &str = concat!(
    "INSERT INTO dbos.application_versions (version_id, version_name, application_name, version_timestamp)
    SELECT gen_random_uuid()::text, $1, $2,
           greatest(",
    now_ms!(),
    ", 1 + (SELECT max(v.version_timestamp) FROM dbos.application_versions AS v))
    ON CONFLICT DO NOTHING"
);

/// By the unique index on `version_name`.
const OWNER: &str = "
    SELECT v.application_name
    FROM dbos.application_versions AS v
    WHERE v.version_name = $1
    ORDER BY v.application_name IS NOT DISTINCT FROM $2 DESC
    LIMIT 1";

async fn register<D: Driver>(
    t: &mut Transaction<'_, D>,
    application: &str,
    version: &str,
) -> Result<(), Failure> {
    t.query(CLAIM, params![version, application]).await?;
    t.query(REGISTER, params![version, application]).await?;
    let owner = match t.query_one(OWNER, params![version, application]).await? {
        Some(mut row) => row.text()?,
        None => None,
    };
    if owner.as_deref() == Some(application) {
        return Ok(());
    }
    let owner = owner.unwrap_or_default();
    Err(Failure::Refused(format!(
        "version {version:?} is registered by application {owner:?} and cannot be by {application:?}: version names are shared by \
         all applications of a database; put the application's name into the version's, or use another database"
    )))
}

/// By the partial indexes of each status, whose conditions are repeated: the rows that ended are most, and not looked at.
pub(crate) const STRANDED: &str = "
    SELECT u.application_version, sum(u.found)::bigint AS found
    FROM (
        SELECT s.application_version, count(*) AS found
        FROM dbos.workflow_status AS s
        WHERE s.status = 'PENDING'
          AND s.application_name = $1
          AND s.application_version <> $2
        GROUP BY s.application_version
        UNION ALL
        SELECT s.application_version, count(*) AS found
        FROM dbos.workflow_status AS s
        WHERE s.status IN ('ENQUEUED', 'PENDING')
          AND s.status = 'ENQUEUED'
          AND s.application_name = $1
          AND s.application_version <> $2
        GROUP BY s.application_version
        UNION ALL
        SELECT s.application_version, count(*) AS found
        FROM dbos.workflow_status AS s
        WHERE s.status = 'DELAYED'
          AND s.application_name = $1
          AND s.application_version <> $2
        GROUP BY s.application_version) AS u
    GROUP BY u.application_version
    ORDER BY found DESC, u.application_version";

fn count(mut row: Row) -> Result<VersionCount, Failure> {
    Ok(VersionCount {
        version: row.some_text()?,
        count: row.some_integer()?.unsigned_abs(),
    })
}
