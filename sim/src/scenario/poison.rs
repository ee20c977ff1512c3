//! Workflows that kill every process that runs them: in a step, or already while their input is decoded.

use std::time::Duration;

use durable::prelude::*;
use durable_testkit::sim::{Chooser, Plan, Scenario, Seat, fact::Fact, here};
use serde::{Deserialize, Deserializer, Serialize};

/// How long a process is down that was killed.
const DOWN: Duration = Duration::from_millis(300);

/// An input that kills who decodes it.
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
        if in_decoding {
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

/// The scenario.
pub(super) fn draw(chooser: &mut Chooser, _plan: &Plan) -> Scenario {
    let in_decoding = chooser.choose(2) == 1;
    Scenario::new(|seat: Seat| async move {
        seat.launch("poison", |builder| {
            builder.workflow(poison).workflow(harmless).queue("q")
        })
        .await;
    })
    .client(move |seat| client(seat, Venom { in_decoding }))
}

async fn client(seat: Seat, venom: Venom) {
    let app = seat.launch("poison", |builder| builder).await;
    let bad = app.start(poison, venom).id("bad").queue("q").await;
    let good = app.start(harmless, ()).id("good").queue("q").await;
    let (Ok(bad), Ok(good)) = (bad, good) else {
        return seat.fail("trouble_is_no_outcome", "a start failed");
    };
    seat.tell(Fact::Started("bad".into()));
    seat.tell(Fact::Started("good".into()));
    match good.result().await {
        Ok(value) => seat.tell(Fact::Told {
            workflow: "good".into(),
            end: value.to_string(),
        }),
        Err(error) => seat.fail("trouble_is_no_outcome", error.to_string()),
    }
    if let Ok(()) = bad.result().await {
        seat.fail("poison_is_put_away", "bad came to a good end");
    }
}
