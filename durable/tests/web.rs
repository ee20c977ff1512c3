//! The recipe of `docs/production.md`: a web server and its workflows end together, within the
//! grace, also with requests open that await results.

use std::{future::Future, io, time::Instant};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use durable::{App, prelude::*, sqlite::Sqlite};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const GRACE: Duration = Duration::from_secs(20);

#[durable::workflow]
async fn naps(ctx: Ctx) -> Result<(), AnyError> {
    ctx.sleep(Duration::from_hours(1)).await?;
    Ok(())
}

#[derive(Clone)]
struct Shop {
    app: App,
    /// Tells that a request is about to wait.
    waits: mpsc::UnboundedSender<()>,
}

/// Starts a workflow and waits for its result.
async fn order(State(shop): State<Shop>, Path(id): Path<String>) -> (StatusCode, String) {
    let handle = match shop.app.start(naps, ()).id(id).await {
        Ok(handle) => handle,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    };
    let _ = shop.waits.send(());
    answer(handle.result().await)
}

/// Waits for the result of a workflow that was started elsewhere.
async fn wait(State(shop): State<Shop>, Path(id): Path<String>) -> (StatusCode, String) {
    let _ = shop.waits.send(());
    answer(shop.app.handle(naps, id).result().await)
}

fn answer(result: Result<(), AnyError>) -> (StatusCode, String) {
    match result {
        Ok(()) => (StatusCode::OK, "done".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Serves until `stop`, and then ends within the grace.
async fn serve(
    listener: TcpListener,
    router: Router,
    app: App,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (close, closed) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = closed.await;
    });
    let end = async {
        stop.await;
        // No new requests; those that are open get their answers from the shutdown of the application.
        let _ = close.send(());
        app.shutdown(GRACE).await;
    };
    let (served, ()) = tokio::join!(server.into_future(), end);
    served
}

async fn request(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn a_server_ends_within_the_grace_with_requests_open_that_await_results() {
    let database = Sqlite::in_memory().await.unwrap();
    let builder = App::builder("shop").backend(database).workflow(naps);
    let app = builder.launch().await.unwrap();
    app.start(naps, ()).id("elsewhere").await.unwrap();
    let (waits, mut waiting) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/orders/{id}", get(order))
        .route("/results/{id}", get(wait))
        .with_state(Shop {
            app: app.clone(),
            waits,
        });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = [
        tokio::spawn(async move { request(port, "/orders/one").await }),
        tokio::spawn(async move { request(port, "/results/elsewhere").await }),
    ];
    let stop = async move {
        for _ in 0..2 {
            waiting.recv().await.expect("the server runs");
        }
    };
    let begin = Instant::now();
    serve(listener, router, app, stop).await.unwrap();
    assert!(begin.elapsed() < GRACE / 2, "it took {:?}", begin.elapsed());
    for request in requests {
        let response = request.await.unwrap();
        assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    }
}
