//! Random faults of the server and of the network, under load.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use durable_pg::{Driver, PgSystemDb};
use durable_testkit::{
    effort,
    pg::{Proxy, local::Server, proxy::Lost},
};

use crate::{
    bench::{admin, is_whole, proxied},
    faults::{FILL_DISK, FREE_DISK, TERMINATE},
    load::Load,
    on_both_drivers,
    random::{self, Random},
};

/// How many faults come in a run.
const FAULTS: u64 = 16;

/// The seed of the quick run, in which each kind comes, and those of the full one, if none is given.
const QUICK: RangeInclusive<u64> = 518..=518;
const FULL: RangeInclusive<u64> = 1..=20;

const KINDS: [&str; 13] = [
    "restart",
    "away for 2 s",
    "sessions ended",
    "answers lost",
    "requests lost",
    "connections reset",
    "cut in an answer",
    "cut in a request",
    "refused for 1 s",
    "late for 1 s",
    "hangs for 2 s",
    "only reads for 1 s",
    "disk full for 1 s",
];

/// How many bytes of a message pass at most before a connection is cut in it.
const INSIDE: u64 = 64;

async fn random_faults_one_after_the_other<D: Driver>() {
    let seeds = match random::given() {
        Some(seed) => seed..=seed,
        None if effort::is_full() => FULL,
        None => {
            let (few, all) = (QUICK.count(), FULL.count());
            effort::left_out(format_args!(
                "random faults through {}: {few} seed instead of {all}",
                D::NAME
            ));
            QUICK
        }
    };
    for seed in seeds {
        with_seed::<D>(seed).await;
    }
}

async fn with_seed<D: Driver>(seed: u64) {
    let mut random = Random::of(seed);
    let (mut server, proxy) = proxied::<D>().await;
    let db = PgSystemDb::<D>::connect(proxy.url()).await;
    let load = Load::start(db.expect("it opens")).await;
    let begun = Instant::now();
    let mut met = BTreeMap::<&str, usize>::new();
    for _ in 0..FAULTS {
        tokio::time::sleep(Duration::from_millis(200 + random.below(1000))).await;
        let drawn = random.below(KINDS.len() as u64);
        let kind = KINDS[usize::try_from(drawn).expect("they are few")];
        let inside = usize::try_from(1 + random.below(INSIDE)).expect("it is small");
        *met.entry(kind).or_default() += 1;
        meet::<D>(kind, inside, &mut server, &proxy).await;
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

async fn meet<D: Driver>(kind: &str, inside: usize, server: &mut Server, proxy: &Proxy) {
    let second = Duration::from_secs(1);
    match kind {
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
        "connections reset" => proxy.cut(Lost::Both),
        "cut in an answer" => proxy.cut_inside(Lost::Answers, inside),
        "cut in a request" => proxy.cut_inside(Lost::Requests, inside),
        "refused for 1 s" => {
            proxy.refuse(true);
            proxy.cut(Lost::Both);
            tokio::time::sleep(second).await;
            proxy.refuse(false);
        }
        "late for 1 s" => {
            proxy.delay(Duration::from_millis(20));
            tokio::time::sleep(second).await;
            proxy.delay(Duration::ZERO);
        }
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

on_both_drivers!(random_faults_one_after_the_other);
