//! One fault each.

use std::time::{Duration, Instant};

use durable_pg::Driver;
use durable_testkit::pg::local::Server;

use crate::{
    bench::{admin, is_whole, migrated, opened},
    load::Load,
    on_both_drivers,
};

/// How many workflows must end between two faults.
pub const BETWEEN: usize = 30;

/// Ends all sessions but its own.
pub const TERMINATE: &str = "
    SELECT count(pg_terminate_backend(pid))
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";

/// Has every write of a step fail as on a full disk. What the server says then is said by a trigger: filling a real disk would stop all else
/// that runs beside these tests.
pub const FILL_DISK: &str = "
    CREATE FUNCTION dbos.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING
            ERRCODE = '53100',
            MESSAGE = 'could not extend file \"base/5/16384\": No space left on device';
    END
    $$;
    CREATE TRIGGER disk_is_full BEFORE INSERT ON dbos.operation_outputs
        FOR EACH STATEMENT EXECUTE FUNCTION dbos.disk_is_full()";
pub const FREE_DISK: &str = "DROP FUNCTION dbos.disk_is_full() CASCADE";

async fn a_server_that_is_restarted_at_once<D: Driver>() {
    let (mut server, db) = opened::<D>().await;
    let load = Load::start(db).await;
    for _ in 0..3 {
        load.goes_on(BETWEEN).await;
        server.restart().await;
    }
    load.goes_on(BETWEEN).await;
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn a_server_that_stays_away_for_a_while<D: Driver>() {
    let (mut server, db) = opened::<D>().await;
    let load = Load::start(db).await;
    load.goes_on(BETWEEN).await;
    server.crash();
    until_ready_is(&load, false).await;
    let text = format!("{:?}", load.app().health());
    assert!(text.contains("Away"), "{text}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.start().await;
    let back = Instant::now();
    until_ready_is(&load, true).await;
    load.goes_on(BETWEEN).await;
    println!(
        "{}: {BETWEEN} workflows ended {:?} after the server was back",
        D::NAME,
        back.elapsed()
    );
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

pub async fn until_ready_is(load: &Load, ready: bool) {
    let begun = Instant::now();
    while load.app().health().is_ready() != ready {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            load.app().health()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn sessions_that_are_ended_again_and_again<D: Driver>() {
    let (server, db) = opened::<D>().await;
    let load = Load::start(db).await;
    let mut admin = admin::<D>(&server.url()).await;
    let mut ended = 0;
    for _ in 0..30 {
        ended += admin.number(TERMINATE).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(ended > 30, "only {ended} sessions were there to be ended");
    load.goes_on(BETWEEN).await;
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn a_server_that_only_reads_for_a_while<D: Driver>() {
    let (server, db) = opened::<D>().await;
    let load = Load::start(db).await;
    let mut admin = admin::<D>(&server.url()).await;
    load.goes_on(BETWEEN).await;
    admin
        .batch("ALTER SYSTEM SET default_transaction_read_only = on")
        .await;
    server.reload();
    until_ready_is(&load, false).await;
    let text = format!("{:?}", load.app().health());
    assert!(text.contains("read"), "{text}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    admin.batch("SET default_transaction_read_only = off").await;
    admin
        .batch("ALTER SYSTEM RESET default_transaction_read_only")
        .await;
    server.reload();
    load.goes_on(BETWEEN).await;
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn a_disk_that_is_full_for_a_while<D: Driver>() {
    let (server, db) = opened::<D>().await;
    let load = Load::start(db).await;
    let mut admin = admin::<D>(&server.url()).await;
    load.goes_on(BETWEEN).await;
    admin.batch(FILL_DISK).await;
    until_ready_is(&load, false).await;
    let text = format!("{:?}", load.app().health());
    assert!(text.contains("No space left on device"), "{text}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    admin.batch(FREE_DISK).await;
    load.goes_on(BETWEEN).await;
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

async fn a_pool_that_somebody_else_has_for_a_while<D: Driver>() {
    let server = Server::options().start().await;
    let options = migrated::<D>(&server.url()).await.pool_size(1);
    let db = options.connect().await.expect("it opens");
    let driver = db.driver().clone();
    let load = Load::start(db).await;
    load.goes_on(BETWEEN).await;
    let held = driver.acquire().await.expect("its turn comes");
    until_ready_is(&load, false).await;
    let text = format!("{:?}", load.app().health());
    assert!(
        text.contains("all 1 connections of the pool were in use"),
        "{text}"
    );
    drop(held);
    load.goes_on(BETWEEN).await;
    let workflows = load.end().await;
    is_whole::<D>(&server.url(), workflows).await;
}

on_both_drivers!(
    a_server_that_is_restarted_at_once,
    a_server_that_stays_away_for_a_while,
    sessions_that_are_ended_again_and_again,
    a_server_that_only_reads_for_a_while,
    a_disk_that_is_full_for_a_while,
    a_pool_that_somebody_else_has_for_a_while,
);
