//! A database of one test.

use std::fmt;

use durable_pg::{Driver, PgOptions, PgSystemDb};

use super::{Bare, PgServer, PgServerError, as_app_role, make_app_role, provision::Removal};

/// A database of one test, made by [`PgServer::database`]. It is removed, with whoever is connected, when this is dropped; what is left of a
/// program that was killed is removed by the next that uses the server.
pub struct TestDb<D: Driver> {
    admin: D,
    name: String,
    url: String,
    _removal: Removal,
}

impl<D: Driver> TestDb<D> {
    pub(super) fn new(admin: D, name: String, url: String, removal: Removal) -> Self {
        Self {
            admin,
            name,
            url,
            _removal: removal,
        }
    }

    /// A migrated database that nobody else uses, of [`PgServer::shared`]. Panics, and says how to have a server, where there is none.
    pub async fn migrated() -> Self {
        made(shared().await.database().await)
    }

    /// A migrated database in which [`APP_ROLE`](super::APP_ROLE) was granted what it needs. Panics as [`migrated`](Self::migrated).
    pub async fn migrated_for_app_role() -> Self {
        made(shared().await.database_for_app_role().await)
    }

    /// A database with nothing in it. Panics as [`migrated`](Self::migrated).
    pub async fn empty() -> Self {
        made(shared().await.empty_database().await)
    }

    /// Its URL, with the password if there is one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to open it as one more process would.
    pub fn options(&self) -> PgOptions<D> {
        PgSystemDb::options(&self.url)
    }

    /// How to open it as [`APP_ROLE`](super::APP_ROLE), which is made if it is not there.
    pub async fn app_role_options(&self) -> PgOptions<D> {
        make_app_role(&self.admin).await;
        PgSystemDb::options(as_app_role(&self.url))
    }

    /// A bare connection to it, for what no call does.
    pub async fn bare(&self) -> Bare<D> {
        Bare::connect(&self.url).await
    }
}

/// Shows no URL: it may hold a password.
impl<D: Driver> fmt::Debug for TestDb<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDb")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

async fn shared() -> &'static PgServer {
    made(PgServer::shared().await)
}

fn made<T>(made: Result<T, PgServerError>) -> T {
    made.unwrap_or_else(|error| panic!("{error}"))
}
