//! What is wrong with a file, its directory or its path is said at once, and in words.

mod common;

use std::{path::PathBuf, time::Duration};

use common::{Directory, here, open, start, wanted};
use durable_core::db::{DbError, Executors, SystemDb, Workflows};
use durable_sqlite::{DataSource, Sqlite, SqliteError};

/// What a refusal says. Panics if it is none.
fn refusal<T: std::fmt::Debug>(answer: Result<T, DbError>) -> String {
    match answer {
        Err(DbError::Refused(why)) => why,
        other => panic!("{other:?} is no refusal"),
    }
}

#[tokio::test]
async fn a_directory_of_locks_that_cannot_be_made_is_refused_with_its_name() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    std::fs::write(directory.file("shop.db-executors"), "in the way").unwrap();
    for given in [true, false] {
        let why = refusal(database.join(&wanted("a", given)).await);
        for part in ["join as an executor", "shop.db-executors", "move away"] {
            assert!(why.contains(part), "{part:?} in {why}");
        }
    }
    let launch = durable_core::App::builder("shop")
        .backend(database.clone())
        .launch();
    let launched = tokio::time::timeout(Duration::from_secs(10), launch).await;
    let error = launched.expect("it does not wait").unwrap_err().to_string();
    assert!(error.contains("shop.db-executors"), "{error}");
    std::fs::remove_file(directory.file("shop.db-executors")).unwrap();
    database.join(&wanted("a", true)).await.unwrap();
}

#[tokio::test]
async fn a_lock_file_that_cannot_be_opened_is_refused_with_its_name() {
    let directory = Directory::new();
    let database = open(&directory.file("shop.db")).await;
    let lock = directory.file("shop.db-executors").join("a.lock");
    std::fs::create_dir_all(&lock).unwrap();
    let why = refusal(database.join(&wanted("a", true)).await);
    assert!(why.contains("a.lock"), "{why}");
}

#[tokio::test]
async fn a_path_that_is_no_files_is_refused_by_whatever_opens_it() {
    let directory = Directory::new();
    let urls = [
        "file:shop.db",
        "file::memory:",
        "sqlite:shop.db",
        "sqlite::memory:",
    ];
    for url in urls {
        for error in [
            Sqlite::open(url).await.unwrap_err(),
            DataSource::open(url).await.unwrap_err(),
        ] {
            assert!(matches!(error, SqliteError::AUrl { .. }), "{url}: {error}");
            assert!(error.to_string().contains("\"shop.db\""), "{error}");
        }
    }
    let nowhere = directory.file("none").join("shop.db");
    for path in [PathBuf::new(), directory.file("."), nowhere.clone()] {
        for error in [
            Sqlite::open(&path).await.unwrap_err(),
            DataSource::open(&path).await.unwrap_err(),
        ] {
            let expected = if path == nowhere {
                matches!(error, SqliteError::DirectoryMissing { .. })
            } else {
                matches!(error, SqliteError::NotAFile { .. })
            };
            assert!(expected, "{path:?}: {error}");
        }
    }
    let error = DataSource::open(":memory:").await.unwrap_err();
    assert!(matches!(error, SqliteError::InMemory { .. }), "{error}");
    assert!(!PathBuf::from("file::memory:").exists());
}

#[tokio::test]
async fn a_pool_whose_connections_are_databases_of_their_own_is_refused_at_its_first_use() {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
    for (connections, path, refused) in
        [(2, ":memory:", true), (2, "", true), (1, ":memory:", false)]
    {
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .connect_lazy_with(SqliteConnectOptions::new().filename(path));
        let migrated = DataSource::from_pool(pool).migrate().await;
        assert_eq!(migrated.is_err(), refused, "{connections} on {path:?}");
        if refused {
            let why = refusal(migrated);
            assert!(why.contains("in memory"), "{why}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_once_the_file_is_not_where_it_was() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    start(&database, "before", "a").await;
    let away = directory.file("away.db");
    for replaced in [false, true] {
        std::fs::rename(&path, &away).unwrap();
        if replaced {
            std::fs::write(&path, "").unwrap();
        }
        for _ in 0..2 {
            let why = refusal(database.insert_workflow(&here("lost", "a")).await);
            assert!(why.contains("shop.db") && why.contains("removed"), "{why}");
        }
        // The right file is there again.
        std::fs::rename(&away, &path).unwrap();
        start(&database, if replaced { "c" } else { "b" }, "a").await;
    }
    assert!(database.workflow(&"lost".into()).await.unwrap().is_none());
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_once_the_files_log_is_not_where_it_was() {
    let directory = Directory::new();
    let database = open(&directory.file("shop.db")).await;
    start(&database, "before", "a").await;
    std::fs::remove_file(directory.file("shop.db-wal")).unwrap();
    let why = refusal(database.insert_workflow(&here("lost", "a")).await);
    assert!(
        why.contains("shop.db-wal") && why.contains("removed"),
        "{why}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_data_sources_file_that_is_not_where_it_was_is_told() {
    let directory = Directory::new();
    let path = directory.file("bank.db");
    let source = DataSource::open(&path).await.unwrap();
    source.migrate().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let why = refusal(source.migrate().await);
    assert!(why.contains("bank.db") && why.contains("removed"), "{why}");
}

#[test]
fn a_handle_whose_runtime_has_ended_says_so_and_does_not_count_as_away() {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let first = runtime();
    let database = first.block_on(open(&path));
    drop(first);
    runtime().block_on(async {
        let limit = Duration::from_secs(10);
        let inserted = tokio::time::timeout(limit, database.insert_workflow(&here("w", "a"))).await;
        let migrated = tokio::time::timeout(limit, database.migrate()).await;
        for why in [
            refusal(inserted.expect("it answers")),
            refusal(migrated.expect("it answers")),
        ] {
            assert!(why.contains("runtime"), "{why}");
        }
    });
}
