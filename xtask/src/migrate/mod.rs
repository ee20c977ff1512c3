//! `cargo xtask migrate`: brings a database's schema up to date.
//!
//! The backends take a minute to compile, and `cargo xtask test` shall start at once. So they stand behind the cargo
//! feature `migrate` of this package: built without it, this command calls itself again through cargo, with it.

use std::{env, ffi::OsString, path::Path};

use crate::failure::Failure;

// Compiled either way, so that the lints see both.
#[cfg_attr(feature = "migrate", allow(dead_code))]
mod again;
#[cfg(feature = "migrate")]
mod postgres;
#[cfg(feature = "migrate")]
mod source;
#[cfg(feature = "migrate")]
mod sqlite;
mod url;

use url::Database;

/// The environment variable that names the database if the call does not.
const VARIABLE: &str = "DATABASE_URL";

/// What `migrate` was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The database, or [`VARIABLE`] if not given.
    pub(crate) database_url: Option<OsString>,
    /// Whether the database is a data source of the application, not the system database.
    pub(crate) data_source: bool,
    /// The schema of the system tables, if not the usual one.
    pub(crate) schema: Option<String>,
    /// The role of the application, which is granted what it needs.
    pub(crate) app_role: Option<String>,
    /// Make the database if it is not there.
    pub(crate) create_database: bool,
    /// What to do about what is missing.
    pub(crate) mode: Mode,
}

/// What to do about what is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Make it.
    #[default]
    Run,
    /// Print the statements that would make it.
    DryRun,
    /// Fail.
    Check,
}

/// Migrates the database. What can be refused without a backend is refused before one is built.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let database = database(options.database_url.clone(), env::var_os(VARIABLE))?;
    fits(options, &database)?;
    if let Database::Sqlite(path) = &database {
        parent_is_there(path)?;
    }
    #[cfg(feature = "migrate")]
    {
        match &database {
            Database::Sqlite(path) if options.data_source => source::sqlite(path),
            Database::Postgres(url) if options.data_source => source::postgres(url, options),
            Database::Sqlite(path) => sqlite::migrate(path),
            Database::Postgres(url) => postgres::migrate(url, options),
        }
    }
    #[cfg(not(feature = "migrate"))]
    {
        again::migrate(options)
    }
}

/// The database that the call or else the environment names.
fn database(given: Option<OsString>, environment: Option<OsString>) -> Result<Database, Failure> {
    let environment = environment.filter(|url| !url.is_empty());
    let url = given.or(environment).ok_or_else(|| {
        Failure::usage(format!(
            "no database named: give --database-url URL or set {VARIABLE}, as in\n  \
             cargo xtask migrate --database-url postgres://ann@localhost/shop\n  \
             cargo xtask migrate --database-url sqlite:shop.db"
        ))
    })?;
    url::parse(&url).map_err(|error| Failure::usage(error.to_string()))
}

/// Refuses options that mean nothing for the database, or beside each other.
fn fits(options: &Options, database: &Database) -> Result<(), Failure> {
    let given = [
        ("--schema", options.schema.is_some()),
        ("--app-role", options.app_role.is_some()),
        ("--create-database", options.create_database),
        ("--dry-run", options.mode == Mode::DryRun),
        ("--check", options.mode == Mode::Check),
    ];
    let first = given.iter().find(|(_, given)| *given);
    if let (Some((option, _)), Database::Sqlite(_)) = (first, database) {
        return Err(Failure::usage(format!(
            "{option} is for Postgres; an SQLite file is made if it is not there, and belongs to whoever may write it"
        )));
    }
    if options.data_source && (options.create_database || options.mode != Mode::Run) {
        return Err(Failure::usage(
            "--data-source makes one table in a database of the application, which is there: it goes with --schema and --app-role only",
        ));
    }
    if options.create_database && options.mode == Mode::Check {
        return Err(Failure::usage(
            "--check changes nothing, so it does not go with --create-database; --dry-run shows what would be created",
        ));
    }
    Ok(())
}

/// A missing directory is named before a driver says "unable to open database file".
fn parent_is_there(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(Failure::failed(format!(
                "cannot open or create {}: there is no directory {}; make it first",
                path.display(),
                parent.display()
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_call_goes_before_the_environment() {
        let named = |path: &str| Ok(Database::Sqlite(path.into()));
        assert_eq!(
            database(Some("a.db".into()), Some("b.db".into())),
            named("a.db")
        );
        assert_eq!(database(None, Some("b.db".into())), named("b.db"));
    }

    #[test]
    fn without_a_database_the_call_is_wrong_and_says_how_it_is_right() {
        for environment in [None, Some(OsString::new())] {
            let Err(Failure::Usage(text)) = database(None, environment) else {
                panic!("no database was named");
            };
            assert!(
                text.contains("--database-url") && text.contains(VARIABLE),
                "{text}"
            );
        }
    }

    #[test]
    fn a_url_of_no_backend_is_the_callers_mistake() {
        let url = OsString::from("postgres://ann:hunter2@db/shop");
        let postgres = Database::Postgres("postgres://ann:hunter2@db/shop".to_owned());
        assert_eq!(database(Some(url), None), Ok(postgres));
        let url = OsString::from("mysql://db/shop");
        assert!(matches!(database(Some(url), None), Err(Failure::Usage(_))));
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        let sqlite = Database::Sqlite("shop.db".into());
        let postgres = Database::Postgres("postgres://db/shop".to_owned());
        let plain = Options::default();
        assert_eq!(fits(&plain, &sqlite), Ok(()));
        let role = Options {
            app_role: Some("shop".to_owned()),
            create_database: true,
            ..plain.clone()
        };
        assert_eq!(fits(&role, &postgres), Ok(()));
        assert!(fits(&role, &sqlite).is_err());
        let dry = Options {
            mode: Mode::DryRun,
            ..plain
        };
        assert_eq!(fits(&dry, &postgres), Ok(()));
        assert!(fits(&dry, &sqlite).is_err());
        let source = Options {
            data_source: true,
            ..dry.clone()
        };
        assert!(fits(&source, &postgres).is_err());
        let mut both = Options {
            create_database: true,
            ..dry
        };
        assert_eq!(fits(&both, &postgres), Ok(()));
        both.mode = Mode::Check;
        assert!(fits(&both, &postgres).is_err());
    }

    #[test]
    fn a_missing_directory_is_named() {
        let scratch = Scratch::new("migrate-parent");
        assert_eq!(parent_is_there(Path::new("shop.db")), Ok(()));
        assert_eq!(parent_is_there(&scratch.path().join("shop.db")), Ok(()));
        let Err(Failure::Failed(text)) = parent_is_there(&scratch.path().join("data/shop.db"))
        else {
            panic!("the directory does not exist");
        };
        assert!(text.contains("make it first"), "{text}");
    }
}
