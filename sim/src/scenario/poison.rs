//! Workflows that kill every process that runs them: in a step, or already while their input is decoded.

use std::{cell::Cell, time::Duration};

use durable::prelude::*;
use durable_testkit::sim::{
    Chooser, Plan, Scenario, Seat,
    fact::Fact,
    here,
    invariant::{AttemptsAreCounted, Invariant},
};
use serde::{Deserialize, Deserializer, Serialize};

/// How long a process is down that was killed.
const DOWN: Duration = Duration::from_millis(300);

thread_local! {
    /// An input is encoded, and read back for that: it kills nobody yet.
    static ENCODES: Cell<bool> = const { Cell::new(false) };
}

/// An input that kills who decodes it to run the workflow.
#[derive(Clone, Copy, Debug, Serialize)]
struct Venom {
    in_decoding: bool,
}

impl<'de> Deserialize<'de> for Venom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Plain {
            in_decoding: bool,
        }
        let Plain { in_decoding } = Plain::deserialize(deserializer)?;
        if in_decoding && !ENCODES.get() {
            here::crash(DOWN);
        }
        Ok(Self { in_decoding })
    }
}

/// Kills every process that runs it, until it is put away.
#[durable::workflow(max_recovery_attempts = 2)]
async fn poison(ctx: Ctx, venom: Venom) -> Result<(), AnyError> {
    ctx.step("die", || async move {
        if !venom.in_decoding {
            here::crash(DOWN);
        }
        here::pause().await;
        Ok::<_, AnyError>(())
    })
    .await
}

/// Does no harm, and must end all the same.
#[durable::workflow]
async fn harmless(ctx: Ctx) -> Result<u32, AnyError> {
    ctx.step("one", || async { Ok::<_, AnyError>(1) }).await
}

/// Builds a start, which encodes the input.
fn encoding<T>(build: impl FnOnce() -> T) -> T {
    ENCODES.set(true);
    let start = build();
    ENCODES.set(false);
    start
}

/// How often it is tried again.
const RECOVERIES: u32 = 2;

/// What must hold besides what always must.
pub(super) fn invariants() -> Vec<Box<dyn Invariant>> {
    vec![Box::new(AttemptsAreCounted::with_limits([(
        "bad", RECOVERIES,
    )]))]
}

/// The scenario.
pub(super) fn draw(chooser: &mut Chooser, _plan: &Plan) -> Scenario {
    let in_decoding = chooser.choose(2) == 1;
    let venom = Venom { in_decoding };
    // By an executor, which runs it at once, or by the client, on a queue.
    let direct = chooser.choose(3) == 2;
    Scenario::new(move |seat: Seat| async move {
        let app = seat
            .launch("poison", |builder| {
                builder.workflow(poison).workflow(harmless).queue("q")
            })
            .await;
        if direct && seat.process() == 1 {
            let start = encoding(|| app.start(poison, venom));
            match start.id("bad").await {
                Ok(_) => seat.tell(Fact::Started("bad".into())),
                Err(error) => seat.fail_unless_shut_down(error),
            }
        }
    })
    .client(move |seat| client(seat, venom, direct))
}

/// A handle on the one that is started elsewhere, once it is there.
async fn there(seat: &Seat, handle: Handle<()>) -> Handle<()> {
    while handle.status().await.is_err() {
        seat.sleep(Duration::from_millis(200)).await;
    }
    handle
}

async fn client(seat: Seat, venom: Venom, direct: bool) {
    let app = seat.launch("poison", |builder| builder).await;
    let bad = if direct {
        Ok(there(&seat, app.handle(poison, "bad")).await)
    } else {
        let start = encoding(|| app.start(poison, venom));
        start.id("bad").queue("q").await
    };
    let good = app.start(harmless, ()).id("good").queue("q").await;
    let (Ok(bad), Ok(good)) = (bad, good) else {
        return seat.fail("trouble_is_no_outcome", "a start failed");
    };
    if !direct {
        seat.tell(Fact::Started("bad".into()));
    }
    seat.tell(Fact::Started("good".into()));
    match good.result().await {
        Ok(value) => seat.tell(Fact::Told {
            workflow: "good".into(),
            end: value.to_string(),
        }),
        Err(error) => seat.fail_unless_shut_down(error),
    }
    if let Ok(()) = bad.result().await {
        seat.fail("poison_is_put_away", "bad came to a good end");
    }
}
