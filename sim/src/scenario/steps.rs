//! One workflow of five steps, which every executor starts under the same id: the measure of speed.

use durable::prelude::*;
use durable_testkit::sim::{
    Chooser, Plan, Scenario, Seat,
    fact::{Awaits, Fact},
};

/// Five steps, each of which depends on the one before.
#[durable::workflow]
async fn five(ctx: Ctx, start: u64) -> Result<u64, AnyError> {
    let mut value = start;
    for name in ["one", "two", "three", "four", "five"] {
        value = ctx
            .step(name, || async { Ok::<_, AnyError>(value + 1) })
            .await?;
    }
    Ok(value)
}

async fn executor(seat: Seat) {
    let app = seat.launch("steps", |builder| builder.workflow(five)).await;
    let handle = match app.start(five, 1).id("order-1").await {
        Ok(handle) => handle,
        Err(error) => return seat.fail_unless_shut_down(error),
    };
    seat.tell(Fact::Started("order-1".into()));
    let asking = seat.awaits(Awaits::End("order-1".into()));
    let result = handle.result().await;
    drop(asking);
    match result {
        Ok(value) => {
            seat.tell(Fact::Told {
                workflow: "order-1".into(),
                end: value.to_string(),
            });
            if value != 6 {
                seat.fail(
                    "the_result_is_right",
                    format!("order-1 gave {value}, not 6"),
                );
            }
        }
        Err(error) => seat.fail_unless_shut_down(error),
    }
}

/// The scenario.
pub(super) fn draw(_chooser: &mut Chooser, _plan: &Plan) -> Scenario {
    Scenario::new(executor)
}
