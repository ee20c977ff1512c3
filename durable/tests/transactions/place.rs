//! Databases for a test: the system database, and the bank's tables in it or in another one.

use std::sync::Arc;

use durable::{
    App, AppBuilder, db::SystemDb, pg_diesel, pg_sqlx, prelude::*, sqlite, sqlite::Sqlite,
};
use durable_testkit::{faults::Faulty, pg::TestDb};

use crate::{
    bank::{Acts, Bank, Tx, perform, perform_and_wait, sqlx},
    support::Tally,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    System,
    Other,
}

/// Databases that live as long as a test.
pub struct Place {
    pub layout: Layout,
    pub kind: Kind,
}

pub enum Kind {
    Sqlite(tempfile::TempDir),
    Sqlx(Pair<pg_sqlx::SqlxDriver>),
    Diesel(Pair<pg_diesel::DieselDriver>),
}

pub struct Pair<D: durable_pg::Driver> {
    pub system: TestDb<D>,
    other: Option<TestDb<D>>,
}

/// What a process has of them.
pub struct Node {
    pub db: Arc<dyn SystemDb>,
    pub bank: Bank,
}

impl Place {
    pub async fn sqlite(layout: Layout) -> Self {
        let kind = Kind::Sqlite(tempfile::tempdir().expect("a temporary directory"));
        Self { layout, kind }.ready().await
    }

    pub async fn pg_sqlx(layout: Layout) -> Self {
        let kind = Kind::Sqlx(Pair::new(layout).await);
        Self { layout, kind }.ready().await
    }

    pub async fn pg_diesel(layout: Layout) -> Self {
        let kind = Kind::Diesel(Pair::new(layout).await);
        Self { layout, kind }.ready().await
    }

    /// Makes the bank's tables: two accounts with 100 each.
    async fn ready(self) -> Self {
        let node = self.node().await;
        node.db.migrate().await.expect("the system tables");
        node.bank.migrate().await;
        for statement in [
            "CREATE TABLE accounts (id TEXT PRIMARY KEY, cents BIGINT NOT NULL)",
            "CREATE TABLE ledger (entry TEXT NOT NULL, cents BIGINT NOT NULL)",
            "INSERT INTO accounts VALUES ('a', 100), ('b', 100)",
        ] {
            self.write(statement).await;
        }
        self
    }

    /// The databases as one more process has them.
    pub async fn node(&self) -> Node {
        let other = self.layout == Layout::Other;
        match &self.kind {
            Kind::Sqlite(dir) => {
                let system = Sqlite::open(dir.path().join("system.db")).await.unwrap();
                let bank = if other {
                    let path = dir.path().join("bank.db");
                    sqlite::DataSource::open(path).await.unwrap()
                } else {
                    system.data_source()
                };
                Node {
                    db: Arc::new(system),
                    bank: Bank::Sqlite(bank),
                }
            }
            Kind::Sqlx(pair) => {
                let (system, bank) = pair.open().await;
                Node {
                    db: Arc::new(system),
                    bank: Bank::Sqlx(bank),
                }
            }
            Kind::Diesel(pair) => {
                let (system, bank) = pair.open().await;
                Node {
                    db: Arc::new(system),
                    bank: Bank::Diesel(bank),
                }
            }
        }
    }

    /// An application of one more process.
    pub async fn app(&self, tally: &Tally, acts: &Acts) -> App {
        let node = self.node().await;
        self.builder(node.bank, Faulty::over(node.db), tally, acts)
            .launch()
            .await
            .unwrap()
    }

    #[allow(clippy::unused_self)]
    pub fn builder(&self, bank: Bank, db: Faulty, tally: &Tally, acts: &Acts) -> AppBuilder {
        App::builder("test")
            .poll_interval(Duration::from_millis(20))
            .recovery_interval(Duration::from_millis(50))
            .version("1")
            .state(bank)
            .state(tally.clone())
            .state(acts.clone())
            .workflow(perform)
            .workflow(perform_and_wait)
            .backend(db)
    }

    /// Whether the server can run transactions beside each other.
    pub fn is_postgres(&self) -> bool {
        !matches!(self.kind, Kind::Sqlite(_))
    }

    /// Whether the bank's only writer is the system database's.
    pub fn is_one_writer(&self) -> bool {
        !self.is_postgres() && self.layout == Layout::System
    }

    /// A connection of the test's own to the system tables.
    pub async fn system(&self) -> Outside {
        Outside::at(&self.system_at()).await
    }

    /// The system database's file or URL.
    pub fn system_at(&self) -> String {
        match &self.kind {
            Kind::Sqlite(dir) => dir.path().join("system.db").display().to_string(),
            Kind::Sqlx(pair) => pair.system.url().to_owned(),
            Kind::Diesel(pair) => pair.system.url().to_owned(),
        }
    }

    /// The bank's file or URL.
    pub fn bank_at(&self) -> String {
        match (&self.kind, self.layout) {
            (Kind::Sqlite(dir), Layout::System) => {
                dir.path().join("system.db").display().to_string()
            }
            (Kind::Sqlite(dir), Layout::Other) => dir.path().join("bank.db").display().to_string(),
            (Kind::Sqlx(pair), _) => pair.bank_url().to_owned(),
            (Kind::Diesel(pair), _) => pair.bank_url().to_owned(),
        }
    }

    /// A connection of the test's own to the bank's tables.
    pub async fn outside(&self) -> Outside {
        Outside::at(&self.bank_at()).await
    }

    pub async fn write(&self, statement: &str) {
        self.outside().await.tx().run(statement).await.unwrap();
    }

    pub async fn number(&self, statement: &str) -> i64 {
        self.outside().await.tx().number(statement).await.unwrap()
    }

    /// What is in the ledger, as one number.
    pub async fn entries(&self) -> i64 {
        self.number("SELECT COUNT(*) AS number FROM ledger").await
    }
}

pub enum Outside {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Outside {
    pub async fn at(at: &str) -> Self {
        use sqlx::Connection as _;
        if at.starts_with("postgres") {
            return Self::Postgres(sqlx::PgConnection::connect(at).await.unwrap());
        }
        Self::Sqlite(sqlx::SqliteConnection::connect(at).await.unwrap())
    }

    /// The text that a statement of the test's own gives.
    pub async fn text(&mut self, statement: &str) -> String {
        use sqlx::SqlSafeStr as _;
        let statement = sqlx::AssertSqlSafe(statement.to_owned()).into_sql_str();
        let text = match self {
            Self::Sqlite(conn) => sqlx::query_scalar(statement).fetch_one(conn).await,
            Self::Postgres(conn) => sqlx::query_scalar(statement).fetch_one(conn).await,
        };
        text.unwrap()
    }

    pub fn tx(&mut self) -> Tx<'_> {
        match self {
            Self::Sqlite(conn) => Tx::Sqlite(conn),
            Self::Postgres(conn) => Tx::Sqlx(conn),
        }
    }
}

impl<D: durable_pg::Driver> Pair<D> {
    async fn new(layout: Layout) -> Self {
        Self {
            system: TestDb::migrated().await,
            other: match layout {
                Layout::System => None,
                Layout::Other => Some(TestDb::empty().await),
            },
        }
    }

    async fn open(&self) -> (durable_pg::PgSystemDb<D>, durable_pg::PgDataSource<D>) {
        let system = self.system.options().pool_size(5).connect().await.unwrap();
        let bank = match &self.other {
            None => system.data_source(),
            Some(other) => durable_pg::PgDataSource::options(other.url())
                .transactions(3)
                .connect()
                .await
                .unwrap(),
        };
        (system, bank)
    }

    fn bank_url(&self) -> &str {
        self.other.as_ref().unwrap_or(&self.system).url()
    }
}

/// Runs each test on every backend, in these layouts.
macro_rules! on_every_bank {
    ($($(#[$meta:meta])* async fn $name:ident($place:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                #[allow(unused_imports)]
                use super::*;
                use crate::{place::{Layout, Place}, support::bounded};

                async fn test($place: Place) $body

                crate::place::on_every_bank! { @one sqlite System sqlite_system }
                crate::place::on_every_bank! { @one sqlite Other sqlite_other }
                crate::place::on_every_bank! { @one pg_sqlx System pg_sqlx_system }
                crate::place::on_every_bank! { @one pg_sqlx Other pg_sqlx_other }
                crate::place::on_every_bank! { @one pg_diesel System pg_diesel_system }
                crate::place::on_every_bank! { @one pg_diesel Other pg_diesel_other }
            }
        )*
    };
    (@one $backend:ident $layout:ident $name:ident) => {
        #[tokio::test]
        async fn $name() {
            bounded(async { test(Place::$backend(Layout::$layout).await).await }).await;
        }
    };
}
pub(crate) use on_every_bank;
