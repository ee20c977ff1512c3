//! Application versions.

use async_trait::async_trait;
use durable_core::{
    db::{Result, Unrunnable, VersionCount, Versions},
    state::claim::Claimant,
};
use sqlx::SqliteConnection;

use crate::{
    Sqlite,
    error::Failure,
    lane::Session,
    queues::{can_run, format_list, runnable, runnable_list},
    rows,
};

#[async_trait]
impl Versions for Sqlite {
    async fn register_version(&self, application: &str, version: &str) -> Result<()> {
        let args = (application.to_owned(), version.to_owned());
        self.write(
            "register a version",
            args,
            |session, (application, version)| Box::pin(register(session, application, version)),
        )
        .await
    }

    async fn stranded(&self, application: &str, version: &str) -> Result<Vec<VersionCount>> {
        let args = (application.to_owned(), version.to_owned());
        self.read(
            "count workflows of other versions",
            args,
            |conn, (application, version)| Box::pin(stranded(conn, application, version)),
        )
        .await
    }

    async fn unrunnable(&self, claimant: &Claimant) -> Result<Vec<Unrunnable>> {
        self.read(
            "count workflows that cannot be run",
            claimant.clone(),
            |conn, claimant| Box::pin(unrunnable(conn, claimant)),
        )
        .await
    }
}

/// By the unique index on `version_name` and `idx_application_versions_timestamp`. Newer than every other, also within one
/// millisecond. One that nobody owns is claimed, and keeps its place.
const REGISTER: &str = "
    INSERT INTO application_versions (version_id, version_name, application_name, version_timestamp, created_at)
    SELECT lower(hex(randomblob(16))), ?1, ?2,
           max(?3, 1 + COALESCE((SELECT max(version_timestamp) FROM application_versions), 0)), ?3
    WHERE TRUE
    ON CONFLICT (version_name) DO UPDATE
        SET application_name = COALESCE(application_name, excluded.application_name)
    RETURNING application_name";

async fn register(session: &mut Session, application: &str, version: &str) -> Result<(), Failure> {
    let owner: String = sqlx::query_scalar(REGISTER)
        .bind(version)
        .bind(application)
        .bind(session.now().as_millis())
        .fetch_one(&mut session.conn)
        .await?;
    if owner == application {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "version {version:?} is registered by application {owner:?} and cannot be by {application:?}: version names are shared by \
         all applications of a database; put the application's name into the version's, or use another database"
    )))
}

/// By the partial indexes of each status, whose conditions are repeated: the rows that ended are most, and not looked at.
pub(crate) const STRANDED: &str = "
    SELECT application_version, sum(found) AS found
    FROM (
        SELECT application_version, count(*) AS found
        FROM workflow_status
        WHERE status = 'PENDING'
          AND application_name = ?1
          AND application_version <> ?2
        GROUP BY application_version
        UNION ALL
        SELECT application_version, count(*) AS found
        FROM workflow_status
        WHERE status = 'ENQUEUED'
          AND application_name = ?1
          AND application_version <> ?2
        GROUP BY application_version
        UNION ALL
        SELECT application_version, count(*) AS found
        FROM workflow_status
        WHERE status = 'DELAYED'
          AND application_name = ?1
          AND application_version <> ?2
        GROUP BY application_version)
    GROUP BY application_version
    ORDER BY found DESC, application_version";

async fn stranded(
    conn: &mut SqliteConnection,
    application: &str,
    version: &str,
) -> Result<Vec<VersionCount>, Failure> {
    let found = sqlx::query(STRANDED)
        .bind(application)
        .bind(version)
        .fetch_all(conn)
        .await?;
    found
        .iter()
        .map(|row| {
            Ok(VersionCount {
                version: rows::column(row, "application_version")?,
                count: rows::count(row, "found")?,
            })
        })
        .collect()
}

/// The unended rows of the claimant's application and version that it cannot run. `?1` to `?3` as in `can_run!`, `?4` version.
macro_rules! unrunnable_rows {
    ($status:literal) => {
        concat!(
            "SELECT s.name, s.class_name, s.config_name, s.serialization
        FROM workflow_status AS s
        WHERE s.status = '",
            $status,
            "'
          AND s.application_name = ?1
          AND (s.application_version = ?4 OR s.application_version IS NULL)
          AND NOT COALESCE(",
            can_run!(),
            ", FALSE)"
        )
    };
}

/// By the partial indexes of each status, as for [`STRANDED`].
pub(crate) const UNRUNNABLE: &str = concat!(
    runnable!(),
    "SELECT name, class_name, config_name, serialization, count(*) AS found
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
    ")
    GROUP BY name, class_name, config_name, serialization
    ORDER BY found DESC, name, class_name, config_name, serialization"
);

async fn unrunnable(
    conn: &mut SqliteConnection,
    claimant: &Claimant,
) -> Result<Vec<Unrunnable>, Failure> {
    let found = sqlx::query(UNRUNNABLE)
        .bind(claimant.application.as_str())
        .bind(runnable_list(claimant))
        .bind(format_list(claimant))
        .bind(claimant.version.as_str())
        .fetch_all(conn)
        .await?;
    found
        .iter()
        .map(|row| {
            Ok(Unrunnable {
                key: rows::workflow_key(row)?,
                format: rows::name(row, "serialization")?,
                count: rows::count(row, "found")?,
            })
        })
        .collect()
}
