//! A server of a test's own with a migrated database on it.

use durable_pg::{Driver, PgOptions, PgSystemDb};
use durable_testkit::pg::{Proxy, local::Server};

/// The URL of a server's database, migrated.
pub async fn migrated<D: Driver>(url: &str) -> PgOptions<D> {
    let options = || PgSystemDb::<D>::options(url);
    let migration = options().migration().expect("the URL is good");
    migration.run().await.expect("it migrates");
    options()
}

/// The session of an administrator on this URL.
pub async fn admin<D: Driver>(url: &str) -> durable_testkit::pg::Bare<D> {
    durable_testkit::pg::Bare::connect(url).await
}

/// A server, and its database opened by a process.
pub async fn opened<D: Driver>() -> (Server, PgSystemDb<D>) {
    let server = Server::options().start().await;
    let db = migrated::<D>(&server.url()).await.connect().await;
    (server, db.expect("it opens"))
}

/// A server with a proxy in front of it, and its database migrated.
pub async fn proxied<D: Driver>() -> (Server, Proxy) {
    let server = Server::options().start().await;
    drop(migrated::<D>(&server.url()).await);
    let proxy = Proxy::to(&server.url());
    (server, proxy)
}

/// Checks what is in the database when all have ended.
pub async fn is_whole<D: Driver>(url: &str, workflows: usize) {
    let mut admin = admin::<D>(url).await;
    let ended = admin
        .number("SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'")
        .await;
    let others = admin
        .number("SELECT count(*) FROM dbos.workflow_status WHERE status <> 'SUCCESS'")
        .await;
    assert_eq!((ended, others), (2 * i64::try_from(workflows).unwrap(), 0));
    // Each has its steps, a sleep, an event, a child's start and its result; the child one step.
    let uneven = admin
        .texts(
            "SELECT s.workflow_uuid || ': ' || count(o.function_id)
             FROM dbos.workflow_status AS s
             LEFT JOIN dbos.operation_outputs AS o USING (workflow_uuid)
             GROUP BY s.workflow_uuid, s.name
             HAVING count(o.function_id) <> CASE s.name WHEN 'work' THEN 8 ELSE 1 END",
        )
        .await;
    assert_eq!(
        uneven,
        Vec::<String>::new(),
        "another number of recorded operations"
    );
}
