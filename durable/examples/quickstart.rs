//! An order, fulfilled step by step: kill it half way, run it again, and see it go on.
//!
//!     cargo run --example quickstart                                 # Ctrl-C it, and run it again
//!     cargo run --example quickstart -- --crash-after "charge card"  # dies right after that checkpoint
//!     cargo run --example quickstart -- --help
//!
//! Everything is in one SQLite file, `quickstart.db`; or in the Postgres database that `DATABASE_URL` names, built with a backend for
//! it:
//!
//!     DATABASE_URL=postgres://localhost/shop cargo run --example quickstart --features pg-sqlx     # or pg-diesel
//!
//! What the steps do to the world is appended to `quickstart.effects`, once for each
//! step, however often it is killed.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use durable::{AppBuilder, Event, prelude::*, sqlite::Sqlite, state::Status};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    cents: u32,
    address: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    charge: String,
    parcel: String,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum ShopError {
    #[error("the outside world failed: {0}")]
    World(String),
    #[error(transparent)]
    Durable(#[from] durable::Error),
}

/// The steps, by their names.
const STEPS: [&str; 5] = [
    "reserve stock",
    "charge card",
    "pack parcel",
    "hand to carrier",
    "thank customer",
];

/// The workflow. Each step is a checkpoint: once it is recorded it never runs again.
#[durable::workflow]
async fn fulfil(ctx: Ctx, order: Order) -> Result<Receipt, ShopError> {
    let world = ctx.state::<World>()?;
    reserve(&ctx, &world, &order).await?;
    let charge = charge(&ctx, &world, &order).await?;
    // A durable sleep: a restart waits only for what is left of it.
    ctx.sleep(world.pace).await?;
    let parcel = ctx
        .step("pack parcel", |step: StepCtx| {
            let (world, order) = (&world, &order);
            async move {
                world
                    .act(&step, "pack parcel", &format!("{} packed", order.item))
                    .await?;
                Ok::<_, ShopError>(format!("parcel-{}", step.workflow_id()))
            }
        })
        .await?;
    hand_over(&ctx, &world, &parcel, &order.address).await?;
    thank(&ctx, &world, &charge).await?;
    Ok(Receipt { charge, parcel })
}

#[durable::step(name = "reserve stock")]
async fn reserve(step: StepCtx, world: &World, order: &Order) -> Result<(), ShopError> {
    world
        .act(&step, "reserve stock", &format!("{} reserved", order.item))
        .await
}

#[durable::step(name = "charge card", max_attempts = 4, backoff = "200ms..2s")]
async fn charge(step: StepCtx, world: &World, order: &Order) -> Result<String, ShopError> {
    world
        .act(
            &step,
            "charge card",
            &format!("{} cents charged", order.cents),
        )
        .await?;
    Ok(format!("charge-{}", step.workflow_id()))
}

#[durable::step(name = "hand to carrier", timeout = "30s")]
async fn hand_over(
    step: StepCtx,
    world: &World,
    parcel: &str,
    address: &str,
) -> Result<(), ShopError> {
    world
        .act(
            &step,
            "hand to carrier",
            &format!("{parcel} on its way to {address}"),
        )
        .await
}

#[durable::step(name = "thank customer")]
async fn thank(step: StepCtx, world: &World, charge: &str) -> Result<(), ShopError> {
    world
        .act(&step, "thank customer", &format!("thanks for {charge}"))
        .await
}

/// The world outside: each act takes a while and leaves a line in a file.
struct World {
    effects: PathBuf,
    pace: Duration,
}

impl World {
    /// Does something once: the line's key is an idempotency key, as a payment service would take it.
    ///
    /// A step's body may run twice, when the process dies after the act and before its checkpoint; the key makes the second harmless.
    async fn act(&self, step: &StepCtx, name: &str, what: &str) -> Result<(), ShopError> {
        tokio::time::sleep(self.pace).await;
        let key = format!("{}/{}", step.workflow_id(), name);
        append_once(&self.effects, &key, what)
            .map_err(|error| ShopError::World(format!("{}: {error}", self.effects.display())))
    }
}

/// Appends `key<TAB>what` unless the file holds the key. Two processes at once are kept apart by a lock on the file.
fn append_once(path: &Path, key: &str, what: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    file.lock()?;
    let done = std::fs::read_to_string(path)?
        .lines()
        .any(|line| line.split('\t').next() == Some(key));
    if done {
        return Ok(());
    }
    // One write, so that a kill leaves the whole line or none.
    file.write_all(format!("{key}\t{what}\n").as_bytes())
}

const USAGE: &str = "\
quickstart: fulfils an order, durably

    --order ID           the order's id, which is its idempotency key [order-1001]
    --db FILE|URL        the SQLite file, or the URL of a Postgres database, if built with pg-sqlx or pg-diesel
                         [DATABASE_URL if that is set; else quickstart.db]
    --driver NAME        sqlx or diesel, if built with both [sqlx]
    --effects FILE       what the steps did to the world [quickstart.effects]
    --crash-after STEP   kill this process right after STEP is recorded, for example \"charge card\"
    --pace MS            how long each step takes, in milliseconds [700]
    --help               this text";

/// Where the orders are.
enum Database {
    File(PathBuf),
    Postgres { url: String, driver: &'static str },
}

struct Args {
    order: String,
    database: Database,
    effects: PathBuf,
    crash_after: Option<String>,
    pace: Duration,
}

impl Args {
    /// The arguments; `Err` holds what is wrong with them, empty for `--help`.
    fn parse() -> Result<Self, String> {
        let (mut db, mut driver) = (None, None);
        let mut args = Self {
            order: "order-1001".to_owned(),
            database: Database::File(FILE.into()),
            effects: "quickstart.effects".into(),
            crash_after: None,
            pace: Duration::from_millis(700),
        };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            if name == "--help" {
                return Err(String::new());
            }
            let value = given
                .next()
                .ok_or_else(|| format!("{name} needs a value, or is unknown"))?;
            match name.as_str() {
                "--order" => args.order = value,
                "--db" => db = Some(value),
                "--driver" if ["sqlx", "diesel"].contains(&&*value) => driver = Some(value),
                "--effects" => args.effects = value.into(),
                "--crash-after" if STEPS.contains(&value.as_str()) => {
                    args.crash_after = Some(value);
                }
                "--crash-after" => {
                    return Err(format!(
                        "there is no step {value:?}; the steps are {STEPS:?}"
                    ));
                }
                "--pace" => {
                    let ms = value
                        .parse()
                        .map_err(|_| format!("--pace {value:?} is no number of milliseconds"))?;
                    args.pace = Duration::from_millis(ms);
                }
                _ => return Err(format!("{name} is unknown")),
            }
        }
        args.database = Database::choose(db, driver.as_deref())?;
        Ok(args)
    }
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
            eprintln!("quickstart: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("quickstart: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// The file of those who name none.
const FILE: &str = "quickstart.db";

/// The drivers for Postgres that this program is built with.
const DRIVERS: &[&str] = &[
    #[cfg(feature = "pg-sqlx")]
    "sqlx",
    #[cfg(feature = "pg-diesel")]
    "diesel",
];

impl Database {
    /// The database that the call or else the environment names. What is named and cannot be used is refused: another one in its place
    /// would look like success.
    fn choose(db: Option<String>, driver: Option<&str>) -> Result<Self, String> {
        let (what, name) = match (db, std::env::var("DATABASE_URL")) {
            (Some(db), _) => ("--db", db),
            (None, Ok(url)) => ("DATABASE_URL", url),
            (None, Err(std::env::VarError::NotPresent)) => return Ok(Self::File(FILE.into())),
            (None, Err(_)) => return Err("DATABASE_URL is not UTF-8".to_owned()),
        };
        let ways = format!("unset it, or name a file by --db {FILE}");
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
                "{what} begins with {scheme}://, which names no database that this program knows: it begins with postgres://"
            ));
        }
        let built = driver.map_or(DRIVERS.first(), |wanted| {
            DRIVERS.iter().find(|built| **built == wanted)
        });
        let driver = built.ok_or_else(|| {
            let driver = driver.unwrap_or("sqlx");
            format!(
                "{what} names a Postgres database, and this program is built without pg-{driver}: build it with --features \
                 pg-{driver}, or {ways}"
            )
        })?;
        Ok(Self::Postgres { url: name, driver })
    }

    /// What removes everything.
    fn how_to_begin_anew(&self, effects: &Path) -> String {
        let effects = effects.display();
        match self {
            Self::File(path) => format!("rm -r {}* {effects}", path.display()),
            Self::Postgres { .. } => format!(
                "DROP SCHEMA dbos CASCADE in that database (all that `durable` keeps there), and rm {effects}"
            ),
        }
    }
}

/// As a person may see it: without the user and the password.
impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// The backend is chosen here, and nowhere else.
async fn with_database(builder: AppBuilder, database: &Database) -> Result<AppBuilder, AnyError> {
    match database {
        Database::File(path) => Ok(builder.backend(Sqlite::open(path).await?)),
        #[cfg(feature = "pg-sqlx")]
        Database::Postgres {
            url,
            driver: "sqlx",
        } => Ok(builder.backend(durable::pg_sqlx::Postgres::connect(url).await?)),
        #[cfg(feature = "pg-diesel")]
        Database::Postgres {
            url,
            driver: "diesel",
        } => Ok(builder.backend(durable::pg_diesel::Postgres::connect(url).await?)),
        // No other is chosen.
        Database::Postgres { driver, .. } => {
            Err(AnyError::msg(format!("built without pg-{driver}")))
        }
    }
}

async fn run(args: &Args) -> Result<ExitCode, AnyError> {
    println!("on {}", args.database);
    let (crash_after, mine) = (args.crash_after.clone(), args.order.clone());
    let app = with_database(App::builder("quickstart"), &args.database)
        .await?
        .state(World {
            effects: args.effects.clone(),
            pace: args.pace,
        })
        .workflow(fulfil)
        .observe(move |event| show(event, crash_after.as_deref().map(|step| (&*mine, step))))
        .launch()
        .await?;
    // What else there is to report has been written to standard error: this program has no log.
    let report = app.report().to_string();
    println!("{}", dim(report.lines().next().unwrap_or_default()));

    let order = Order {
        item: "a very good book".to_owned(),
        cents: 2_350,
        address: "12 Analytical Row".to_owned(),
    };
    // The id is an idempotency key: run again, this joins the order instead of placing a second one.
    let handle = app.start(fulfil, order).id(&*args.order).await?;
    let row = app.workflow(handle.id()).await?;
    if row.status == Status::Pending && row.version.as_deref() != Some(app.version()) {
        println!(
            "\norder {} was begun by another version of this workflow, so it waits (see above).",
            args.order
        );
        app.shutdown(Duration::ZERO).await;
        return Ok(ExitCode::from(3));
    }
    let result = handle.result().await;
    table(&app, handle.id().as_str()).await?;
    match &result {
        Ok(receipt) => println!("\norder {} is fulfilled: {receipt:?}", args.order),
        Err(error) => println!("\norder {} failed: {error}", args.order),
    }
    println!(
        "{}",
        dim(&format!(
            "run it again: nothing is repeated. Another order: --order order-1002. From scratch: {}",
            args.database.how_to_begin_anew(&args.effects)
        ))
    );
    app.shutdown(Duration::from_secs(5)).await;
    Ok(ExitCode::from(u8::from(result.is_err())))
}

/// One line for what happens, also to other orders, which a launch takes up again; the moment after a checkpoint is where
/// `--crash-after` dies: `crash_after` has the order and the step.
fn show(event: &Event<'_>, crash_after: Option<(&str, &str)>) {
    match event {
        Event::WorkflowStarted {
            workflow,
            attempt: 1,
            ..
        } => println!("{workflow} begins"),
        Event::WorkflowStarted {
            workflow, attempt, ..
        } => {
            println!("{workflow} goes on (execution {attempt})");
        }
        Event::StepReplayed {
            workflow,
            number,
            name,
            ..
        } => {
            println!(
                "  {workflow} {number:>2}  {name:<16} {}",
                dim("replayed: its checkpoint answered, nothing ran")
            );
        }
        Event::StepStarted {
            workflow,
            number,
            name,
            attempt,
            ..
        } => {
            let again = match attempt {
                1 => String::new(),
                attempt => format!(", attempt {attempt}"),
            };
            println!("  {workflow} {number:>2}  {name:<16} running{again}");
        }
        Event::StepRecorded {
            workflow,
            number,
            name,
            ..
        } => {
            println!("  {workflow} {number:>2}  {name:<16} recorded");
            if crash_after == Some((workflow.as_str(), *name)) {
                println!("\ncrash, as asked: run it again without --crash-after");
                // No unwinding, no cleaning up: as a kill would.
                std::process::abort();
            }
        }
        _ => {}
    }
}

/// What is recorded, as a table.
async fn table(app: &App, order: &str) -> Result<(), AnyError> {
    println!("\n{:>4}  {:<16} {:>8}  result", "step", "name", "took");
    for step in app.steps(order).await? {
        let took = match (step.started_at, step.completed_at) {
            (Some(start), Some(end)) => format!("{} ms", end.since(start).as_millis()),
            _ => String::new(),
        };
        let result = match &step.result {
            durable::db::StepResult::Output(value) => value.text.clone(),
            durable::db::StepResult::Error(error) => error.text.clone(),
            durable::db::StepResult::Nothing => String::new(),
        };
        println!("{:>4}  {:<16} {took:>8}  {result}", step.number, step.name);
    }
    Ok(())
}

fn dim(text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\u{1b}[2m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
