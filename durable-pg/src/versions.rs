//! Application versions.

use async_trait::async_trait;
use durable_core::{
    db::{Result, Unrunnable, VersionCount, Versions},
    state::claim::Claimant,
};

use crate::{
    Driver, PgSystemDb, Row,
    error::Failure,
    queues::{CanRun, can_run},
    rows::{self, now_ms},
    transaction::Transaction,
    value::params,
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

    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>> {
        const DOING: &str = "count workflows that cannot be run";
        let can_run = CanRun::of(claimant);
        let found = self
            .core()
            .ask(
                DOING,
                UNRUNNABLE,
                params![
                    can_run.application,
                    &can_run.names,
                    &can_run.classes,
                    &can_run.configs,
                    &can_run.formats,
                    can_run.version,
                ],
            )
            .await?;
        let counts: Result<Vec<_>, Failure> = found.into_iter().map(unrunnable).collect();
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

/// The unended rows of the claimant's application and version that it cannot run. `$1` to `$5` as in [`can_run`], `$6` version.
macro_rules! unrunnable_rows {
    ($status:literal) => {
        concat!(
            "SELECT s.name, s.class_name, s.config_name, s.serialization
        FROM dbos.workflow_status AS s
        WHERE s.status IN ('ENQUEUED', 'PENDING', 'DELAYED')
          AND s.status = '",
            $status,
            "'
          AND s.application_name = $1
          AND (s.application_version = $6 OR s.application_version IS NULL)
          AND NOT COALESCE(",
            can_run!(),
            ", FALSE)"
        )
    };
}

/// By the partial indexes of each status, as for [`STRANDED`].
pub(crate) const UNRUNNABLE: &str = concat!(
    "SELECT u.name, u.class_name, u.config_name, u.serialization, count(*) AS found
    FROM (
        ",
    unrunnable_rows!("PENDING"),
    "
        UNION ALL
        ",
    unrunnable_rows!("ENQUEUED"),
    "
        UNION ALL
        ",
    unrunnable_rows!("DELAYED"),
    ") AS u
    GROUP BY u.name, u.class_name, u.config_name, u.serialization
    ORDER BY found DESC, u.name, u.class_name NULLS FIRST, u.config_name NULLS FIRST, u.serialization NULLS FIRST"
);

fn unrunnable(mut row: Row) -> Result<Unrunnable, Failure> {
    Ok(Unrunnable {
        key: rows::workflow_key(&mut row)?,
        format: row.name()?,
        count: row.some_integer()?.unsigned_abs(),
    })
}
