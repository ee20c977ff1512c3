//! What a test can do.

use std::{
    collections::BTreeSet,
    future::IntoFuture as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use durable::{prelude::*, state::Status};
use durable_testkit::TestApp;

use crate::shop::{DAY, ShopError, checkout, parent, patient};

#[durable::test]
async fn an_order_is_paid_and_thirty_days_pass_at_once(t: TestApp) -> Result<(), ShopError> {
    let began = std::time::Instant::now();
    let app = t.launch(|app| app.workflow(checkout)).await;
    let handle = app.start(checkout, "book".to_owned()).id("order-1").await?;
    t.advance(Duration::from_secs(3600)).await;
    assert_eq!(handle.status().await?, Status::Pending);
    t.send("order-1", "paid", "Ada").await?;
    assert_eq!(t.wait_for_event::<u64>("order-1", "shipped").await?, 4);
    assert_eq!(handle.result().await?, "book is paid by Ada");
    assert_eq!(
        t.steps("order-1"),
        [
            "charge",
            "DBOS.recv",
            "DBOS.sleep",
            "DBOS.setEvent",
            "DBOS.sleep"
        ]
    );
    assert_eq!(t.outputs::<u64>("order-1", "charge")?, [4]);
    let elapsed = t.elapsed();
    assert!(elapsed >= 30 * DAY && elapsed < 31 * DAY, "{elapsed:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[durable::test]
async fn an_order_that_nobody_pays_is_given_up_after_a_week(t: TestApp) -> Result<(), ShopError> {
    let app = t.launch(|app| app.workflow(checkout)).await;
    let handle = app.start(checkout, "book".to_owned()).await?;
    assert_eq!(handle.result().await?, "book was never paid");
    assert!(t.elapsed() >= 7 * DAY);
    Ok(())
}

#[durable::test]
async fn a_step_fails_as_often_as_the_test_says(t: TestApp) -> Result<(), ShopError> {
    t.fail_step("charge", 1, ShopError::Bank);
    t.fail_step("charge", 2, ShopError::Bank);
    let app = t.launch(|app| app.workflow(checkout)).await;
    let handle = app.start(checkout, "book".to_owned()).id("order-1").await?;
    t.send("order-1", "paid", "Ada").await?;
    t.wait_for_event::<u64>("order-1", "shipped").await?;
    // Between 1 s and 2 s of back-off have passed, give or take their jitter.
    assert!(t.elapsed() >= Duration::from_secs(2), "{:?}", t.elapsed());
    assert_eq!(handle.result().await?, "book is paid by Ada");
    Ok(())
}

#[durable::test]
async fn a_step_fails_for_good_and_its_error_is_recorded(t: TestApp) {
    for attempt in 1..=4 {
        t.fail_step("charge", attempt, ShopError::Declined);
    }
    let app = t.launch(|app| app.workflow(checkout)).await;
    let handle = app
        .start(checkout, "book".to_owned())
        .id("order-1")
        .await
        .unwrap();
    assert_eq!(handle.result().await, Err(ShopError::Declined));
    assert_eq!(t.errors("order-1", "charge"), Ok(vec![ShopError::Declined]));
    assert_eq!(t.outputs::<u64>("order-1", "charge"), Ok(vec![]));
}

#[durable::test]
async fn after_a_crash_the_next_app_goes_on(t: TestApp) -> Result<(), ShopError> {
    let first = t.launch(|app| app.workflow(checkout)).await;
    first
        .start(checkout, "book".to_owned())
        .id("order-1")
        .await?;
    t.wait_for_step("order-1", "charge").await;
    t.advance(Duration::from_secs(1)).await;
    t.crash(&first);
    let second = t.launch(|app| app.workflow(checkout)).await;
    t.send("order-1", "paid", "Ada").await?;
    let handle = second.handle(checkout, "order-1");
    assert_eq!(handle.result().await?, "book is paid by Ada");
    assert_eq!(second.workflow("order-1").await?.attempts, 2);
    Ok(())
}

#[durable::test]
async fn workflows_on_queues_and_children_run(t: TestApp) -> Result<(), ShopError> {
    let app = t
        .launch(|app| app.workflow(parent).workflow(patient).queue("mail"))
        .await;
    let handle = app.start(parent, Some("mail".to_owned())).id("p").await?;
    let answer = t.spawn({
        let t = t.clone();
        async move {
            t.wait_for_step("p", "patient").await;
            t.send("p-1", "paid", &7).await
        }
    });
    assert_eq!(handle.result().await?, Some(7));
    answer.await?;
    assert_eq!(t.steps("p"), ["patient", "DBOS.getResult"]);
    Ok(())
}

/// Time-outs and sleeps of tokio's in a step are virtual too, whether or not anything of the engine's is to come.
#[durable::test]
async fn timers_of_tokio_are_virtual(t: TestApp) -> Result<(), AnyError> {
    let app = t.launch(|app| app.workflow(slow)).await;
    let handle = app.start(slow, ()).await?;
    tokio::time::sleep(2 * DAY).await;
    assert_eq!(handle.result().await?, 3);
    let elapsed = t.elapsed();
    assert!(elapsed >= 2 * DAY && elapsed < 3 * DAY, "{elapsed:?}");
    Ok(())
}

#[durable::step(timeout = "24h")]
async fn wait() -> Result<u32, AnyError> {
    tokio::time::sleep(Duration::from_secs(5 * 3600)).await;
    let forever = std::future::pending::<()>();
    let ended = tokio::time::timeout(Duration::from_secs(3600), forever).await;
    Ok(u32::from(ended.is_err()) + 2)
}

#[durable::workflow]
async fn slow(ctx: Ctx) -> Result<u32, AnyError> {
    wait(&ctx).await
}

/// Which of two workflows comes first is seen both ways in twenty orders.
#[durable::test(seeds = 20)]
async fn other_seeds_try_other_orders(t: TestApp) -> Result<(), AnyError> {
    static SEEN: Mutex<BTreeSet<Vec<String>>> = Mutex::new(BTreeSet::new());
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let log = Arc::new(Log::default());
    let state = Arc::clone(&log);
    let app = t.launch(|app| app.state(state).workflow(logs)).await;
    let (a, b) = (
        app.start(logs, "a".to_owned()),
        app.start(logs, "b".to_owned()),
    );
    let (a, b) = tokio::join!(a.into_future(), b.into_future());
    a?.result().await?;
    b?.result().await?;
    let seen = log.0.lock().unwrap().clone();
    SEEN.lock().unwrap().insert(seen);
    if RUNS.fetch_add(1, Ordering::Relaxed) == 19 {
        let seen = SEEN.lock().unwrap().clone();
        assert_eq!(seen.len(), 2, "{seen:?}");
    }
    Ok(())
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

#[durable::workflow]
async fn logs(ctx: Ctx, name: String) -> Result<(), AnyError> {
    let log = ctx.state::<Arc<Log>>()?;
    let step = || async {
        log.0.lock().unwrap().push(name.clone());
        Ok::<_, AnyError>(())
    };
    ctx.step("log", step).await
}

/// A real socket needs real time.
#[durable::test(real_time)]
async fn in_real_time_sockets_work(t: TestApp) -> Result<(), AnyError> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let served = t.spawn(async move {
        let (mut socket, _) = listener.accept().await?;
        socket.write_all(b"9").await
    });
    let app = t.launch(|app| app.workflow(fetches)).await;
    t.fail_step("fetch", 1, AnyError::msg("no route"));
    let handle = app.start(fetches, address).id("f").await?;
    assert_eq!(handle.result().await?, 9);
    served.await?;
    assert_eq!(t.steps("f"), ["fetch"]);
    return Ok(());

    #[durable::step(max_attempts = 2, backoff = "1ms..1ms")]
    async fn fetch(address: &str) -> Result<u64, AnyError> {
        let mut socket = tokio::net::TcpStream::connect(address).await?;
        let mut text = String::new();
        socket.read_to_string(&mut text).await?;
        Ok(text.parse()?)
    }

    #[durable::workflow]
    async fn fetches(ctx: Ctx, address: String) -> Result<u64, AnyError> {
        fetch(&ctx, &address).await
    }
}
