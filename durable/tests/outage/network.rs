//! One fault each of the network between a process and its server.

use std::time::{Duration, Instant};

use durable::db::{Hint, SystemDb as _};
use durable_pg::{Driver, PgSystemDb};
use durable_testkit::pg::{Bare, Proxy, local::Server, proxy::Lost};
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::time::timeout;

use crate::{
    bench::{admin, is_whole, proxied},
    faults::{BETWEEN, until_ready_is},
    load::Load,
    on_both_drivers,
};

/// How long a statement may run here, and how much later an answer is given up, as `PgOptions::statement_timeout` says.
const STATEMENT: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(15);

/// How long a notification may take that proves that a listener hears.
const PROOF: Duration = Duration::from_secs(5);

/// After how long a connection that lay idle in the pool is given up by who takes it out, and a new one made.
const SAYS_SO: Duration = Duration::from_secs(3);

/// How long it may take from there until a workflow ends: connections are made, and what waits is tried again.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// After how many bytes of a message connections are cut: in its type, its length, and what follows.
const INSIDE: [usize; 5] = [1, 3, 5, 11, 40];

async fn load<D: Driver>() -> (Server, Proxy, Load) {
    let (server, proxy) = proxied::<D>().await;
    let options = PgSystemDb::<D>::options(proxy.url())
        .statement_timeout(STATEMENT)
        .idle_in_transaction_timeout(STATEMENT);
    let load = Load::start(options.connect().await.expect("it opens")).await;
    (server, proxy, load)
}

async fn connections_that_are_cut<D: Driver>() {
    let (server, proxy, load) = load::<D>().await;
    for lost in [Lost::Answers, Lost::Requests, Lost::Both].repeat(4) {
        proxy.cut(lost);
        load.goes_on(BETWEEN / 2).await;
    }
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn connections_that_are_cut_in_the_middle_of_a_message<D: Driver>() {
    let (server, proxy, load) = load::<D>().await;
    for after in INSIDE {
        for lost in [Lost::Answers, Lost::Requests, Lost::Both] {
            proxy.cut_inside(lost, after);
            load.goes_on(BETWEEN / 2).await;
        }
    }
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn connections_that_are_refused_for_a_while<D: Driver>() {
    let (server, proxy, load) = load::<D>().await;
    load.goes_on(BETWEEN).await;
    proxy.refuse(true);
    // Those that there are go on.
    load.goes_on(BETWEEN).await;
    proxy.cut(Lost::Both);
    until_ready_is(&load, false).await;
    until_health_says(&load, "refused").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.refuse(false);
    load.goes_on(BETWEEN).await;
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn bytes_that_are_late<D: Driver>() {
    let (server, proxy, load) = load::<D>().await;
    for delay in [1, 20] {
        proxy.delay(Duration::from_millis(delay));
        load.goes_on(BETWEEN).await;
    }
    assert!(load.app().health().is_ready(), "late is not away");
    // What is late can be lost as well.
    proxy.cut(Lost::Answers);
    load.goes_on(BETWEEN).await;
    proxy.delay(Duration::ZERO);
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

/// The server keeps the sessions, with what they have locked.
async fn connections_on_which_nothing_comes_back<D: Driver>() {
    let (server, proxy, load) = load::<D>().await;
    load.goes_on(BETWEEN).await;
    proxy.swallow();
    given_up_in_time::<D>(&load).await;
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn a_network_that_swallows_everything_for_a_while<D: Driver>() {
    let (server, proxy, load) = load::<D>().await;
    load.goes_on(BETWEEN).await;
    proxy.black_hole(true);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.black_hole(false);
    given_up_in_time::<D>(&load).await;
    println!(
        "{}: the hole and what came of it: {:?}",
        D::NAME,
        begun.elapsed()
    );
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

/// What other processes tell is heard again.
async fn a_listener_to_which_nothing_comes<D: Driver>() {
    let (server, proxy) = proxied::<D>().await;
    let db = PgSystemDb::<D>::connect(proxy.url()).await;
    let mut hints = db.as_ref().expect("it opens").hints();
    let mut other = admin::<D>(&server.url()).await;
    until_heard(&mut hints, &mut other).await;
    proxy.swallow();
    let begun = Instant::now();
    until_heard(&mut hints, &mut other).await;
    let took = begun.elapsed();
    println!("{}: hints are heard again after {took:?}", D::NAME);
    assert!(took < GRACE + PROOF + AFTERWARDS, "{took:?}");
}

async fn until_heard<D: Driver>(hints: &mut BoxStream<'static, Hint>, other: &mut Bare<D>) {
    let begun = Instant::now();
    loop {
        other.batch("NOTIFY durable_hints, 'q:work'").await;
        let heard = async { while hints.next().await != Some(Hint::Queue("work".to_owned())) {} };
        if timeout(Duration::from_millis(200), heard).await.is_ok() {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "nothing is heard"
        );
    }
}

async fn until_health_says(load: &Load, words: &str) {
    let begun = Instant::now();
    while !format!("{:?}", load.app().health()).contains(words) {
        let patience = Duration::from_secs(30);
        assert!(begun.elapsed() < patience, "{:?}", load.app().health());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until workflows end again, as many as can be under way: some of them had asked for something when nothing came back.
async fn given_up_in_time<D: Driver>(load: &Load) {
    let begun = Instant::now();
    load.goes_on(2 * BETWEEN).await;
    let took = begun.elapsed();
    println!("{}: workflows end again after {took:?}", D::NAME);
    assert!(took < STATEMENT + GRACE + SAYS_SO + AFTERWARDS, "{took:?}");
}

on_both_drivers!(
    connections_that_are_cut,
    connections_that_are_cut_in_the_middle_of_a_message,
    connections_that_are_refused_for_a_while,
    bytes_that_are_late,
    connections_on_which_nothing_comes_back,
    a_network_that_swallows_everything_for_a_while,
    a_listener_to_which_nothing_comes,
);
