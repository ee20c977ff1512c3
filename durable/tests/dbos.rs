//! The command line and the client of the real `dbos` read what this library writes, and it reads what they write.

use std::{path::Path, time::Duration};

use durable::{Error, prelude::*, sqlite::Sqlite};
use durable_testkit::Dbos;
use serde_json::{Value, json};

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
enum ShopError {
    #[error("card declined")]
    Declined,
    #[error(transparent)]
    Durable(#[from] Error),
}

#[durable::step]
async fn charge(order: String) -> Result<u64, ShopError> {
    if order.is_empty() {
        return Err(ShopError::Declined);
    }
    Ok(2_350)
}

#[durable::workflow]
async fn parcel(ctx: Ctx, order: String) -> Result<String, ShopError> {
    ctx.set_event("state", "packed").await?;
    Ok(format!("parcel of {order}"))
}

#[durable::workflow]
async fn checkout(ctx: Ctx, order: String) -> Result<String, ShopError> {
    let cents = charge(&ctx, order.clone()).await?;
    ctx.sleep(Duration::from_millis(1)).await?;
    let parcel = ctx.start(parcel, order).await?.result().await?;
    Ok(format!("{parcel}: {cents} cents"))
}

async fn shop(path: &Path) -> App {
    let database = Sqlite::open(path).await.unwrap();
    App::builder("shop")
        .version("v1")
        .executor_id("till-1")
        .backend(database)
        .workflow(checkout)
        .workflow(parcel)
        .queue(Queue::new("orders"))
        .launch()
        .await
        .unwrap()
}

/// What the command line prints about workflows.
fn told(dbos: &Dbos, path: &Path, arguments: &[&str]) -> Value {
    let url = url(path);
    let mut call = vec!["workflow"];
    call.extend(arguments);
    call.extend(["--sys-db-url", &url]);
    serde_json::from_str(&dbos.cli(&call)).unwrap()
}

fn url(path: &Path) -> String {
    format!("sqlite:///{}", path.display())
}

/// These members of each object of a list.
fn members(list: &Value, names: &[&str]) -> Vec<Vec<Value>> {
    let objects = list.as_array().unwrap().iter();
    objects
        .map(|object| names.iter().map(|name| object[name].clone()).collect())
        .collect()
}

#[tokio::test]
async fn our_workflows_and_their_steps_are_listed_by_the_command_line_of_dbos() {
    let dbos = Dbos::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let app = shop(&path).await;
    let good = app.start(checkout, "Ada".to_owned()).id("order-1");
    good.await.unwrap().result().await.unwrap();
    let bad = app.start(checkout, String::new()).id("order-2");
    bad.await.unwrap().result().await.unwrap_err();
    let waiting = app.start(checkout, "Bob".to_owned()).id("order-3");
    waiting.queue("nobody's").await.unwrap();

    let mut list = told(&dbos, &path, &["list"]);
    // It is in the order of their starts, of which two may be in one millisecond.
    let id = |workflow: &Value| workflow["workflow_id"].to_string();
    list.as_array_mut().unwrap().sort_by_key(id);
    let columns = [
        "workflow_id",
        "status",
        "name",
        "input",
        "output",
        "queue_name",
    ];
    let input = |order: &str| json!({"args": [order], "kwargs": {}});
    let expected = json!([
        [
            "order-1",
            "SUCCESS",
            "checkout",
            input("Ada"),
            "parcel of Ada: 2350 cents",
            null
        ],
        [
            "order-1-3",
            "SUCCESS",
            "parcel",
            input("Ada"),
            "parcel of Ada",
            null
        ],
        ["order-2", "ERROR", "checkout", input(""), null, null],
        [
            "order-3",
            "ENQUEUED",
            "checkout",
            input("Bob"),
            null,
            "nobody's"
        ],
    ]);
    assert_eq!(json!(members(&list, &columns)), expected);
    assert_eq!(list[1]["parent_workflow_id"], "order-1");
    assert_eq!(list[0]["application_name"], "shop");
    assert_eq!(list[0]["app_version"], "v1");
    assert_eq!(list[0]["executor_id"], "till-1");
    assert!(
        list[2]["error"].to_string().contains("card declined"),
        "{list}"
    );

    let steps = told(&dbos, &path, &["steps", "order-1"]);
    let columns = ["function_id", "function_name", "child_workflow_id", "error"];
    let expected = json!([
        [1, "charge", null, null],
        [2, "DBOS.sleep", null, null],
        [3, "parcel", "order-1-3", null],
        [4, "DBOS.getResult", "order-1-3", null],
    ]);
    assert_eq!(json!(members(&steps, &columns)), expected);
    assert_eq!(steps[0]["output"], 2_350);
    assert_eq!(told(&dbos, &path, &["get", "order-1"]), list[0]);
    app.shutdown(Duration::from_secs(10)).await;
}

/// Enqueues a workflow for any language, waits for its result, and prints that and what the workflow published.
const CLIENT: &str = "
import json, sys
from dbos import DBOSClient, WorkflowSerializationFormat
client = DBOSClient(system_database_url=sys.argv[1])
handle = client.enqueue({
    'queue_name': 'orders',
    'workflow_name': 'checkout',
    'workflow_id': 'order-1',
    'app_version': 'v1',
    'serialization_type': WorkflowSerializationFormat.PORTABLE,
}, 'Ada')
result = handle.get_result()
print(json.dumps([result, client.get_event('order-1-3', 'state', 1)]))
client.destroy()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_the_client_of_dbos_enqueues_is_done_and_it_gets_the_result() {
    let dbos = Dbos::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    dbos.cli(&["migrate", "--sys-db-url", &url(&path)]);
    let app = shop(&path).await;
    let client = tokio::task::spawn_blocking(move || dbos.script(CLIENT, &[&url(&path)]));
    let printed = client.await.unwrap();
    let expected = json!(["parcel of Ada: 2350 cents", "packed"]);
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), expected);
    app.shutdown(Duration::from_secs(10)).await;
}
