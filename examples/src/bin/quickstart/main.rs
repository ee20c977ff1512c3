//! An order, fulfilled step by step: kill it half way, run it again, and see it go on.
//!
//!     cargo run -p examples                                    # Ctrl-C it, and run it again
//!     cargo run -p examples -- --crash-after "charge card"     # dies right after that checkpoint
//!     cargo run -p examples -- --help
//!
//! Everything is in one SQLite file, `quickstart.db`; or in the Postgres database that `DATABASE_URL` names, if the program is built
//! with `--features pg-sqlx` or `pg-diesel`.
//!
//! What the steps do to the world is appended to `quickstart.effects`, once for each step, however often it is killed.

mod options;
mod show;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use durable::{prelude::*, state::Status};
use examples::screen::Tone;
use serde::{Deserialize, Serialize};

use options::Options;
use show::Show;

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

/// The workflow. Each step is a checkpoint: once it is recorded it never runs again.
#[durable::workflow]
async fn fulfil(ctx: Ctx, order: Order) -> Result<Receipt, ShopError> {
    let world = ctx.state::<World>()?;
    reserve(&ctx, &world, &order).await?;
    let charge = charge(&ctx, &world, &order).await?;
    // A durable sleep: a restart waits only for what is left of it.
    ctx.sleep(world.pace).await?;
    // A step may be a closure, too.
    let packed = format!("{} packed", order.item);
    let parcel = ctx
        .step("pack parcel", |step: StepCtx| {
            let (world, packed) = (&world, &packed);
            async move {
                world.act(&step, "pack parcel", packed).await?;
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
    let what = format!("{} reserved", order.item);
    world.act(&step, "reserve stock", &what).await
}

#[durable::step(name = "charge card", max_attempts = 4, backoff = "200ms..2s")]
async fn charge(step: StepCtx, world: &World, order: &Order) -> Result<String, ShopError> {
    let what = format!("{} cents charged", order.cents);
    world.act(&step, "charge card", &what).await?;
    Ok(format!("charge-{}", step.workflow_id()))
}

#[durable::step(name = "hand to carrier", timeout = "30s")]
async fn hand_over(
    step: StepCtx,
    world: &World,
    parcel: &str,
    address: &str,
) -> Result<(), ShopError> {
    let what = format!("{parcel} on its way to {address}");
    world.act(&step, "hand to carrier", &what).await
}

#[durable::step(name = "thank customer")]
async fn thank(step: StepCtx, world: &World, charge: &str) -> Result<(), ShopError> {
    let what = format!("thanks for {charge}");
    world.act(&step, "thank customer", &what).await
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
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.create(true).append(true).read(true).open(path)?;
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

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    match run(options).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("quickstart: {error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<ExitCode, AnyError> {
    let order = &*options.order;
    let show = Arc::new(Show::new(order, options.crash_after.clone()));
    let screen = &show.screen;
    screen.line(Tone::Plain, format!("on {}", options.database));
    let observer = Arc::clone(&show);
    let app = options
        .database
        .open(App::builder("quickstart"))
        .await?
        .state(World {
            effects: options.effects.clone(),
            pace: options.pace,
        })
        .workflow(fulfil)
        .observe(move |event| observer.event(event))
        .launch()
        .await?;
    // What else there is to report has been written to standard error: this program has no log.
    let report = app.report().to_string();
    screen.line(Tone::Dim, report.lines().next().unwrap_or_default());

    let placed = Order {
        item: "a very good book".to_owned(),
        cents: 2_350,
        address: "12 Analytical Row".to_owned(),
    };
    // The id is an idempotency key: run again, this joins the order instead of placing a second one.
    let handle = app.start(fulfil, placed).id(order).await?;
    let row = app.workflow(order).await?;
    if row.status == Status::Pending && row.version.as_deref() != Some(app.version()) {
        screen.line(
            Tone::Red,
            format!("\norder {order} was begun by another version of this workflow, so it waits (see above)."),
        );
        app.shutdown(Duration::ZERO).await;
        return Ok(ExitCode::from(3));
    }
    let result = handle.result().await;
    show.table(&app).await?;
    match &result {
        Ok(receipt) => screen.line(
            Tone::Green,
            format!("\norder {order} is fulfilled: {receipt:?}"),
        ),
        Err(error) => screen.line(Tone::Red, format!("\norder {order} failed: {error}")),
    }
    let over = options.database.how_to_start_over(&[&options.effects]);
    let hint = if row.status.is_terminal() && !show.has_run() {
        "it was done before, so nothing ran now: this is what is recorded."
    } else {
        "run it again: nothing is repeated."
    };
    let hint = format!("{hint} Another order: --order NAME. To start over: {over}");
    screen.line(Tone::Dim, hint);
    app.shutdown(Duration::from_secs(5)).await;
    Ok(ExitCode::from(u8::from(result.is_err())))
}
