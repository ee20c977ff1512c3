//! Who lives: locks of the operating system, held by handles and by processes.

mod common;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use common::{Directory, claimant, here, in_memory, open, start, wanted};
use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, DbError, Executors, Steps, Versions, Workflows, Write,
    },
    ids::OwnerToken,
    payload::Outcome,
    state::Status,
};
use durable_sqlite::Sqlite;

async fn join(database: &Sqlite, id: &str) -> i64 {
    let joined = database.join(&wanted(id, true)).await.unwrap();
    assert_eq!(joined.id.as_str(), id);
    joined.incarnation
}

async fn join_default(database: &Sqlite) -> String {
    let joined = database.join(&wanted("local", false)).await.unwrap();
    joined.id.as_str().to_owned()
}

async fn abandoned(database: &Sqlite, asking: &str) -> Vec<Abandoned> {
    let query = AbandonedQuery {
        claimant: claimant(asking, 1),
        own: false,
        after: None,
        limit: 100,
    };
    database.abandoned(&query).await.unwrap()
}

fn names(found: &[Abandoned]) -> Vec<&str> {
    found.iter().map(|row| row.workflow.as_str()).collect()
}

#[tokio::test]
async fn an_id_that_is_held_is_refused_and_free_again_when_its_handle_is_dropped() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (one, other) = (open(&path).await, open(&path).await);
    assert_eq!(join(&one, "a").await, 1);
    for handle in [&one, &one.clone(), &other] {
        let error = handle.join(&wanted("a", true)).await.unwrap_err();
        assert!(
            matches!(&error, DbError::Refused(why) if why.contains("\"a\"")),
            "{error}"
        );
    }
    let clone = one.clone();
    drop(one);
    other
        .join(&wanted("a", true))
        .await
        .expect_err("a clone still holds it");
    drop(clone);
    assert_eq!(
        join(&other, "a").await,
        2,
        "a new life has a greater number"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn who_opened_a_link_before_its_file_was_there_is_seen_by_all() {
    let directory = Directory::new();
    let (link, real) = (directory.file("link.db"), directory.file("real/shop.db"));
    std::fs::create_dir(real.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let (first, second, third) = (open(&link).await, open(&link).await, open(&real).await);
    assert_eq!(join_default(&first).await, "local");
    assert_eq!(join_default(&second).await, "local-2");
    assert_eq!(join_default(&third).await, "local-3");
    let beside_link = directory.file("link.db-executors");
    assert!(!beside_link.exists(), "the locks are beside the file");
    assert_eq!(format!("{first:?}"), format!("{third:?}"));
}

#[cfg(unix)]
#[tokio::test]
async fn who_has_lost_its_lock_file_writes_nothing_more() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (one, other) = (open(&path).await, open(&path).await);
    join(&one, "a").await;
    start(&one, "w", "a").await;
    std::fs::remove_dir_all(directory.file("shop.db-executors")).unwrap();
    // The id is free, so another may live under it.
    assert_eq!(join(&other, "a").await, 2);
    let query = AbandonedQuery {
        claimant: claimant("a", 1),
        own: true,
        after: None,
        limit: 100,
    };
    for refused in [
        Versions::register_version(&one, "shop", "2")
            .await
            .unwrap_err(),
        one.abandoned(&query).await.unwrap_err(),
    ] {
        let DbError::Refused(why) = &refused else {
            panic!("{refused}")
        };
        assert!(why.contains("a.lock") && why.contains("removed"), "{why}");
    }
    Versions::register_version(&other, "shop", "2")
        .await
        .unwrap();
    // Who has left lives by no lock.
    one.leave(&"a".into()).await.unwrap();
    Versions::register_version(&one, "shop", "3").await.unwrap();
}

#[tokio::test]
async fn an_id_is_free_again_when_its_holder_leaves() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (one, other) = (open(&path).await, open(&path).await);
    join(&one, "a").await;
    other.leave(&"a".into()).await.unwrap();
    other
        .join(&wanted("a", true))
        .await
        .expect_err("only its holder can leave");
    one.leave(&"a".into()).await.unwrap();
    assert_eq!(join(&other, "a").await, 2);
}

#[tokio::test]
async fn a_default_id_in_use_is_suffixed_by_the_first_free_number() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let handles = [open(&path).await, open(&path).await, open(&path).await];
    assert_eq!(join_default(&handles[0]).await, "local");
    assert_eq!(join_default(&handles[1]).await, "local-2");
    assert_eq!(join_default(&handles[2]).await, "local-3");
    handles[1].leave(&"local-2".into()).await.unwrap();
    assert_eq!(join_default(&handles[2]).await, "local-2");
}

#[tokio::test]
async fn a_database_in_memory_keeps_its_executors_apart_too() {
    let database = in_memory().await;
    assert_eq!(join_default(&database).await, "local");
    assert_eq!(join_default(&database.clone()).await, "local-2");
    database.join(&wanted("local", true)).await.unwrap_err();
    start(&database, "w", "local").await;
    assert!(abandoned(&database, "local-2").await.is_empty());
    database.leave(&"local".into()).await.unwrap();
    assert_eq!(names(&abandoned(&database, "local-2").await), ["w"]);
    assert_eq!(join(&database, "local").await, 2);
}

#[tokio::test]
async fn the_rows_of_a_dead_executor_are_abandoned_and_those_of_others_are_not() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (dead, living, asking) = (open(&path).await, open(&path).await, open(&path).await);
    join(&dead, "dead").await;
    join(&living, "living").await;
    join(&asking, "asking").await;
    for (id, executor) in [
        ("1-dead", "dead"),
        ("2-living", "living"),
        ("3-stranger", "never joined"),
        ("4-own", "asking"),
        ("5-dead", "dead"),
    ] {
        start(&asking, id, executor).await;
    }
    assert!(abandoned(&asking, "asking").await.is_empty());
    drop(dead);
    let found = abandoned(&asking, "asking").await;
    assert_eq!(names(&found), ["1-dead", "5-dead"]);
    assert_eq!(found[0].held, Some("1-dead-token".into()));

    let query = AbandonedQuery {
        claimant: claimant("asking", 1),
        own: true,
        after: Some("1-dead".into()),
        limit: 1,
    };
    assert_eq!(names(&asking.abandoned(&query).await.unwrap()), ["4-own"]);
}

#[tokio::test]
async fn what_a_dead_executor_left_is_adopted_once_and_its_late_writes_are_refused() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (dead, asking) = (open(&path).await, open(&path).await);
    join(&dead, "dead").await;
    let incarnation = join(&asking, "asking").await;
    let zombie = start(&dead, "w", "dead").await;
    dead.leave(&"dead".into()).await.unwrap();

    let found = abandoned(&asking, "asking").await;
    let adoption = |token: &str| Adoption {
        workflow: found[0].workflow.clone(),
        held: found[0].held.clone(),
        token: OwnerToken::from(token),
    };
    let adopter = claimant("asking", incarnation);
    let adopted = asking
        .adopt(&adopter, &[adoption("new"), adoption("twice")])
        .await
        .unwrap();
    assert_eq!(adopted.len(), 1);
    assert_eq!(adopted[0].row.owner, Some("new".into()));
    assert_eq!(adopted[0].row.attempts, 2);
    assert_eq!(adopted[0].input, Some(here("w", "dead").input));
    assert!(
        asking
            .adopt(&adopter, &[adoption("late")])
            .await
            .unwrap()
            .is_empty()
    );

    let outcome = Outcome::Success(common::json("1"));
    let finished = dead.finish_workflow(&zombie, &outcome).await.unwrap();
    assert!(matches!(finished, Write::Lost(lost) if lost.status == Some(Status::Pending)));
    dead.record_step(&zombie, &common::step(1, "1"))
        .await
        .unwrap();
    assert!(asking.histories(&["w".into()]).await.unwrap().is_empty());
}

#[tokio::test]
async fn looking_at_an_executor_does_not_keep_it_from_joining() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let (dead, asking) = (open(&path).await, open(&path).await);
    join(&dead, "dead").await;
    start(&dead, "w", "dead").await;
    let lock = directory.file("shop.db-executors/dead.lock");
    let given = wanted("dead", true);
    for _ in 0..50 {
        dead.leave(&"dead".into()).await.unwrap();
        // As a look that is under way does; it ends while the join tries again.
        let look = std::fs::File::open(&lock).unwrap();
        look.lock_shared().unwrap();
        let end = tokio::spawn(async move {
            tokio::task::yield_now().await;
            drop(look);
        });
        let (joined, found) = tokio::join!(dead.join(&given), abandoned(&asking, "asking"));
        joined.unwrap();
        assert!(found.len() <= 1);
        end.await.unwrap();
    }
}

/// A process of its own that has joined as `local`.
struct Process(Child);

impl Process {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "the_other_process",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("DURABLE_TEST_FILE", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let joined = output
            .lines()
            .any(|line| line.unwrap().contains("joined as local"));
        assert!(joined, "the other process did not join");
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: what [`Process`] runs.
#[tokio::test]
async fn the_other_process() {
    let Some(path) = std::env::var_os("DURABLE_TEST_FILE") else {
        return;
    };
    let database = open(&PathBuf::from(path)).await;
    join(&database, "local").await;
    start(&database, "w", "local").await;
    println!("joined as local");
    // Until it is killed, or until the test that started it has died.
    let _ = std::io::stdin().lines().count();
}

#[tokio::test]
async fn a_process_that_is_killed_is_dead_at_once() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    let process = Process::start(&path);
    assert_eq!(join_default(&database).await, "local-2");
    database.join(&wanted("local", true)).await.unwrap_err();
    assert!(abandoned(&database, "local-2").await.is_empty());
    drop(process);
    assert_eq!(names(&abandoned(&database, "local-2").await), ["w"]);
    assert_eq!(join(&database, "local").await, 2);
}
