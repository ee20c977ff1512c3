//! Bringing a database to the tables that this library needs: for applications, and for the command.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use durable_core::db::{DbError, Result};

use crate::{
    Connection as _, Driver, DriverError,
    error::{Failure, code},
    text::{SchemaName, quote},
    value::params,
};

use super::{
    catalog::{self, Catalog},
    grants, lock,
    plan::{FoundSchema, How, Planner, Step},
    refuse, run,
    target::{MIGRATIONS, VERSION},
    verify,
};

const DOING: &str = "migrate the database";

/// How long another process that migrates is waited for, unless given.
const PATIENCE: Duration = Duration::from_secs(60);

/// A migration of the system tables that is not run yet. Made by [`crate::PgOptions::migration`].
///
/// It makes the tables of DBOS version 125 and this library's own: in an empty database, and out of those of an older SDK without
/// losing a row. Tables in use stay in use; rows are changed only where an ended workflow has no time of its end. A newer version
/// stays as it is if all that is needed is there. It is run by a role that may create and alter the tables, and grants the
/// application's role what that needs.
#[must_use = "nothing is done before `run`, `dry_run` or `check` is called"]
pub struct Migration<D: Driver> {
    driver: D,
    schema: SchemaName,
    listen_notify: bool,
    app_role: Option<String>,
    patience: Duration,
}

/// What a migration did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationReport {
    /// What the database was before.
    pub found: FoundSchema,
    /// The statements, in their order, without semicolons: a script that psql runs as it is.
    pub statements: Vec<String>,
}

impl MigrationReport {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

impl<D: Driver> Migration<D> {
    pub(crate) fn new(driver: D, schema: SchemaName, listen_notify: bool) -> Self {
        Self {
            driver,
            schema,
            listen_notify,
            app_role: None,
            patience: PATIENCE,
        }
    }

    /// Grants this role all that an application needs that is opened without the right to create anything.
    pub fn app_role(mut self, role: impl Into<String>) -> Self {
        self.app_role = Some(role.into());
        self
    }

    /// How long another process that migrates the same schema is waited for; a minute unless given.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Migrates, and gives what was done. Several processes may do so at the same time: one does it, and the others find it done.
    ///
    /// Interrupted, it is finished by the next run. Errors: the tables cannot be migrated without guessing or losing something
    /// (nothing is changed then), or the role may not do it; retryable, if another process takes longer, or holds a table's lock.
    pub async fn run(self) -> Result<MigrationReport> {
        let mut session = self.session().await?;
        let answer = self.run_in(&mut session).await;
        match answer {
            Ok(report) => Ok(report),
            Err(failure) => Err(self.explained(&mut session, failure).await),
        }
    }

    /// Gives the statements that a run would run now, and changes nothing.
    pub async fn dry_run(self) -> Result<MigrationReport> {
        let mut session = self.session().await?;
        let plan = self.plan(&mut session).await;
        match plan {
            Ok(plan) => Ok(plan.report()),
            Err(failure) => Err(self.explained(&mut session, failure).await),
        }
    }

    /// Gives nothing if a run would do nothing. Errors: what is missing, as `Refused`.
    pub async fn check(self) -> Result<()> {
        const SHOWN: usize = 5;
        let schema = self.schema.clone();
        let report = self.dry_run().await?;
        let of = match report.found {
            FoundSchema::Nothing => {
                let schema = schema.as_str();
                return Err(DbError::Refused(format!(
                    "schema {schema:?} holds no DBOS system tables"
                )));
            }
            FoundSchema::Unnumbered => "another SDK's".to_owned(),
            FoundSchema::Version(version) => format!("of version {version}"),
        };
        let missing: Vec<_> = report
            .statements
            .iter()
            .filter(|sql| !["BEGIN", "COMMIT"].contains(&sql.as_str()))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut shown = String::new();
        for line in missing
            .iter()
            .filter_map(|sql| sql.lines().next())
            .take(SHOWN)
        {
            let _ = write!(shown, "\n  {line}");
        }
        if let Some(more) = missing.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = write!(shown, "\n  and {more} more");
        }
        Err(DbError::Refused(format!(
            "the system tables in schema {:?} are {of}, and version {VERSION} is needed; a run would do this:{shown}",
            schema.as_str()
        )))
    }

    async fn session(&self) -> Result<D::Connection> {
        let session = async {
            let mut connection = self.driver.dedicated().await?;
            connection.batch(run::SET_UP).await?;
            Ok::<_, DriverError>(connection)
        };
        session.await.map_err(|error| error.into_error(DOING))
    }

    async fn run_in(&self, session: &mut D::Connection) -> Result<MigrationReport, Failure> {
        lock::take(session, &self.schema, self.patience).await?;
        let plan = self.plan(session).await?;
        if !plan.steps.is_empty() {
            tracing::info!(
                schema = self.schema.as_str(),
                found = ?plan.found,
                steps = plan.steps.len(),
                "migrating the system tables"
            );
        }
        run::steps(session, &self.schema, &plan.steps).await?;
        Ok(plan.report())
    }

    async fn plan(&self, session: &mut D::Connection) -> Result<Plan, Failure> {
        let schema = &self.schema;
        let catalog = catalog::found(session, schema).await?;
        let schema_exists = catalog.is_some();
        let catalog = catalog.unwrap_or_default();
        let found = self.state(session, &catalog).await?;
        let planner = Planner {
            schema,
            listen_notify: self.listen_notify,
            schema_exists,
            state: found,
            found: &catalog,
        };
        let mut steps = if found.is_newer() {
            planner.make_own(&catalog::wanted(session).await?)
        } else if found == FoundSchema::Nothing {
            planner.make_all()
        } else {
            let wanted = catalog::wanted(session).await?;
            self.accept(session, &catalog, &wanted).await?;
            planner.converge(&wanted)
        };
        if let Some(role) = &self.app_role {
            let grants = grants::missing(session, schema, role, &catalog).await?;
            steps.extend(grants.into_iter().map(|sql| Step {
                sql,
                how: How::Together,
            }));
        }
        steps.extend(planner.version());
        Ok(Plan { found, steps })
    }

    /// What the schema holds. Errors: tables of a newer version that are of no use.
    async fn state(
        &self,
        session: &mut D::Connection,
        catalog: &Catalog,
    ) -> Result<FoundSchema, Failure> {
        let numbered = catalog
            .tables
            .get(MIGRATIONS)
            .is_some_and(|table| table.columns.contains_key("version"));
        if !numbered {
            let any = super::target::tables().any(|made| catalog.tables.contains_key(made.name));
            return Ok(if any {
                FoundSchema::Unnumbered
            } else {
                FoundSchema::Nothing
            });
        }
        let version = verify::version(session, &self.schema)
            .await?
            .unwrap_or_default();
        let missing = verify::missing(session, &self.schema).await?;
        match verify::too_new(self.schema.as_str(), version, &missing) {
            Some(why) => Err(Failure::Refused(why)),
            None => Ok(FoundSchema::Version(version)),
        }
    }

    async fn accept(
        &self,
        session: &mut D::Connection,
        found: &Catalog,
        wanted: &Catalog,
    ) -> Result<(), Failure> {
        let schema = &self.schema;
        let why = match refuse::by_catalog(schema, found, wanted) {
            None => refuse::by_rows(session, schema, found, wanted).await?,
            why => why,
        };
        match why {
            None => Ok(()),
            Some(why) => Err(Failure::Refused(format!(
                "the tables in schema {:?} are left as they are: {why}; mend that, or use another schema or database",
                schema.as_str()
            ))),
        }
    }

    /// The failure for whoever asked: one of missing rights names the role and what to run.
    async fn explained(&self, session: &mut D::Connection, failure: Failure) -> DbError {
        let denied = match &failure {
            Failure::Driver(error) if error.code() == Some(code::INSUFFICIENT_PRIVILEGE) => error,
            _ => return failure.into_error(DOING),
        };
        let who = session
            .query(&"SELECT current_user::text".into(), params![])
            .await
            .ok()
            .and_then(|mut rows| rows.pop()?.text().ok()?)
            .unwrap_or_default();
        DbError::Refused(format!(
            "role {who:?} may not migrate schema {:?}: {denied}; have `cargo xtask migrate --database-url URL --app-role {}` run by a \
             role that owns the database or the schema, and launch with migrations off",
            self.schema.as_str(),
            if who.contains(' ') {
                quote(&who)
            } else {
                who.clone()
            },
        ))
    }
}

/// What is to be done to what was found.
struct Plan {
    found: FoundSchema,
    steps: Vec<Step>,
}

impl Plan {
    fn report(self) -> MigrationReport {
        MigrationReport {
            found: self.found,
            statements: run::script(&self.steps),
        }
    }
}

impl<D: Driver> fmt::Debug for Migration<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("driver", &D::NAME)
            .field("schema", &self.schema)
            .field("app_role", &self.app_role)
            .finish_non_exhaustive()
    }
}
