//! The load on crate `dbos`, as its documentation shows it: `durable-bench-peer CALLERS SECONDS`.

use dbos::{Config, DBOS};
use serde::{Deserialize, Serialize};

#[path = "../../src/load.rs"]
mod load;

use load::{Load, STEPS, Trouble};

/// As many connections as our own pool has.
const CONNECTIONS: u32 = 20;

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

async fn fulfil(order: Order) -> dbos::Result<u64> {
    let mut cents = 0;
    for name in STEPS {
        let step = || async {
            dbos::Result::Ok(Done {
                what: format!("{name} {}", order.item),
                cents: order.cents,
            })
        };
        cents += dbos::step(name, step).await?.cents;
    }
    Ok(cents)
}

#[tokio::main]
async fn main() -> Result<(), Trouble> {
    let arguments: Vec<String> = std::env::args().collect();
    let load = Load::of(&arguments)?;
    let dbos = DBOS::new(Config {
        max_connections: CONNECTIONS,
        app_version: Some("1".to_owned()),
        ..Config::new("bench", std::env::var(load::DATABASE)?)
    });
    let fulfil = dbos.register_workflow("fulfil", fulfil)?;
    dbos.launch().await?;
    let measured = load
        .run(move |number| {
            let fulfil = fulfil.clone();
            async move {
                let order = Order {
                    item: format!("book {number}"),
                    cents: 1999,
                };
                let cents = fulfil.run(order).await?;
                assert_eq!(cents, 5 * 1999);
                Ok(())
            }
        })
        .await?;
    println!("{measured}");
    Ok(())
}
