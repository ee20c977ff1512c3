//! What is said about the number of connections.

use durable_pg::Driver;
use durable_testkit::pg::{Bare, TestDb};

use durable::{App, db::SystemDb as _};

use crate::capture::Captured;

async fn says_when_the_server_has_no_room<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let takes = database.bare().await;
    let takes = number(
        takes,
        "SELECT setting::bigint FROM pg_settings WHERE name = 'max_connections'",
    )
    .await;
    let captured = Captured::here();
    // Two of these have room, and a third one has not.
    let size = u32::try_from(takes * 2 / 5).unwrap();
    let mut apps = Vec::new();
    for n in 1..=3 {
        let db = database.options().pool_size(size).connect().await.unwrap();
        db.verify().await.unwrap();
        let app = App::builder("room")
            .version("1")
            .executor_id(format!("executor-{n}"));
        apps.push(app.backend(db).launch().await.unwrap());
        let lines = captured.lines();
        let about = lines.iter().filter(|line| line.contains("max_connections"));
        let about: Vec<_> = about.collect();
        assert_eq!(about.len(), usize::from(n == 3), "{lines:?}");
        if n == 3 {
            println!("{}", about[0]);
            let words = [
                "WARN this process may open",
                "3 executors live",
                "`pool_size`",
            ];
            assert!(
                words.iter().all(|words| about[0].contains(words)),
                "{about:?}"
            );
        }
    }
    captured.clear();
    database.options().pool_size(4).connect().await.unwrap();
    let lines = captured.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("fewer than 5 connections")),
        "{lines:?}"
    );
}

async fn number<D: Driver>(mut bare: Bare<D>, statement: &str) -> i64 {
    bare.number(statement).await
}

#[tokio::test]
async fn sqlx() {
    says_when_the_server_has_no_room::<durable::pg_sqlx::SqlxDriver>().await;
}

#[tokio::test]
async fn diesel() {
    says_when_the_server_has_no_room::<durable::pg_diesel::DieselDriver>().await;
}
