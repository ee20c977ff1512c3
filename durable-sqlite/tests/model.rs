//! SQLite answers calls drawn at random as the model does.

mod common;

use std::{path::Path, sync::Arc};

use durable_core::db::SystemDb;
use durable_sqlite::Sqlite;
use durable_testkit::{
    ManualClock,
    model_check::{self, Cases, Subject},
};

#[test]
fn calls_in_sequence_are_answered_as_by_the_model() {
    let cases = Cases {
        quick: 1_000,
        full: 10_000,
    };
    model_check::sequences(cases, in_memory());
}

#[test]
fn calls_of_two_processes_on_a_file_are_answered_as_by_the_model() {
    let cases = Cases {
        quick: 100,
        full: 2_000,
    };
    let directory = common::Directory::new();
    let path = directory.file("model.db");
    model_check::sequences(cases, in_file(&path));
}

#[test]
fn calls_at_the_same_time_are_answered_as_in_an_order_of_the_model() {
    let cases = Cases {
        quick: 200,
        full: 4_000,
    };
    model_check::bursts(cases, in_memory());
}

#[test]
fn calls_of_two_processes_at_the_same_time_are_answered_as_in_an_order_of_the_model() {
    let cases = Cases {
        quick: 60,
        full: 1_000,
    };
    let directory = common::Directory::new();
    let path = directory.file("model.db");
    model_check::bursts(cases, in_file(&path));
}

async fn in_file(path: &Path) -> Subject {
    let clock = ManualClock::default();
    let mut processes: Vec<Arc<dyn SystemDb>> = Vec::new();
    for _ in 0..2 {
        let process = Sqlite::options(path).clock(clock.source());
        let process = process.open().await.unwrap();
        process.migrate().await.unwrap();
        processes.push(Arc::new(process));
    }
    Subject::new("sqlite, a file", processes, Some(clock))
}

async fn in_memory() -> Subject {
    let clock = ManualClock::default();
    let database = Sqlite::options(":memory:").clock(clock.source());
    let database = database.open().await.unwrap();
    database.migrate().await.unwrap();
    let process: Arc<dyn SystemDb> = Arc::new(database);
    Subject::new("sqlite", [process], Some(clock))
}
