//! Two processes on one Postgres database, one of which is paused in the middle of a workflow.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::{Duration, Instant},
};

use durable::{
    db::{Steps as _, Workflows as _},
    payload::Ended,
    pg_sqlx::{Postgres, SqlxDriver},
    state::Status,
};
use durable_testkit::pg::TestDb;

use crate::process::start;

/// The example's lease and recovery interval.
const LEASE: Duration = Duration::from_secs(3);
const RECOVERY: Duration = Duration::from_millis(500);

/// How much longer than it may a busy machine takes.
const SLACK: Duration = Duration::from_secs(15);

/// A process of the example, with what it prints.
struct Packer {
    child: Child,
    orders: ChildStdin,
    lines: mpsc::Receiver<String>,
    printed: Vec<String>,
}

impl Packer {
    fn start(url: &str) -> Self {
        let mut child = start("pause", &[url]);
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (line, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for next in output.lines().map_while(Result::ok) {
                let _ = line.send(next);
            }
        });
        let mut packer = Self {
            orders: child.stdin.take().expect("its input"),
            child,
            lines,
            printed: Vec::new(),
        };
        packer.says("ready as");
        packer
    }

    fn order(&mut self, id: &str) {
        writeln!(self.orders, "{id}").expect("it reads");
    }

    /// Waits until it prints a line with this in it.
    fn says(&mut self, words: &str) {
        let begun = Instant::now();
        while !self.said(words) {
            let left = (LEASE + SLACK).saturating_sub(begun.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.printed.push(line),
                Err(error) => panic!("it never said {words:?} ({error}): {:#?}", self.printed),
            }
        }
    }

    fn said(&self, words: &str) -> bool {
        self.printed.iter().any(|line| line.contains(words))
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        // Also one that stands still.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_paused_process_is_finished_by_another_and_it_writes_nothing_when_it_wakes() {
    let database = TestDb::<SqlxDriver>::migrated().await;
    let mut other = Packer::start(database.url());
    let mut paused = Packer::start(database.url());
    paused.order("one");
    paused.says("one: wrap runs here");
    paused.signal("-STOP");
    let begun = Instant::now();
    other.says("one: wrap runs here");
    let adopted = begun.elapsed();
    assert!(
        adopted < LEASE + RECOVERY + Duration::from_secs(2),
        "{adopted:?}"
    );
    other.says("one: finished here");
    assert!(!other.said("one: fetch"), "{:#?}", other.printed);

    let db = Postgres::connect(database.url()).await.unwrap();
    let look = || async {
        let ids = ["one".into()];
        let row = db.workflow(&ids[0]).await.unwrap().expect("the order");
        let waits = durable::db::Waits {
            results: ids.to_vec(),
            ..durable::db::Waits::default()
        };
        let wakes = durable::db::SystemDb::poll(&db, &waits).await.unwrap();
        let ended = wakes.results.into_iter().next().expect("it has ended").1;
        (row, db.histories(&ids).await.unwrap(), ended)
    };
    let before = look().await;
    assert_eq!(before.0.status, Status::Success);
    assert_eq!(before.1[0].steps.len(), 3, "{:#?}", before.1);
    let (first, second) = (paused.child.id(), other.child.id());
    let by = format!("fetch by {first}, wrap by {second}, label by {second}");
    let Ended::Outcome(outcome) = &before.2 else {
        panic!("{:?}", before.2)
    };
    assert!(format!("{outcome:?}").contains(&by), "{outcome:?}");

    paused.signal("-CONT");
    paused.says("one: goes on elsewhere");
    assert!(!paused.said("one: label"), "{:#?}", paused.printed);
    // Both go on.
    paused.order("two");
    other.order("three");
    paused.says("two: finished here");
    other.says("three: finished here");
    assert_eq!(look().await, before, "it has written");
    assert!(!paused.said("one: finished"), "{:#?}", paused.printed);
}
