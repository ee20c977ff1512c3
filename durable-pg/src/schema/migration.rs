//! Bringing a database to the tables that this library needs: for applications, and for the command.

use std::{fmt, time::Duration};

use durable_core::db::{DbError, Result};

use crate::{Connection as _, Driver, DriverError, error::Failure, text::SchemaName};

use super::{
    LOOKING,
    catalog::{self, Catalog},
    check, grants, lock, older,
    plan::{FoundSchema, How, Plan, Planner, Step},
    refuse, run,
    target::MIGRATIONS,
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
        let mut session = self.session(DOING).await?;
        let answer = self.run_in(&mut session).await;
        match answer {
            Ok(report) => Ok(report),
            Err(failure) => {
                let explained =
                    verify::denied(&mut session, &self.schema, "migrate", failure).await;
                Err(explained.into_error(DOING))
            }
        }
    }

    /// Gives the statements that a run would run now, and changes nothing.
    ///
    /// Errors: those of a run, and the role may not look.
    pub async fn dry_run(self) -> Result<MigrationReport> {
        self.looked().await.map(|plan| report(&plan))
    }

    /// Gives nothing if a run would do nothing. Errors: what is missing and what to do about it, as `Refused`.
    pub async fn check(&self) -> Result<()> {
        let plan = self.looked().await?;
        check::missing(&self.schema, self.app_role.as_deref(), &plan)
            .map_or(Ok(()), |missing| Err(DbError::Refused(missing)))
    }

    /// Looks for processes of SDKs that do not know the tables for inputs and results that schema version 125 has: they read the
    /// results of all others as null. Gives what was found, and which versions know them; `None` if there is no sign of one.
    ///
    /// For a database that [`check`](Self::check) finds nothing missing in. Reads the whole table of workflows, so it may take a while.
    pub async fn older_sdks(&self) -> Result<Option<String>> {
        let mut session = self.session(LOOKING).await?;
        let found = older::writers(&mut session, &self.schema).await;
        found.map_err(|failure| failure.into_error(LOOKING))
    }

    /// Gives the statements that a run would run in a database that is made anew. Connects to nothing.
    pub fn script(&self) -> MigrationReport {
        let found = FoundSchema::Nothing;
        let planner = Planner {
            schema: &self.schema,
            listen_notify: self.listen_notify,
            schema_exists: false,
            state: found,
            found: &Catalog::default(),
        };
        let grants = self.app_role.as_deref();
        report(&Plan {
            found,
            changes: planner.make_all(),
            grants: granting(grants.map_or_else(Vec::new, |role| grants::all(&self.schema, role))),
            version: planner.version(),
        })
    }

    /// Sees that the role is there that is to be granted something, if one is: any database of the server will do, so also before
    /// another is made. Errors: it is not there.
    pub async fn check_role(&self) -> Result<()> {
        let Some(role) = &self.app_role else {
            return Ok(());
        };
        let mut session = self.session(LOOKING).await?;
        let found = grants::must_exist(&mut session, role).await;
        found.map_err(|failure| failure.into_error(LOOKING))
    }

    /// What a run would do now.
    async fn looked(&self) -> Result<Plan> {
        let mut session = self.session(LOOKING).await?;
        match self.plan(&mut session).await {
            Ok(plan) => Ok(plan),
            Err(failure) => {
                let explained =
                    verify::denied(&mut session, &self.schema, "look into", failure).await;
                Err(explained.into_error(LOOKING))
            }
        }
    }

    async fn session(&self, doing: &'static str) -> Result<D::Connection> {
        let session = async {
            let mut connection = self.driver.dedicated().await?;
            connection.batch(run::SET_UP).await?;
            Ok::<_, DriverError>(connection)
        };
        session.await.map_err(|error| error.into_error(doing))
    }

    async fn run_in(&self, session: &mut D::Connection) -> Result<MigrationReport, Failure> {
        lock::take(session, &self.schema, self.patience).await?;
        let plan = self.plan(session).await?;
        let steps: Vec<Step> = plan.steps().cloned().collect();
        if !steps.is_empty() {
            tracing::info!(
                schema = self.schema.as_str(),
                found = ?plan.found,
                steps = steps.len(),
                "migrating the system tables"
            );
        }
        run::steps(session, &self.schema, &steps).await?;
        Ok(report(&plan))
    }

    async fn plan(&self, session: &mut D::Connection) -> Result<Plan, Failure> {
        verify::encoding(session).await?;
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
        let changes = if found.is_newer() {
            planner.make_own(&catalog::wanted(session).await?)
        } else if found == FoundSchema::Nothing {
            planner.make_all()
        } else {
            let wanted = catalog::wanted(session).await?;
            self.accept(session, &catalog, &wanted).await?;
            planner.converge(&wanted)
        };
        let grants = match &self.app_role {
            Some(role) => grants::missing(session, schema, role, &catalog).await?,
            None => Vec::new(),
        };
        Ok(Plan {
            found,
            changes,
            grants: granting(grants),
            version: planner.version(),
        })
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
}

fn granting(grants: Vec<String>) -> Vec<Step> {
    let how = How::Together;
    grants.into_iter().map(|sql| Step { sql, how }).collect()
}

fn report(plan: &Plan) -> MigrationReport {
    let steps: Vec<Step> = plan.steps().cloned().collect();
    MigrationReport {
        found: plan.found,
        statements: run::script(&steps),
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
