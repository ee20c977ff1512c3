//! Why there is no Postgres for a test.

use std::{fmt, io};

/// What stood in the way of a server, or of a database on it. Shows no password.
///
/// `{:?}` is the message, as a test that returns it prints it.
#[derive(Clone)]
#[non_exhaustive]
pub enum PgServerError {
    /// No source has a server.
    NoServer(Vec<Missing>),
    /// There is a server, and it cannot be used.
    Unusable {
        /// Where the server is from, as in [`PgServer::source`](super::PgServer::source).
        source: String,
        /// What was tried.
        doing: &'static str,
        /// What came of it.
        said: String,
    },
}

/// A source that has no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing, and where it was looked for.
    pub what: String,
    /// How to provide it.
    pub help: String,
}

impl PgServerError {
    /// A server that cannot be used, and what it said. `source`: where it is from; `doing`: what was tried, as in "starting it".
    pub fn unusable(
        source: impl Into<String>,
        doing: &'static str,
        said: impl fmt::Display,
    ) -> Self {
        Self::Unusable {
            source: source.into(),
            doing,
            said: said.to_string(),
        }
    }

    pub(super) fn refused(source: &str, doing: &'static str, said: &impl fmt::Display) -> Self {
        let said = said.to_string();
        let help = if said.contains("permission denied to create database") {
            "; its role needs CREATEDB (`ALTER ROLE … CREATEDB`)"
        } else {
            ""
        };
        Self::unusable(source, doing, said + help)
    }

    pub(super) fn of_start(source: &str, said: &io::Error) -> Self {
        Self::unusable(source, "starting it", said)
    }
}

impl fmt::Display for PgServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer(sources) => {
                let missing: Vec<&str> = sources.iter().map(|source| &*source.what).collect();
                write!(f, "no Postgres for tests: {}", missing.join("; "))?;
                for Missing { help, .. } in sources {
                    write!(f, "\n  - {help}")?;
                }
                Ok(())
            }
            Self::Unusable {
                source,
                doing,
                said,
            } => write!(
                f,
                "the Postgres server of tests ({source}): {doing}: {said}"
            ),
        }
    }
}

impl fmt::Debug for PgServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for PgServerError {}

#[cfg(test)]
mod tests {
    use durable_pg::DriverError;

    use super::*;

    #[test]
    fn what_is_missing_stands_in_one_line_and_what_helps_below() {
        let missing = |what: &str, help: &str| Missing {
            what: what.into(),
            help: help.into(),
        };
        let error = PgServerError::NoServer(vec![
            missing("DATABASE_URL is not set", "name a server"),
            missing("no local `postgres`", "install one"),
        ]);
        let wanted = "no Postgres for tests: DATABASE_URL is not set; no local `postgres`\n  - name a server\n  - install one";
        assert_eq!(error.to_string(), wanted);
        assert_eq!(format!("{error:?}"), wanted);
    }

    #[test]
    fn a_role_that_may_not_create_databases_is_told_what_it_needs() {
        let said = DriverError::refused(Some("42501"), "permission denied to create database");
        let error = PgServerError::refused("DATABASE_URL", "making a database", &said);
        assert!(error.to_string().contains("CREATEDB"), "{error}");
    }
}
