//! Workflows of five steps, started directly, as an application does it.

use durable::prelude::*;
use durable_pg::{Driver, PgSystemDb};
use serde::{Deserialize, Serialize};

use crate::load::{Load, Measured, STEPS, Trouble};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    cents: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Done {
    what: String,
    cents: u64,
}

#[durable::workflow]
async fn fulfil(ctx: Ctx, order: Order) -> Result<u64, AnyError> {
    let mut cents = 0;
    for name in STEPS {
        let step = || async {
            Ok::<_, AnyError>(Done {
                what: format!("{name} {}", order.item),
                cents: order.cents,
            })
        };
        cents += ctx.step(name, step).await?.cents;
    }
    Ok(cents)
}

/// Measures the engine on the database that the URL names.
pub(crate) async fn measure<D: Driver>(url: &str, load: Load) -> Result<Measured, Trouble> {
    let app = App::builder("bench")
        .backend(PgSystemDb::<D>::connect(url).await?)
        .workflow(fulfil)
        .launch()
        .await?;
    load.run(move |number| {
        let app = app.clone();
        async move {
            let order = Order {
                item: format!("book {number}"),
                cents: 1999,
            };
            let cents = app.start(fulfil, order).await?.result().await;
            let cents = cents.map_err(|error| error.to_string())?;
            assert_eq!(cents, 5 * 1999);
            Ok(())
        }
    })
    .await
}
