//! Which database an example works on: a SQLite file, or the Postgres database that a URL names.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use durable::{AppBuilder, prelude::*, sqlite::Sqlite};

/// Where the workflows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    File(PathBuf),
    /// A Postgres database.
    Postgres {
        /// Its URL.
        url: String,
        /// The driver: one of [`DRIVERS`].
        driver: &'static str,
    },
}

/// The drivers for Postgres that this program is built with.
pub const DRIVERS: &[&str] = &[
    #[cfg(feature = "pg-sqlx")]
    "sqlx",
    #[cfg(feature = "pg-diesel")]
    "diesel",
];

impl Database {
    /// The database that the call names by `--db`, or else `DATABASE_URL`; `file` if neither does.
    ///
    /// Errors: a database that is named and cannot be used, as another one in its place would look like success.
    pub fn choose(file: &str, db: Option<String>, driver: Option<&str>) -> Result<Self, String> {
        let (what, name) = match (db, std::env::var("DATABASE_URL")) {
            (Some(db), _) => ("--db", db),
            (None, Ok(url)) => ("DATABASE_URL", url),
            (None, Err(std::env::VarError::NotPresent)) => return Ok(Self::File(file.into())),
            (None, Err(_)) => return Err("DATABASE_URL is not UTF-8".to_owned()),
        };
        let ways = format!("unset it, or name a file by --db {file}");
        if name.is_empty() {
            return Err(format!("{what} is set, and empty: {ways}"));
        }
        let Some((scheme, _)) = name.split_once("://") else {
            // A mistyped URL must not become the name of a file.
            let path = name.strip_prefix("sqlite:");
            if what == "--db" || path.is_some() {
                return Ok(Self::File(path.unwrap_or(&name).into()));
            }
            return Err(format!("{what} is no URL of a database: {ways}"));
        };
        if !["postgres", "postgresql"].contains(&scheme) {
            return Err(format!(
                "{what} begins with {scheme}://, which names no database that this program knows: \
                 it begins with postgres://"
            ));
        }
        let built = driver.map_or(DRIVERS.first(), |wanted| {
            DRIVERS.iter().find(|built| **built == wanted)
        });
        let driver = built.ok_or_else(|| {
            let driver = driver.unwrap_or("sqlx");
            format!(
                "{what} names a Postgres database, and this program is built without pg-{driver}: \
                 build it with --features pg-{driver}, or {ways}"
            )
        })?;
        Ok(Self::Postgres { url: name, driver })
    }

    /// Opens it, and gives it to the application.
    pub async fn open(&self, builder: AppBuilder) -> Result<AppBuilder, AnyError> {
        match self {
            Self::File(path) => Ok(builder.backend(Sqlite::open(path).await?)),
            #[cfg(feature = "pg-sqlx")]
            Self::Postgres {
                url,
                driver: "sqlx",
            } => Ok(builder.backend(durable::pg_sqlx::Postgres::connect(url).await?)),
            #[cfg(feature = "pg-diesel")]
            Self::Postgres {
                url,
                driver: "diesel",
            } => Ok(builder.backend(durable::pg_diesel::Postgres::connect(url).await?)),
            // No other is chosen.
            Self::Postgres { driver, .. } => {
                Err(AnyError::msg(format!("built without pg-{driver}")))
            }
        }
    }

    /// What to do to start over: `files` and what is in the database are removed.
    pub fn how_to_start_over(&self, files: &[&Path]) -> String {
        let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
        match self {
            // Beside the file stand those of SQLite, and a directory with the locks of the processes.
            Self::File(path) => {
                let all = [&[format!("{}*", quoted(path))], &*files].concat();
                format!("rm -r {}", all.join(" "))
            }
            Self::Postgres { .. } => {
                let mut how =
                    "in the database, `DROP SCHEMA dbos CASCADE` (all that durable keeps there)"
                        .to_owned();
                if !files.is_empty() {
                    how = format!("{how}, and rm {}", files.join(" "));
                }
                how
            }
        }
    }
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// As a person may see it: without the user and the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, driver) = match self {
            Self::File(path) => return write!(f, "{} (SQLite)", path.display()),
            Self::Postgres { url, driver } => (url, driver),
        };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let place = rest.rsplit_once('@');
        let shown = match place {
            // Part of a password, if it has an `@` or a `?` that should have been encoded.
            Some((secret, _)) if secret.contains('?') => "...".to_owned(),
            Some((_, place)) => format!("...@{place}"),
            None => rest.to_owned(),
        };
        let shown = shown.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{shown} ({driver})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_over_names_each_file_as_a_shell_takes_it() {
        let file = Database::File("shop.db".into());
        assert_eq!(file.how_to_start_over(&[]), "rm -r shop.db*");
        let file = Database::File("my shop's.db".into());
        assert_eq!(
            file.how_to_start_over(&[Path::new("shop.effects")]),
            r"rm -r 'my shop'\''s.db'* shop.effects"
        );
    }
}
