//! Where a server is looked for.

use std::{
    any::Any,
    env, fmt,
    hash::{BuildHasher as _, RandomState},
};

use super::{Missing, PgServerError};
use crate::pg::{
    VARIABLE,
    local::{self, Server},
};

/// The environment variable that names a server of the user's own.
const GIVEN: &str = "DATABASE_URL";

/// A server that takes connections.
pub struct Started {
    pub(super) url: String,
    pub(super) source: String,
    pub(super) kept: bool,
    pub(super) held: Option<Box<dyn Any + Send + Sync>>,
}

impl Started {
    /// A server that was started for the tests of this program. `url`: a database on it, as a superuser; `source`: what it is, as in
    /// "container postgres:18"; `held`: kept as long as the program runs.
    pub fn new(
        url: impl Into<String>,
        source: impl Into<String>,
        held: impl Any + Send + Sync,
    ) -> Self {
        Self {
            url: url.into(),
            source: source.into(),
            kept: false,
            held: Some(Box::new(held)),
        }
    }

    fn named(url: String, source: &str) -> Self {
        Self {
            url,
            source: source.to_owned(),
            kept: source == GIVEN,
            held: None,
        }
    }
}

/// Shows no URL: it may hold a password.
impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// The first server that there is.
pub(super) async fn find(
    more: impl AsyncFnOnce() -> Result<Started, PgServerError>,
) -> Result<Started, PgServerError> {
    if let Ok(url) = env::var(VARIABLE) {
        return Ok(Started::named(url, VARIABLE));
    }
    let mut missing = Vec::new();
    match given(env::var(GIVEN).ok()) {
        Ok(url) => return Ok(Started::named(url, GIVEN)),
        Err(why) => missing.push(why),
    }
    match local::find() {
        Ok(directory) => return private(&directory.display().to_string()).await,
        Err(looked) => missing.push(Missing {
            what: format!("no local `postgres` ({looked})"),
            help: format!(
                "or install one: `apt-get install postgresql`, `dnf install postgresql-server`, `brew install postgresql`; \
                 or name the directory of its `initdb` and `postgres` in {}",
                local::BINARIES
            ),
        }),
    }
    more().await.map_err(|error| match error {
        PgServerError::NoServer(more) => {
            missing.extend(more);
            PgServerError::NoServer(missing)
        }
        other => other,
    })
}

/// The URL that the variable holds, if it is one of a Postgres database.
fn given(value: Option<String>) -> Result<String, Missing> {
    let what = match value {
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            return Ok(url);
        }
        Some(_) => format!("{GIVEN} is not a postgres:// URL"),
        None => format!("{GIVEN} is not set"),
    };
    Err(Missing {
        what,
        help: format!(
            "name a server whose role may create databases: {GIVEN}=postgres://user:password@host/database"
        ),
    })
}

/// A server of the programs that are installed here.
async fn private(source: &str) -> Result<Started, PgServerError> {
    let options = Server::options().password(&password());
    let server = options.try_start().await;
    let server = server.map_err(|error| PgServerError::of_start(source, &error))?;
    Ok(Started::new(server.url(), source, server))
}

/// What nobody can guess: 128 bits of the randomness that keeps hash tables safe.
fn password() -> String {
    let part = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", part(), part())
}

/// That containers are not looked at.
pub(super) fn no_container() -> Missing {
    Missing {
        what: "containers are not tried".to_owned(),
        help:
            "or have a container started: ask `durable_testkit_containers::server()` instead of `PgServer::shared()`"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_postgres_url_names_a_server_and_no_other_is_shown() {
        for url in ["postgres://ann:secret@db/shop", "postgresql:///shop"] {
            assert_eq!(given(Some(url.into())).as_deref(), Ok(url));
        }
        let missing = given(Some("mysql://ann:secret@db/shop".into())).unwrap_err();
        assert!(!format!("{missing:?}").contains("secret"), "{missing:?}");
        assert_eq!(given(None).unwrap_err().what, "DATABASE_URL is not set");
    }

    #[test]
    fn no_two_passwords_are_the_same() {
        assert_eq!(password().len(), 32);
        assert_ne!(password(), password());
        let part = password();
        assert_ne!(part[..16], part[16..]);
    }
}
