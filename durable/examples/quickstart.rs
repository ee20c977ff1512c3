//! An order, fulfilled step by step: kill it half way, run it again, and see it go on.
//!
//!     cargo run --example quickstart                                 # Ctrl-C it, and run it again
//!     cargo run --example quickstart -- --crash-after "charge card"  # dies right after that checkpoint
//!     cargo run --example quickstart -- --help
//!
//! Everything is in one SQLite file, `quickstart.db`; or in the Postgres database that `DATABASE_URL` names, if it is built with a
//! backend for it:
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

#[durable::step(name = "charge card", retries = 3, backoff = "200ms..2s")]
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
    --db FILE|URL        the SQLite file, or the URL of a Postgres database
                         [DATABASE_URL, if built with pg-sqlx or pg-diesel and that names one; else quickstart.db]
    --driver NAME        sqlx or diesel, if built with both [sqlx]
    --effects FILE       what the steps did to the world [quickstart.effects]
    --crash-after STEP   kill this process right after STEP is recorded, for example \"charge card\"
    --pace MS            how long each step takes, in milliseconds [700]
    --help               this text";

struct Args {
    order: String,
    db: String,
    driver: Option<String>,
    effects: PathBuf,
    crash_after: Option<String>,
    pace: Duration,
}

impl Args {
    /// The arguments; `Err` holds what is wrong with them, empty for `--help`.
    fn parse() -> Result<Self, String> {
        let mut args = Self {
            order: "order-1001".to_owned(),
            db: default_database(),
            driver: None,
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
                "--db" => args.db = value,
                "--driver" if ["sqlx", "diesel"].contains(&&*value) => args.driver = Some(value),
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
            eprintln!("{wrong}\n\n{USAGE}");
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

/// The database that the environment names, if this program has a backend for it.
fn default_database() -> String {
    let named = std::env::var("DATABASE_URL").unwrap_or_default();
    if cfg!(any(feature = "pg-sqlx", feature = "pg-diesel")) && is_postgres(&named) {
        return named;
    }
    "quickstart.db".to_owned()
}

fn is_postgres(database: &str) -> bool {
    database.starts_with("postgres://") || database.starts_with("postgresql://")
}

/// The backend is chosen here, and nowhere else.
async fn with_database(builder: AppBuilder, args: &Args) -> Result<AppBuilder, AnyError> {
    if !is_postgres(&args.db) {
        return Ok(builder.backend(Sqlite::open(&args.db).await?));
    }
    #[cfg(feature = "pg-sqlx")]
    if args.driver.as_deref() != Some("diesel") {
        let postgres = durable::pg_sqlx::Postgres::connect(&args.db).await?;
        return Ok(builder.backend(postgres));
    }
    #[cfg(feature = "pg-diesel")]
    if args.driver.as_deref() != Some("sqlx") {
        let postgres = durable::pg_diesel::Postgres::connect(&args.db).await?;
        return Ok(builder.backend(postgres));
    }
    let driver = args.driver.as_deref().unwrap_or("sqlx");
    Err(AnyError::msg(format!(
        "a Postgres database is named and this program is built without pg-{driver}: add --features pg-{driver}, or name a file by --db"
    )))
}

async fn run(args: &Args) -> Result<ExitCode, AnyError> {
    let crash_after = args.crash_after.clone();
    let app = with_database(App::builder("quickstart"), args)
        .await?
        .state(World {
            effects: args.effects.clone(),
            pace: args.pace,
        })
        .workflow(fulfil)
        .observe(move |event| show(event, crash_after.as_deref()))
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
        dim(
            "run it again: nothing is repeated. Another order: --order order-1002. From scratch: rm -r quickstart.*"
        )
    );
    app.shutdown(Duration::from_secs(5)).await;
    Ok(ExitCode::from(u8::from(result.is_err())))
}

/// One line for what happens; the moment after a checkpoint is where `--crash-after` dies.
fn show(event: &Event<'_>, crash_after: Option<&str>) {
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
        Event::StepReplayed { number, name, .. } => {
            println!(
                "  {number:>2}  {name:<16} {}",
                dim("replayed: its checkpoint answered, nothing ran")
            );
        }
        Event::StepStarted {
            number,
            name,
            attempt: 1,
            ..
        } => {
            println!("  {number:>2}  {name:<16} running");
        }
        Event::StepStarted {
            number,
            name,
            attempt,
            ..
        } => {
            println!("  {number:>2}  {name:<16} running, attempt {attempt}");
        }
        Event::StepRecorded { number, name, .. } => {
            println!("  {number:>2}  {name:<16} recorded");
            if crash_after == Some(*name) {
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
