//! A Rust application and a Python one on the real dbos share a Postgres database, and talk across the border both ways.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use durable::{
    Error,
    pg_sqlx::{Postgres, SqlxDriver},
    prelude::*,
    state::Status,
};
use durable_testkit::pg::TestDb;
use serde_json::{Value, json};

mod peer;

use peer::Peer;

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
enum ShopError {
    #[error("card declined")]
    Declined { cents: u64 },
    #[error(transparent)]
    Durable(#[from] Error),
}

#[durable::workflow]
async fn checkout(ctx: Ctx, order: String, cents: u64) -> Result<String, ShopError> {
    let paid = ctx
        .step("charge", || async {
            if order.is_empty() {
                return Err(ShopError::Declined { cents });
            }
            Ok(cents)
        })
        .await?;
    Ok(format!("{order}: {paid} cents"))
}

/// Says that it is there, waits for news, and tells how far it is.
#[durable::workflow]
async fn listen(ctx: Ctx) -> Result<Value, ShopError> {
    let news = ctx
        .recv::<Value>("news", Duration::from_secs(60))
        .await?
        .unwrap_or_default();
    ctx.set_event("progress", &json!({"heard": news})).await?;
    Ok(news)
}

/// A step, and then a long wait.
#[durable::workflow]
async fn wait_long(ctx: Ctx) -> Result<u32, ShopError> {
    let n = ctx.step("once", || async { Ok::<_, ShopError>(1) }).await?;
    let more = ctx.recv::<u32>("go", Duration::from_secs(60)).await?;
    Ok(n + more.unwrap_or_default())
}

// The workflows of the Python program: their names and types.

#[durable::workflow]
async fn greet(_ctx: Ctx, _name: String, _punctuation: String) -> Result<String, ShopError> {
    unreachable!("it runs in Python")
}

#[durable::workflow]
async fn await_mail(_ctx: Ctx) -> Result<Value, ShopError> {
    unreachable!("it runs in Python")
}

#[durable::workflow]
async fn tell(_ctx: Ctx, _destination: String) -> Result<Value, ShopError> {
    unreachable!("it runs in Python")
}

struct Border {
    app: App,
    peer: Arc<Peer>,
    _database: TestDb<SqlxDriver>,
}

impl Border {
    async fn new() -> Self {
        let database = TestDb::<SqlxDriver>::migrated().await;
        let url = database.url().to_owned();
        let started = tokio::task::spawn_blocking(move || Peer::start(&url));
        let app = App::builder("shop")
            .version("v1")
            .executor_id("till-1")
            .backend(Postgres::connect(database.url()).await.unwrap())
            .workflow(checkout)
            .workflow(listen)
            .workflow(wait_long)
            .queue("orders")
            .poll_interval(Duration::from_millis(100))
            .launch()
            .await
            .unwrap();
        Self {
            app,
            peer: Arc::new(started.await.unwrap()),
            _database: database,
        }
    }

    /// What the Python program answers.
    async fn ask(&self, command: Value) -> Value {
        let peer = Arc::clone(&self.peer);
        let asked = tokio::task::spawn_blocking(move || peer.ask(&command));
        let bounded = tokio::time::timeout(Duration::from_secs(40), asked).await;
        bounded.expect("it answers").unwrap()
    }

    async fn enqueue_here(&self, name: &str, id: &str, arguments: Value) {
        let command = json!({"do": "enqueue", "name": name, "queue": "orders", "id": id, "application": "shop", "arguments": arguments});
        assert_eq!(self.ask(command).await, json!(id));
    }

    async fn until(&self, id: &str, status: Status) {
        let begun = Instant::now();
        loop {
            let found = self.app.workflow(id).await.map(|row| row.status);
            if found.as_ref().is_ok_and(|found| *found == status) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{id} is {found:?}, not {status}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a workflow has recorded so many steps.
    async fn recorded(&self, id: &str, count: usize) {
        let begun = Instant::now();
        while self.app.steps(id).await.unwrap().len() < count {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{id}: no {count} steps"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn seconds_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

/// One Python program serves all: it takes two seconds to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rust_and_python_share_a_database() {
    let border = Border::new().await;
    python_enqueues_and_rust_runs(&border).await;
    rust_enqueues_and_python_runs(&border).await;
    messages_and_events_cross(&border).await;
    an_event_wakes_a_reader_in_python_within_a_second(&border).await;
    python_cancels_and_resumes_what_rust_runs(&border).await;
    rust_cancels_and_resumes_what_python_runs(&border).await;
    python_lists_our_workflows_and_steps(&border).await;
    border.app.shutdown(Duration::from_secs(5)).await;
}

async fn python_enqueues_and_rust_runs(border: &Border) {
    border
        .enqueue_here("checkout", "order-1", json!(["Ada", 2350]))
        .await;
    let result = border.ask(json!({"do": "result", "id": "order-1"})).await;
    assert_eq!(result, json!({"value": "Ada: 2350 cents"}));
    border
        .enqueue_here("checkout", "order-2", json!(["", 7]))
        .await;
    let result = border.ask(json!({"do": "result", "id": "order-2"})).await;
    let fields = json!({"name": "Declined", "message": "card declined", "code": null, "data": {"Declined": {"cents": 7}}});
    assert_eq!(
        result,
        json!({"error": "PortableWorkflowError", "fields": fields})
    );
}

async fn rust_enqueues_and_python_runs(border: &Border) {
    let there = |name: &str, id: &str| {
        let start = border.app.start(greet, (name.to_owned(), "!".to_owned()));
        start.id(id).application("snake").queue("py-queue")
    };
    let handle = there("ada", "greeting-1").await.unwrap();
    assert_eq!(handle.result().await.unwrap(), "hello ADA!");
    let error = there("", "greeting-2")
        .await
        .unwrap()
        .result()
        .await
        .unwrap_err();
    let ShopError::Durable(Error::Recorded { name, message, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!((&*name, &*message), ("ValueError", "nobody is named"));
    let row = border.app.workflow("greeting-1").await.unwrap();
    assert_eq!(row.application.as_deref(), Some("snake"));
    assert_eq!(row.version.as_deref(), Some("snake-1"));
}

async fn messages_and_events_cross(border: &Border) {
    let app = &border.app;
    // Python sends, by its client and by a workflow; what a workflow of ours publishes, a workflow there reads.
    let ears = app.start(listen, ()).id("ears").await.unwrap();
    let teller = app.start(tell, "ears".to_owned()).id("teller");
    let teller = teller.application("snake").queue("py-queue").await.unwrap();
    assert_eq!(ears.result().await.unwrap(), json!({"from": "python"}));
    let told = teller.result().await.unwrap();
    assert_eq!(told, json!({"heard": {"from": "python"}}));
    let ears = app.start(listen, ()).id("ears-2").await.unwrap();
    border
        .ask(json!({"do": "send", "id": "ears-2", "topic": "news", "message": [1, null]}))
        .await;
    assert_eq!(ears.result().await.unwrap(), json!([1, null]));
    // We send, and read what a workflow there publishes.
    let mailbox = app.start(await_mail, ()).id("mailbox");
    let mailbox = mailbox
        .application("snake")
        .queue("py-queue")
        .await
        .unwrap();
    let ready: Option<Value> = app
        .get_event("mailbox", "ready", Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(ready, Some(json!({"n": 7})));
    app.send("mailbox", "news", &json!({"a": 1})).await.unwrap();
    assert_eq!(mailbox.result().await.unwrap(), json!({"a": 1}));
}

async fn an_event_wakes_a_reader_in_python_within_a_second(border: &Border) {
    let ears = border.app.start(listen, ()).id("ears-3").await.unwrap();
    let waiting =
        border.ask(json!({"do": "get_event", "id": "ears-3", "key": "progress", "timeout": 30}));
    let set = async {
        // It reads first: 30 s pass, or a minute, unless it is woken.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        border.app.send("ears-3", "news", &1).await.unwrap();
        ears.result().await.unwrap();
        seconds_now()
    };
    let (read, set) = tokio::join!(waiting, set);
    assert_eq!(read["value"], json!({"heard": 1}));
    let late = read["at"].as_f64().unwrap() - set;
    assert!(late < 1.0, "it woke {late} s after the event");
    let waited = read["waited"].as_f64().unwrap();
    assert!(waited > 0.5, "it was there before the reader: {waited} s");
}

async fn python_cancels_and_resumes_what_rust_runs(border: &Border) {
    let app = &border.app;
    let handle = app.start(wait_long, ()).id("long").await.unwrap();
    border.recorded("long", 2).await;
    border.ask(json!({"do": "cancel", "id": "long"})).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), handle.result()).await;
    let error = ended.expect("its handle hears of it").unwrap_err();
    assert!(
        matches!(error, ShopError::Durable(Error::Cancelled { .. })),
        "{error:?}"
    );
    border.ask(json!({"do": "resume", "id": "long"})).await;
    border.until("long", Status::Pending).await;
    app.send("long", "go", &41).await.unwrap();
    assert_eq!(app.handle(wait_long, "long").result().await.unwrap(), 42);
    let steps = app.steps("long").await.unwrap();
    assert_eq!(steps.iter().filter(|step| step.name == "once").count(), 1);
}

async fn rust_cancels_and_resumes_what_python_runs(border: &Border) {
    let app = &border.app;
    let mailbox = app.start(await_mail, ()).id("mailbox-2");
    mailbox
        .application("snake")
        .queue("py-queue")
        .await
        .unwrap();
    border.recorded("mailbox-2", 1).await;
    assert!(app.cancel("mailbox-2").await.unwrap());
    let result = border.ask(json!({"do": "result", "id": "mailbox-2"})).await;
    assert_eq!(result["error"], json!("DBOSAwaitedWorkflowCancelledError"));
    assert!(app.resume("mailbox-2").await.unwrap());
    border.until("mailbox-2", Status::Pending).await;
    app.send("mailbox-2", "news", &"again").await.unwrap();
    let result = border.ask(json!({"do": "result", "id": "mailbox-2"})).await;
    assert_eq!(result, json!({"value": "again"}));
}

async fn python_lists_our_workflows_and_steps(border: &Border) {
    let listed = border
        .ask(json!({"do": "list", "application": "shop"}))
        .await;
    let of = |id: &str| {
        let rows = listed.as_array().unwrap();
        let row = rows.iter().find(|row| row["workflow_id"] == id);
        row.unwrap_or_else(|| panic!("{id} is not in {listed:#}"))
            .clone()
    };
    let good = of("order-1");
    assert_eq!(good["status"], "SUCCESS");
    assert_eq!(good["name"], "checkout");
    assert_eq!(good["executor_id"], "till-1");
    assert_eq!(good["app_version"], "v1");
    assert_eq!(good["queue_name"], "orders");
    assert_eq!(good["output"], "Ada: 2350 cents");
    let bad = of("order-2");
    assert_eq!(
        (&bad["status"], &bad["error"]),
        (&json!("ERROR"), &json!("card declined"))
    );
    let steps = border.ask(json!({"do": "steps", "id": "ears"})).await;
    let names: Vec<_> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["function_name"])
        .collect();
    assert!(
        names.contains(&&json!("DBOS.recv")) && names.contains(&&json!("DBOS.setEvent")),
        "{steps:#}"
    );
    assert_eq!(steps[0]["function_id"], 1);
    assert_eq!(steps[0]["output"], json!({"from": "python"}));
}
