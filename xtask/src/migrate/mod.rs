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
mod here;
mod url;

use url::Database;

/// The environment variable that names the database if the call does not.
const VARIABLE: &str = "DATABASE_URL";

/// What `migrate` was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The database, or [`VARIABLE`] if not given.
    pub(crate) database_url: Option<OsString>,
}

/// Migrates the database. What can be refused without a backend is refused before one is built.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let database = database(options.database_url.clone(), env::var_os(VARIABLE))?;
    let Database::Sqlite(path) = &database;
    parent_is_there(path)?;
    #[cfg(feature = "migrate")]
    {
        here::migrate(path)
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
             cargo xtask migrate --database-url sqlite:shop.db"
        ))
    })?;
    url::parse(&url).map_err(|error| match error {
        url::UrlError::NotBuiltIn { .. } => Failure::failed(error.to_string()),
        _ => Failure::usage(error.to_string()),
    })
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
    fn a_backend_of_later_is_not_the_callers_mistake() {
        let url = OsString::from("postgres://ann:hunter2@db/shop");
        assert!(matches!(database(Some(url), None), Err(Failure::Failed(_))));
        let url = OsString::from("mysql://db/shop");
        assert!(matches!(database(Some(url), None), Err(Failure::Usage(_))));
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
