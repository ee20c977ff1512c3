//! What can be stored is tried: whatever is recorded can be read back, and an execution goes on with what its replays will read.

use durable::{Error, prelude::*, state::Status};
use serde::{Deserialize, Serialize};

use crate::support::{Tally, crash, on_every_backend, until_recorded};

#[derive(Debug, Serialize, Deserialize)]
enum Expr {
    Num,
    Not { inner: Box<Expr> },
}

impl Expr {
    fn nested(levels: usize) -> Self {
        (0..levels).fold(Self::Num, |inner, _| Self::Not {
            inner: Box::new(inner),
        })
    }

    fn levels(&self) -> usize {
        match self {
            Self::Num => 0,
            Self::Not { inner } => 1 + inner.levels(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Amount {
    Wei { value: u128 },
}

const RICH: Amount = Amount::Wei { value: u128::MAX };

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum BankError {
    #[error("{short} wei short")]
    Overdrawn { short: u128 },
    #[error("{error}")]
    Durable { error: Error },
}

impl From<Error> for BankError {
    fn from(error: Error) -> Self {
        Self::Durable { error }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: u8,
    #[serde(skip)]
    seen: bool,
}

/// One of everything that is stored, each of which could not be read back.
#[durable::workflow]
async fn unreadable(ctx: Ctx) -> Result<Vec<String>, Error> {
    let me = ctx.workflow_id().clone();
    let deep = ctx.step("deep", async || Ok::<_, Error>(Expr::nested(70)));
    let deep = deep.await.unwrap_err();
    let wei = ctx.step("wei", async || Ok::<_, Error>(RICH));
    let wei = wei.await.unwrap_err();
    let sent = ctx.send(&me, "topic", &Expr::nested(70)).await.unwrap_err();
    let event = ctx.set_event("key", &Expr::nested(70)).await.unwrap_err();
    let child = ctx.start(spends, RICH).await.unwrap_err();
    let called = ctx.call(spends, RICH).await.unwrap_err();
    let lost = ctx.step("error", async || {
        Err::<(), _>(BankError::Overdrawn { short: u128::MAX })
    });
    let lost = lost.await.unwrap_err();
    ctx.step("gate", || async {
        ctx.state::<Tally>()?.pass("gate").await;
        Ok::<_, Error>(())
    })
    .await?;
    let errors = [deep, wei, sent, event, child, called];
    let errors = errors.map(|error| format!("{} {error}", error.code()));
    Ok([errors.to_vec(), vec![lost.to_string()]].concat())
}

#[durable::workflow]
async fn spends(_ctx: Ctx, amount: Amount) -> Result<Amount, Error> {
    Ok(amount)
}

#[durable::workflow]
async fn earns(_ctx: Ctx) -> Result<Amount, Error> {
    Ok(RICH)
}

#[durable::workflow]
async fn overdraws(_ctx: Ctx) -> Result<(), BankError> {
    Err(BankError::Overdrawn { short: u128::MAX })
}

#[durable::workflow]
async fn as_deep_as_can_be(ctx: Ctx) -> Result<Expr, Error> {
    let deep = ctx.step("deep", async || Ok::<_, Error>(Expr::nested(60)));
    let deep = deep.await?;
    ctx.set_event("deep", &deep).await?;
    ctx.step("gate", || async {
        ctx.state::<Tally>()?.pass("gate").await;
        Ok::<_, Error>(())
    })
    .await?;
    Ok(deep)
}

#[durable::workflow]
async fn looks(ctx: Ctx) -> Result<bool, Error> {
    let order = ctx.step("order", async || {
        Ok::<_, Error>(Order { id: 1, seen: true })
    });
    let order = order.await?;
    Ok(order.id == 1 && order.seen)
}

on_every_backend! {
    async fn what_could_not_be_read_back_is_refused_where_it_is_made(world) {
        let tally = Tally::default();
        let launch = || async {
            world.builder().await.state(tally.clone()).workflow(unreadable).workflow(spends).launch().await.unwrap()
        };
        let app = launch().await;
        app.start(unreadable, ()).id("u").await.unwrap();
        tally.reached("gate").await;
        until_recorded(&app, "u", 7).await;
        crash(app).await;
        tally.open("gate");
        let app = launch().await;
        let errors = app.handle(unreadable, "u").result().await.unwrap();
        for error in &errors[..6] {
            assert!(error.starts_with("DURABLE_ENCODE"), "{error}");
            assert!(error.contains("store it flat") || error.contains("has to be a text"), "{error}");
        }
        assert!(errors[6].contains("wei short"), "{errors:?}");
        let error = app.start(spends, RICH).id("s").await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_ENCODE");
        assert_eq!(app.workflow("s").await.unwrap_err().code(), "DURABLE_NOT_FOUND");
        let error = app.send("u", "topic", &Expr::nested(70)).await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_ENCODE");
    }

    async fn an_outcome_that_could_not_be_read_back_is_the_workflows_error(world) {
        let app = world.builder().await.workflow(earns).workflow(overdraws).launch().await.unwrap();
        let error = app.start(earns, ()).id("e").await.unwrap().result().await.unwrap_err();
        assert_eq!(error.code(), "DURABLE_ENCODE");
        assert_eq!(app.workflow("e").await.unwrap().status, Status::Error);
        let error = app.start(overdraws, ()).id("o").await.unwrap().result().await.unwrap_err();
        assert!(error.to_string().contains("wei short"), "{error}");
    }

    async fn what_is_as_deep_as_can_be_is_read_again_by_every_reader(world) {
        let tally = Tally::default();
        let launch = || async {
            world.builder().await.state(tally.clone()).workflow(as_deep_as_can_be).launch().await.unwrap()
        };
        let app = launch().await;
        app.start(as_deep_as_can_be, ()).id("d").await.unwrap();
        tally.reached("gate").await;
        let event: Expr = app.get_event("d", "deep", Duration::from_secs(30)).await.unwrap().unwrap();
        assert_eq!(event.levels(), 60);
        crash(app).await;
        tally.open("gate");
        let deep = launch().await.handle(as_deep_as_can_be, "d").result().await.unwrap();
        assert_eq!(deep.levels(), 60);
    }

    async fn a_step_gives_what_its_replays_will_read(world) {
        let app = world.builder().await.workflow(looks).launch().await.unwrap();
        assert!(!app.start(looks, ()).await.unwrap().result().await.unwrap());
    }
}
