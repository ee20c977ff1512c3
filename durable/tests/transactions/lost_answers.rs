//! A commit that happened and whose answer does not come back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use durable::prelude::*;
use durable_pg::{Driver, PgDataSource, PgSystemDb};
use durable_testkit::faults::Faulty;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    bank::{Acts, Bank, perform},
    place::{Kind, Layout, Place},
    support::{Tally, bounded},
};

/// What a closure says on the connection whose next commit's answer is to be lost.
const MARK: &str = "cut the answer of my commit";

/// Stands between a client and the server, and cuts a connection that said [`MARK`] when its commit has happened.
struct Cutter {
    url: String,
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, database) = rest.split_once('/').unwrap();
        let (user, there) = authority.rsplit_once('@').unwrap();
        let (database, _) = database.split_once('?').unwrap_or((database, ""));
        let url = format!("{scheme}://{user}@{here}/{database}?sslmode=disable");
        let (there, cuts) = (there.to_owned(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&there).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&counted)));
            }
        });
        Self { url, cuts }
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cuts: Arc<AtomicUsize>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let (mut marked, mut committing) = (false, false);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(1..) = read else { return };
                let said = &up[..read.unwrap()];
                marked |= has(said, MARK);
                committing |= marked && has(said, "COMMIT\0");
                if server.write_all(said).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(1..) = read else { return };
                let answer = &down[..read.unwrap()];
                if committing && has(answer, "COMMIT\0") {
                    cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if client.write_all(answer).await.is_err() { return }
            }
        }
    }
}

async fn opened<D: Driver>(
    place: &Place,
    system: &str,
    bank: &str,
) -> (PgSystemDb<D>, PgDataSource<D>) {
    let system = PgSystemDb::<D>::options(system)
        .pool_size(5)
        .connect()
        .await
        .unwrap();
    let bank = match place.layout {
        Layout::System => system.data_source(),
        Layout::Other => PgDataSource::connect(bank).await.unwrap(),
    };
    (system, bank)
}

async fn a_commit_whose_answer_is_lost_is_found_and_not_made_twice(place: Place) {
    let tally = Tally::default();
    let counted = tally.clone();
    let acts = Acts::default().with("act", move |mut tx| {
        let tally = counted.clone();
        Box::pin(async move {
            tally.hit("act");
            tx.run("INSERT INTO ledger VALUES ('once', 1)").await?;
            tx.run(&format!("SELECT '{MARK}'")).await?;
            Ok(7)
        })
    });
    let cutter = Cutter::before(&place.bank_at()).await;
    let (db, bank): (Arc<dyn durable::db::SystemDb>, Bank) = match &place.kind {
        Kind::Sqlx(pair) => {
            let system = if place.layout == Layout::System {
                &cutter.url
            } else {
                pair.system.url()
            };
            let (db, bank) = opened(&place, system, &cutter.url).await;
            (Arc::new(db), Bank::Sqlx(bank))
        }
        Kind::Diesel(pair) => {
            let system = if place.layout == Layout::System {
                &cutter.url
            } else {
                pair.system.url()
            };
            let (db, bank) = opened(&place, system, &cutter.url).await;
            (Arc::new(db), Bank::Diesel(bank))
        }
        Kind::Sqlite(_) => unreachable!("a file has no connections"),
    };
    let app = place
        .builder(bank, Faulty::over(db), &tally, &acts)
        .launch()
        .await
        .unwrap();
    let handle = app.start(perform, "act".to_owned()).id("w").await.unwrap();
    assert_eq!(handle.result().await, Ok(7));
    assert_eq!(cutter.cuts.load(Ordering::SeqCst), 1);
    assert_eq!((tally.count("act"), place.entries().await), (1, 1));
    assert_eq!(app.steps("w").await.unwrap().len(), 1);
    app.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_lost_answer_on_sqlx_beside_the_system_tables() {
    bounded(async {
        a_commit_whose_answer_is_lost_is_found_and_not_made_twice(
            Place::pg_sqlx(Layout::System).await,
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_on_sqlx_in_another_database() {
    bounded(async {
        a_commit_whose_answer_is_lost_is_found_and_not_made_twice(
            Place::pg_sqlx(Layout::Other).await,
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_on_diesel_beside_the_system_tables() {
    bounded(async {
        a_commit_whose_answer_is_lost_is_found_and_not_made_twice(
            Place::pg_diesel(Layout::System).await,
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_on_diesel_in_another_database() {
    bounded(async {
        a_commit_whose_answer_is_lost_is_found_and_not_made_twice(
            Place::pg_diesel(Layout::Other).await,
        )
        .await;
    })
    .await;
}
