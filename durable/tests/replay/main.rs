//! Histories against changed code: what fits is safe, and what does not is told with both sides and the place.

// A test program has no outside.
#![allow(missing_docs, unreachable_pub)]

mod changes;
mod files;
mod races;
mod unfinished;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use durable::{App, AppBuilder, db::SystemDb, sqlite::Sqlite};
use durable_testkit::{
    Memory,
    faults::Faulty,
    replay::{self, History, Report},
};

pub const APPLICATION: &str = "shop";

/// Counts the bodies that ran: state of the workflows.
#[derive(Clone, Default)]
pub struct Bodies(Arc<AtomicUsize>);

impl Bodies {
    pub fn ran(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An application of then, with its database.
pub struct Then {
    pub app: App,
    pub db: Arc<dyn SystemDb>,
}

impl Then {
    pub async fn launch(
        db: Arc<dyn SystemDb>,
        register: impl FnOnce(AppBuilder) -> AppBuilder,
    ) -> Self {
        let builder = App::builder(APPLICATION)
            .version("1")
            .state(Bodies::default())
            .poll_interval(Duration::from_millis(10))
            .backend(Faulty::over(Arc::clone(&db)));
        let app = register(builder).launch().await.expect("it launches");
        Self { app, db }
    }

    pub async fn in_memory(register: impl FnOnce(AppBuilder) -> AppBuilder) -> Self {
        Self::launch(Arc::new(Memory::new()), register).await
    }

    /// Waits until a workflow has recorded so many operations.
    pub async fn recorded(&self, id: &str, count: usize) {
        let begin = Instant::now();
        while self.app.steps(id).await.expect("the steps").len() < count {
            assert!(begin.elapsed() < Duration::from_secs(20), "in vain");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops it as a crash would; what it has left.
    pub async fn histories(self) -> Vec<History> {
        self.app.shutdown(Duration::ZERO).await;
        replay::load(&*self.db, APPLICATION)
            .await
            .expect("histories")
    }
}

/// Verifies, and sees to it that no body runs.
pub async fn verify(
    histories: &[History],
    register: impl FnOnce(AppBuilder) -> AppBuilder,
) -> Report {
    let bodies = Bodies::default();
    let report = replay::verify(histories, |builder| register(builder.state(bodies.clone())))
        .await
        .expect("the builder is sound");
    assert_eq!(bodies.count(), 0, "a body ran in a replay");
    println!("{report}");
    report
}

/// A database in a file, which is gone when the directory is.
pub async fn sqlite() -> (tempfile::TempDir, Arc<dyn SystemDb>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Sqlite::open(dir.path().join("test.db"))
        .await
        .expect("the file opens");
    (dir, Arc::new(db))
}

/// Whether a report's text has these lines, in this order; each is a part of its line.
pub fn has(report: &Report, parts: &[&str]) {
    let text = report.to_string();
    let mut lines = text.lines();
    for part in parts {
        assert!(
            lines.any(|line| line.contains(part)),
            "{part:?} is not there, or not in this order:\n{text}"
        );
    }
}
