//! A random fault every few seconds, under load.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    io::Write as _,
    time::{Duration, Instant},
};

use durable_pg::{Driver, PgSystemDb};
use durable_testkit::pg::local::{Lost, Proxy, Server};

use crate::{
    bench::{admin, is_whole, migrated},
    faults::{FILL_DISK, FREE_DISK, TERMINATE},
    load::Load,
    on_both_drivers,
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
    let full = std::env::var_os("DURABLE_FULL").is_some();
    let lasting = if full { FULL } else { QUICK };
    if !full {
        left_out(&format!("soak through {}: 280 s of 300 s", D::NAME));
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
        let fault = FAULTS[random.below(FAULTS.len() as u64) as usize];
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

/// Says what a run leaves out, where the tests are asked to.
fn left_out(what: &str) {
    if let Some(path) = std::env::var_os("DURABLE_LEFT_OUT") {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        let written = file.and_then(|mut file| writeln!(file, "{what}"));
        written.expect("the file that DURABLE_LEFT_OUT names can be written");
    }
}

/// Random numbers from a seed that is printed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = match std::env::var("DURABLE_SEED") {
            Ok(seed) => seed.parse().expect("DURABLE_SEED is a number"),
            Err(_) => RandomState::new().hash_one(0),
        };
        println!("DURABLE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        // Of a linear congruential generator the upper bits.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

on_both_drivers!(a_random_fault_every_few_seconds);
