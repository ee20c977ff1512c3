//! Application versions.

use async_trait::async_trait;
use durable_core::db::{Result, VersionCount, Versions};
use sqlx::SqliteConnection;

use crate::{Sqlite, error::Failure, lane::Session, rows};

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
            let count: i64 = rows::column(row, "found")?;
            Ok(VersionCount {
                version: rows::column(row, "application_version")?,
                count: count.unsigned_abs(),
            })
        })
        .collect()
}
