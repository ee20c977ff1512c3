//! A primary that is killed, and a standby that is promoted, while a URL names both.

use std::time::Instant;

use durable_pg::{Driver, PgSystemDb};
use durable_testkit::pg::local::Server;

use crate::{
    bench::{admin, is_whole, migrated},
    load::Load,
    on_both_drivers,
};

async fn a_primary_that_is_killed_and_a_standby_that_is_promoted<D: Driver>() {
    let mut primary = Server::options().start().await;
    drop(migrated::<D>(&primary.url()).await);
    let standby = primary.standby().await;
    let mut admin = admin::<D>(&primary.url()).await;
    // What is acknowledged is on both.
    admin
        .batch("ALTER SYSTEM SET synchronous_standby_names = '*'")
        .await;
    primary.reload();
    let both = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        // The standby first: it answers, and must not be taken.
        standby.port(),
        primary.port(),
    );
    let db = PgSystemDb::<D>::connect(&both).await.expect("it opens");
    let load = Load::start(db).await;
    load.goes_on(100).await;
    primary.crash();
    standby.promote().await;
    let promoted = Instant::now();
    load.goes_on(100).await;
    println!(
        "{}: 100 workflows ended {:?} after the standby was promoted",
        D::NAME,
        promoted.elapsed()
    );
    let workflows = load.end().await;
    is_whole::<D>(&standby.url(), workflows).await;
}

async fn a_standby_alone_is_refused<D: Driver>() {
    let primary = Server::options().start().await;
    let standby = primary.standby().await;
    let error = PgSystemDb::<D>::connect(&standby.url())
        .await
        .expect_err("it only reads");
    let error = error.to_string();
    assert!(error.contains("this server only reads"), "{error}");
    assert!(error.contains(&standby.port().to_string()), "{error}");
    println!("{error}");
}

on_both_drivers!(
    a_primary_that_is_killed_and_a_standby_that_is_promoted,
    a_standby_alone_is_refused,
);
