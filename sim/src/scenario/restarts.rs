//! Processes that are shut down cleanly again and again, or killed at each step: what only waits
//! and what gets on must end, and what does not end within the grace must be put away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use durable::{Error, Handle, prelude::*};
use durable_testkit::sim::{Chooser, Plan, Scenario, Seat, fact::Fact, here};
use futures_util::future::join;

const APPLICATION: &str = "restarts";

/// How long the grace of a shutdown is.
const GRACE: Duration = Duration::from_millis(50);

/// How long a process is down.
const DOWN: Duration = Duration::from_millis(20);

/// How many executions of a workflow are too many: twice as many as may count. One that a shutdown
/// ends before its body begins does not.
const TOO_MANY: usize = 26;

/// What the processes of a run know of each other.
#[derive(Default)]
struct Run {
    /// Processes kill themselves at steps, and are not shut down.
    climbs: bool,
    /// What is to be put away has been.
    done: AtomicBool,
    /// How often the body that hangs was begun.
    hung: AtomicUsize,
    /// How often each rung was begun.
    rungs: [AtomicUsize; 16],
}

/// Waits longer than most runs have restarts.
#[durable::workflow(max_recovery_attempts = 12)]
async fn waits(ctx: Ctx) -> Result<u8, AnyError> {
    ctx.sleep(Duration::from_secs(120)).await?;
    Ok(1)
}

/// Has a body that ends within no grace, and not before the workflow has been put away: one in a process
/// that stood still meanwhile would keep its execution, and the run, from ending.
#[durable::workflow(max_recovery_attempts = 12, allow(sleep))]
async fn hangs(ctx: Ctx) -> Result<u8, AnyError> {
    let run = ctx.state::<Arc<Run>>()?;
    let body = || async {
        if run.hung.fetch_add(1, Ordering::Relaxed) == TOO_MANY {
            here::fail("cut_off_counts", "a body that hangs is run again and again");
        }
        while !run.done.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        Err(AnyError::msg("it is put away"))
    };
    ctx.step("hangs", body).await
}

/// Kills its process at each step, the first time.
#[durable::workflow(max_recovery_attempts = 12)]
async fn climbs(ctx: Ctx) -> Result<u8, AnyError> {
    let run = ctx.state::<Arc<Run>>()?;
    for (nth, begun) in run.rungs.iter().enumerate() {
        let body = || async {
            if begun.fetch_add(1, Ordering::Relaxed) == 0 {
                here::crash(DOWN);
            }
            here::pause().await;
            Ok::<_, AnyError>(())
        };
        ctx.step(format!("rung {nth}"), body).await?;
    }
    Ok(1)
}

/// The scenario.
pub(super) fn draw(chooser: &mut Chooser, _plan: &Plan) -> Scenario {
    let run = Arc::new(Run {
        climbs: chooser.choose(2) == 1,
        ..Run::default()
    });
    let of_client = Arc::clone(&run);
    Scenario::new(move |seat| executor(seat, Arc::clone(&run)))
        .client(move |seat| client(seat, Arc::clone(&of_client)))
}

async fn executor(seat: Seat, run: Arc<Run>) {
    let app = seat
        .launch(APPLICATION, |builder| {
            let builder = builder.state(Arc::clone(&run)).queue("q");
            builder.workflow(waits).workflow(hangs).workflow(climbs)
        })
        .await;
    if run.climbs {
        return;
    }
    seat.sleep(Duration::from_millis(700)).await;
    if !run.done.load(Ordering::Relaxed) {
        seat.note("shuts down");
        app.shutdown(GRACE).await;
        here::crash(DOWN);
        here::pause().await;
    }
}

async fn client(seat: Seat, run: Arc<Run>) {
    let app = seat.launch(APPLICATION, |builder| builder).await;
    if run.climbs {
        let climbing = app.start(climbs, ()).id("climbs").queue("q").await;
        return see(&seat, "climbs", climbing, true).await;
    }
    let waiting = app.start(waits, ()).id("waits").queue("q").await;
    let hanging = app.start(hangs, ()).id("hangs").queue("q").await;
    let hung = async {
        see(&seat, "hangs", hanging, false).await;
        run.done.store(true, Ordering::Relaxed);
    };
    join(see(&seat, "waits", waiting, true), hung).await;
}

/// Waits for a workflow's end: well, or put away.
async fn see(seat: &Seat, id: &str, started: Result<Handle<u8>, Error>, well: bool) {
    let end = match started {
        Ok(handle) => {
            seat.tell(Fact::Started(id.into()));
            handle.result().await
        }
        Err(error) => return seat.fail("trouble_is_no_outcome", error.to_string()),
    };
    let told = match &end {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    };
    let dead = Error::DeadLettered {
        workflow: id.to_owned(),
    };
    if end.is_ok() != well || !well && told != dead.to_string() {
        seat.fail("only_crashes_count", format!("{id} ended with {told:?}"));
    }
}
