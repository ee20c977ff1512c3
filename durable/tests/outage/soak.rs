//! A random fault every few seconds, under load.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use durable_pg::{Driver, PgSystemDb};
use durable_testkit::{
    effort,
    pg::local::{Lost, Proxy, Server},
};

use crate::{
    bench::{admin, is_whole, migrated},
    faults::{FILL_DISK, FREE_DISK, TERMINATE},
    load::Load,
    on_both_drivers,
    random::Random,
};

/// How long faults come, in the quick run and in the full one.
const QUICK: Duration = Duration::from_secs(20);
const FULL: Duration = Duration::from_secs(300);

const FAULTS: [&str; 8] = [
    "restart",
    "away for 2 s",
    "sessions ended",
    "answers lost",
    "requests lost",
    "hangs for 2 s",
    "only reads for 1 s",
    "disk full for 1 s",
];

async fn a_random_fault_every_few_seconds<D: Driver>() {
    let full = effort::is_full();
    let lasting = if full { FULL } else { QUICK };
    if !full {
        effort::left_out(format_args!("soak through {}: 280 s of 300 s", D::NAME));
    }
    let mut random = Random::new();
    let mut server = Server::options().start().await;
    drop(migrated::<D>(&server.url()).await);
    let proxy = Proxy::to(server.port()).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
    let db = PgSystemDb::<D>::connect(&url).await.expect("it opens");
    let load = Load::start(db).await;
    let begun = Instant::now();
    let mut met = BTreeMap::<&str, usize>::new();
    while begun.elapsed() < lasting {
        tokio::time::sleep(Duration::from_millis(500 + random.below(1500))).await;
        let drawn = random.below(FAULTS.len() as u64);
        let fault = FAULTS[usize::try_from(drawn).expect("they are few")];
        *met.entry(fault).or_default() += 1;
        meet::<D>(fault, &mut server, &proxy).await;
        load.goes_on(1).await;
    }
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
    println!(
        "{}: {workflows} workflows in {:?}, faults met: {met:?}",
        D::NAME,
        begun.elapsed()
    );
}

async fn meet<D: Driver>(fault: &str, server: &mut Server, proxy: &Proxy) {
    let second = Duration::from_secs(1);
    match fault {
        "restart" => server.restart().await,
        "away for 2 s" => {
            server.crash();
            tokio::time::sleep(2 * second).await;
            server.start().await;
        }
        "sessions ended" => {
            admin::<D>(&server.url()).await.number(TERMINATE).await;
        }
        "answers lost" => proxy.cut(Lost::Answers),
        "requests lost" => proxy.cut(Lost::Requests),
        "hangs for 2 s" => {
            server.freeze(true);
            tokio::time::sleep(2 * second).await;
            server.freeze(false);
        }
        "only reads for 1 s" => {
            let mut admin = admin::<D>(&server.url()).await;
            admin
                .batch("ALTER SYSTEM SET default_transaction_read_only = on")
                .await;
            server.reload();
            tokio::time::sleep(second).await;
            admin.batch("SET default_transaction_read_only = off").await;
            admin
                .batch("ALTER SYSTEM RESET default_transaction_read_only")
                .await;
            server.reload();
        }
        _ => {
            let mut admin = admin::<D>(&server.url()).await;
            admin.batch(FILL_DISK).await;
            tokio::time::sleep(second).await;
            admin.batch(FREE_DISK).await;
        }
    }
}

on_both_drivers!(a_random_fault_every_few_seconds);
