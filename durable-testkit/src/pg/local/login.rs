//! What a URL that does not lead to a database comes to.

use std::time::{Duration, Instant};

use durable_pg::{Driver, PgSystemDb};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use super::{Server, free_port};
use crate::pg::Bare;

/// A password that must be seen nowhere.
const PASSWORD: &str = "correct-horse-battery";

/// Opens a database by URLs that lead nowhere, to something else, or are not let in; prints what came of each. Panics where an error does not
/// say what is wrong and where, or shows the password.
pub async fn wrong_urls<D: Driver>() {
    let server = Server::options()
        .access("host all ann 127.0.0.1/32 scram-sha-256")
        .start()
        .await;
    Bare::<D>::connect(&server.url())
        .await
        .batch(&format!("CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}'"))
        .await;
    let port = server.port();
    let nobody = free_port().expect("a free port");
    let (silent, silent_port) = listening().await;
    let (other, other_port) = listening().await;
    let other = tokio::spawn(async move {
        while let Ok((mut client, _)) = other.accept().await {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let with = |place: &str, more: &str| format!("postgres://ann:{PASSWORD}@{place}/{more}");
    let here = format!("127.0.0.1:{port}");
    let cases = [
        (
            format!("postgres://ann:{PASSWORD}-not@{here}/postgres"),
            vec![
                here.clone(),
                "password authentication failed".into(),
                "\"ann\"".into(),
            ],
        ),
        (
            format!("postgres://ann@{here}/postgres"),
            vec![here.clone(), "password".into()],
        ),
        (
            with(&here, "nothing"),
            vec![here.clone(), "database \"nothing\" does not exist".into()],
        ),
        (
            with(&format!("127.0.0.1:{nobody}"), "x"),
            vec![format!("127.0.0.1:{nobody}"), "refused".into()],
        ),
        (
            with("no-such-host.invalid", "x"),
            vec!["no-such-host.invalid:5432".into()],
        ),
        (
            with(&format!("127.0.0.1:{silent_port}"), "x?connect_timeout=1"),
            vec![
                format!("127.0.0.1:{silent_port}"),
                "no answer within 1s".into(),
            ],
        ),
        (
            with(&format!("127.0.0.1:{other_port}"), "x"),
            vec![format!("127.0.0.1:{other_port}")],
        ),
        (
            with(&here, "postgres?sslmod=require"),
            vec!["\"sslmod\" is unknown; did you mean sslmode?".into()],
        ),
        (
            with(&format!("127.0.0.1:{nobody},127.0.0.1:{other_port}"), "x"),
            vec![format!("none of the servers: 127.0.0.1:{nobody}")],
        ),
    ];
    let mut wrong = Vec::new();
    for (url, words) in cases {
        let begun = Instant::now();
        let said = match PgSystemDb::<D>::connect(&url).await {
            Ok(_) => "it is opened".to_owned(),
            Err(error) => format!("{error} {error:#?}"),
        };
        let (_, place) = url.split_once('@').unwrap_or(("", &url));
        println!(
            "{place:44} {}",
            said.split(" DriverError {").next().unwrap_or(&said)
        );
        let is_told = words.iter().all(|words| said.contains(words.as_str()));
        if !is_told || said.contains(PASSWORD) || begun.elapsed() > Duration::from_secs(5) {
            wrong.push(format!("{place}, after {:?}: {said}", begun.elapsed()));
        }
    }
    other.abort();
    drop(silent);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let opened = PgSystemDb::<D>::connect(&with(&here, "postgres")).await;
    let opened = opened.unwrap_or_else(|error| panic!("{error}"));
    let shown = format!(
        "{opened:?} {:?} {:?}",
        opened.driver(),
        PgSystemDb::<D>::options(with(&here, "x"))
    );
    assert!(!shown.contains(PASSWORD), "{shown}");
}

async fn listening() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}
