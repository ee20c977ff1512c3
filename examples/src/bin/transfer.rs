//! Money between accounts, exactly once: kill it between any two statements, run it again, and see that the sum holds.
//!
//!     cargo run -p examples --bin transfer                          # 10 transfers in transfer.db
//!     cargo run -p examples --bin transfer -- --crash-after 7       # dies right after the 7th thing it does; run it again
//!     cargo run -p examples --bin transfer -- --bank bank.db        # the accounts in another database than the workflows
//!     cargo run -p examples --bin transfer -- --help
//!
//! With `--features pg-sqlx` or `pg-diesel`, `--db` and `--bank` also take the URL of a Postgres database.

use std::{
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use durable::{AppBuilder, Event, prelude::*, sqlite::Sqlite};
use examples::{
    database,
    screen::{Screen, Tone, words},
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "pg-diesel")]
use durable::diesel::{self, sql_types};
use durable::sqlite::sqlx;

const ACCOUNTS: i64 = 5;
const CENTS_EACH: i64 = 10_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Transfer {
    id: String,
    from: i64,
    to: i64,
    cents: i64,
}

/// The workflow: one step moves the money, another tells of it.
#[durable::workflow]
async fn transfer(ctx: Ctx, order: Transfer) -> Result<i64, AnyError> {
    let bank = ctx.state::<Bank>()?;
    let left = bank.move_money(&ctx, &order).await?;
    ctx.step("tell", |step: StepCtx| {
        let order = &order;
        async move {
            // A plain step runs at least once: whoever is told throws a second notice with the same key away.
            let key = format!("{}/{}", step.workflow_id(), step.step_id());
            println!(
                "  {key}: account {} is told of {} cents",
                order.to, order.cents
            );
            done();
            Ok::<_, AnyError>(())
        }
    })
    .await?;
    Ok(left)
}

/// Where the accounts are, and through which driver.
enum Bank {
    Sqlite(durable::sqlite::DataSource),
    #[cfg(feature = "pg-sqlx")]
    Sqlx(durable::pg_sqlx::DataSource),
    #[cfg(feature = "pg-diesel")]
    Diesel(durable::pg_diesel::DataSource),
}

const DEBIT: &str = "UPDATE accounts SET cents = cents - $1 WHERE id = $2 RETURNING cents";
const CREDIT: &str = "UPDATE accounts SET cents = cents + $1 WHERE id = $2";
const ENTRY: &str = "INSERT INTO ledger (transfer, cents) VALUES ($1, $2)";

/// Debit, credit and entry in one transaction, with the step's checkpoint: all of it happens, once, or nothing does.
macro_rules! move_by_sqlx {
    ($source:expr, $ctx:expr, $order:expr) => {
        $source.transaction($ctx, "move money", async |tx| {
            let order = $order;
            let debit = sqlx::query_scalar(DEBIT).bind(order.cents).bind(order.from);
            let left: i64 = debit.fetch_one(&mut *tx).await?;
            done();
            let credit = sqlx::query(CREDIT).bind(order.cents).bind(order.to);
            credit.execute(&mut *tx).await?;
            done();
            let entry = sqlx::query(ENTRY).bind(&order.id).bind(order.cents);
            entry.execute(&mut *tx).await?;
            done();
            Ok::<_, AnyError>(left)
        })
    };
}

impl Bank {
    async fn move_money(&self, ctx: &Ctx, order: &Transfer) -> Result<i64, AnyError> {
        match self {
            Self::Sqlite(source) => move_by_sqlx!(source, ctx, order).await,
            #[cfg(feature = "pg-sqlx")]
            Self::Sqlx(source) => move_by_sqlx!(source, ctx, order).await,
            #[cfg(feature = "pg-diesel")]
            Self::Diesel(source) => {
                use durable::diesel_async::RunQueryDsl as _;
                let step = source.transaction(ctx, "move money", async |tx| {
                    let debit = diesel::sql_query(DEBIT);
                    let debit = debit.bind::<sql_types::BigInt, _>(order.cents);
                    let debit = debit.bind::<sql_types::BigInt, _>(order.from);
                    let left: Cents = debit.get_result(tx).await?;
                    done();
                    let credit = diesel::sql_query(CREDIT);
                    let credit = credit.bind::<sql_types::BigInt, _>(order.cents);
                    credit
                        .bind::<sql_types::BigInt, _>(order.to)
                        .execute(tx)
                        .await?;
                    done();
                    let entry = diesel::sql_query(ENTRY);
                    let entry = entry.bind::<sql_types::Text, _>(&order.id);
                    entry
                        .bind::<sql_types::BigInt, _>(order.cents)
                        .execute(tx)
                        .await?;
                    done();
                    Ok::<_, AnyError>(left.cents)
                });
                step.await
            }
        }
    }
}

#[cfg(feature = "pg-diesel")]
#[derive(diesel::QueryableByName)]
struct Cents {
    #[diesel(sql_type = sql_types::BigInt)]
    cents: i64,
}

/// How many things this process has done, and after which it dies.
static DONE: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Counts a statement, a commit or a notice.
fn done() {
    if DONE.fetch_add(1, Ordering::SeqCst) + 1 == LAST.load(Ordering::SeqCst) {
        println!("\ncrash, as asked: run it again without --crash-after");
        // No unwinding, no cleaning up: as a kill would.
        std::process::abort();
    }
}

const USAGE: &str = "\
transfer: moves money between accounts, exactly once

    --db FILE|URL      the workflows' database [transfer.db]
    --bank FILE|URL    another database for the accounts [beside the workflows]
    --driver NAME      sqlx or diesel, for a Postgres database [sqlx]
    --count N          how many transfers [10]
    --crash-after N    kill this process right after the N-th statement, commit or notice
    --help             this text";

struct Args {
    db: String,
    bank: Option<String>,
    driver: Option<String>,
    count: i64,
    crash_after: Option<u64>,
}

impl Args {
    /// The arguments; `Err` holds what is wrong with them, empty for `--help`.
    fn parse() -> Result<Self, String> {
        let mut args = Self {
            db: "transfer.db".to_owned(),
            bank: None,
            driver: None,
            count: 10,
            crash_after: None,
        };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            if name == "--help" || name == "-h" {
                return Err(String::new());
            }
            let value = given
                .next()
                .ok_or_else(|| format!("{name} needs a value, or is unknown"))?;
            let number = || format!("{name} {value:?} is no number");
            match name.as_str() {
                "--db" => args.db = value,
                "--bank" => args.bank = Some(value),
                "--driver" if ["sqlx", "diesel"].contains(&&*value) => args.driver = Some(value),
                "--count" => args.count = value.parse().map_err(|_| number())?,
                "--crash-after" => {
                    args.crash_after = Some(value.parse().map_err(|_| number())?);
                }
                _ => return Err(format!("{name} {value:?} is unknown")),
            }
        }
        let bank = args.bank.as_deref().unwrap_or(&args.db);
        if is_postgres(bank) != is_postgres(&args.db) {
            return Err("--db and --bank are two files or two URLs".to_owned());
        }
        Ok(args)
    }

    fn bank(&self) -> &str {
        self.bank.as_deref().unwrap_or(&self.db)
    }
}

fn is_postgres(database: &str) -> bool {
    database.starts_with("postgres://") || database.starts_with("postgresql://")
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse() {
        Ok(args) => args,
        Err(wrong) if wrong.is_empty() => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("transfer: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("transfer: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Opens the two handles of a Postgres driver, which are alike for both.
#[cfg(any(feature = "pg-sqlx", feature = "pg-diesel"))]
macro_rules! opened {
    ($backend:ident, $variant:ident, $builder:expr, $args:expr) => {{
        let postgres = durable::$backend::Postgres::connect(&$args.db).await?;
        let bank = match &$args.bank {
            None => postgres.data_source(),
            Some(url) => durable::$backend::DataSource::connect(url).await?,
        };
        // Makes the table of witnesses; with the accounts beside the workflows there is none.
        bank.migrate().await?;
        Ok($builder.backend(postgres).state(Bank::$variant(bank)))
    }};
}

/// The backend is chosen here, and nowhere else.
async fn with_databases(builder: AppBuilder, args: &Args) -> Result<AppBuilder, AnyError> {
    if !is_postgres(&args.db) {
        let sqlite = Sqlite::open(&args.db).await?;
        let bank = match &args.bank {
            None => sqlite.data_source(),
            Some(path) => durable::sqlite::DataSource::open(path).await?,
        };
        bank.migrate().await?;
        return Ok(builder.backend(sqlite).state(Bank::Sqlite(bank)));
    }
    #[cfg(feature = "pg-sqlx")]
    if args.driver.as_deref() != Some("diesel") {
        return opened!(pg_sqlx, Sqlx, builder, args);
    }
    #[cfg(feature = "pg-diesel")]
    if args.driver.as_deref() != Some("sqlx") {
        return opened!(pg_diesel, Diesel, builder, args);
    }
    let driver = args.driver.as_deref().unwrap_or("sqlx");
    Err(AnyError::msg(format!(
        "a Postgres database is named and this program is built without pg-{driver}: add --features pg-{driver}, or name a file by --db"
    )))
}

async fn run(args: &Args) -> Result<ExitCode, AnyError> {
    LAST.store(args.crash_after.unwrap_or(u64::MAX), Ordering::SeqCst);
    let app = with_databases(App::builder("transfer"), args)
        .await?
        .workflow(transfer)
        .observe(|event| match event {
            Event::StepRecorded { .. } | Event::WorkflowFinished { .. } => done(),
            Event::StepRetried { workflow, wait, .. } => {
                let wait = words(*wait);
                println!("  {workflow}: met another transfer, again in {wait}");
            }
            _ => {}
        })
        .launch()
        .await?;
    let screen = Screen::stdout();
    let report = app.report().to_string();
    screen.line(Tone::Dim, report.lines().next().unwrap_or_default());

    // The accounts, once.
    let make = "
        CREATE TABLE IF NOT EXISTS accounts (id BIGINT PRIMARY KEY, cents BIGINT NOT NULL);
        CREATE TABLE IF NOT EXISTS ledger (transfer TEXT NOT NULL, cents BIGINT NOT NULL)";
    let mut outside = Outside::connect(args.bank()).await?;
    outside.run(make).await?;
    for id in 0..ACCOUNTS {
        let open = "INSERT INTO accounts (id, cents) VALUES (";
        let open = format!("{open}{id}, {CENTS_EACH}) ON CONFLICT (id) DO NOTHING");
        outside.run(&open).await?;
    }
    println!("at the start: {}", outside.sums().await?);

    let mut handles = Vec::new();
    for n in 0..args.count {
        let order = Transfer {
            id: format!("transfer-{n}"),
            from: n % ACCOUNTS,
            to: (n + 1 + n % 3) % ACCOUNTS,
            cents: 100 + 7 * n,
        };
        // The id is an idempotency key: run again, this joins the transfer instead of making another one.
        handles.push(app.start(transfer, order.clone()).id(order.id).await?);
    }
    for handle in handles {
        handle.result().await?;
    }
    let sums = outside.sums().await?;
    println!("at the end:   {sums}");
    app.shutdown(Duration::from_secs(5)).await;
    if sums.cents == ACCOUNTS * CENTS_EACH && sums.transfers == sums.entries {
        screen.line(
            Tone::Green,
            "every transfer was made once, and the sum is what it was",
        );
        let hint = if DONE.load(Ordering::SeqCst) == 0 {
            "all of them were made before, so nothing ran now."
        } else {
            "run it again: nothing is repeated."
        };
        let over = how_to_start_over(args);
        screen.line(Tone::Dim, format!("{hint} To start over: {over}"));
        return Ok(ExitCode::SUCCESS);
    }
    screen.line(Tone::Red, "this must not be: money was lost or moved twice");
    Ok(ExitCode::FAILURE)
}

/// What removes all that this program has made.
fn how_to_start_over(args: &Args) -> String {
    if is_postgres(&args.db) {
        let place = match args.bank {
            None => "in the database",
            Some(_) => "in both databases",
        };
        return format!(
            "{place}, DROP SCHEMA IF EXISTS dbos CASCADE; DROP TABLE IF EXISTS accounts, ledger"
        );
    }
    let files = [Some(&args.db), args.bank.as_ref()];
    // Beside each file stand those of SQLite, and a directory with the locks of the processes.
    let all = files
        .into_iter()
        .flatten()
        .map(|file| format!("{}*", database::quoted(Path::new(file))));
    format!("rm -r {}", all.collect::<Vec<_>>().join(" "))
}

/// What the bank holds.
struct Sums {
    cents: i64,
    entries: i64,
    transfers: i64,
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (cents, entries, transfers) = (self.cents, self.entries, self.transfers);
        write!(
            f,
            "{cents} cents in all accounts; {entries} entries in the ledger, of {transfers} transfers"
        )
    }
}

/// A connection to the accounts that is no workflow's.
enum Outside {
    Sqlite(sqlx::SqliteConnection),
    #[cfg(feature = "pg-sqlx")]
    Sqlx(sqlx::PgConnection),
    #[cfg(all(feature = "pg-diesel", not(feature = "pg-sqlx")))]
    Diesel(durable::diesel_async::AsyncPgConnection),
}

const SUMS: [&str; 3] = [
    "SELECT CAST(SUM(cents) AS BIGINT) AS cents FROM accounts",
    "SELECT COUNT(*) AS cents FROM ledger",
    "SELECT COUNT(DISTINCT transfer) AS cents FROM ledger",
];

impl Outside {
    async fn connect(bank: &str) -> Result<Self, AnyError> {
        use sqlx::Connection as _;
        if !is_postgres(bank) {
            let path = sqlx::sqlite::SqliteConnectOptions::new().filename(bank);
            return Ok(Self::Sqlite(
                sqlx::SqliteConnection::connect_with(&path).await?,
            ));
        }
        #[cfg(feature = "pg-sqlx")]
        return Ok(Self::Sqlx(sqlx::PgConnection::connect(bank).await?));
        #[cfg(all(feature = "pg-diesel", not(feature = "pg-sqlx")))]
        {
            use durable::diesel_async::{AsyncConnection as _, AsyncPgConnection};
            return Ok(Self::Diesel(AsyncPgConnection::establish(bank).await?));
        }
        #[cfg(not(any(feature = "pg-sqlx", feature = "pg-diesel")))]
        Err(AnyError::msg("this program is built without Postgres"))
    }

    async fn run(&mut self, script: &str) -> Result<(), AnyError> {
        match self {
            Self::Sqlite(conn) => {
                sqlx::raw_sql(sqlx::AssertSqlSafe(script))
                    .execute(conn)
                    .await?;
            }
            #[cfg(feature = "pg-sqlx")]
            Self::Sqlx(conn) => {
                sqlx::raw_sql(sqlx::AssertSqlSafe(script))
                    .execute(conn)
                    .await?;
            }
            #[cfg(all(feature = "pg-diesel", not(feature = "pg-sqlx")))]
            Self::Diesel(conn) => {
                durable::diesel_async::SimpleAsyncConnection::batch_execute(conn, script).await?;
            }
        }
        Ok(())
    }

    async fn number(&mut self, query: &'static str) -> Result<i64, AnyError> {
        Ok(match self {
            Self::Sqlite(conn) => sqlx::query_scalar(query).fetch_one(conn).await?,
            #[cfg(feature = "pg-sqlx")]
            Self::Sqlx(conn) => sqlx::query_scalar(query).fetch_one(conn).await?,
            #[cfg(all(feature = "pg-diesel", not(feature = "pg-sqlx")))]
            Self::Diesel(conn) => {
                use durable::diesel_async::RunQueryDsl as _;
                let found: Cents = diesel::sql_query(query).get_result(conn).await?;
                found.cents
            }
        })
    }

    async fn sums(&mut self) -> Result<Sums, AnyError> {
        Ok(Sums {
            cents: self.number(SUMS[0]).await?,
            entries: self.number(SUMS[1]).await?,
            transfers: self.number(SUMS[2]).await?,
        })
    }
}
