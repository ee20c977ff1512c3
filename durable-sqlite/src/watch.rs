//! Seeing that another process has written to the file.

use std::{sync::Arc, time::Duration};

use durable_core::db::{Hint, HintHub};
use sqlx::SqliteConnection;
use tokio::{sync::Notify, time::Instant};

/// How often the file is looked at while somebody listens.
const INTERVAL: Duration = Duration::from_millis(50);

/// Watches a file for commits of others, on the connection that writes our own: SQLite counts for each connection the commits of all
/// others only, so our own commits never look like news. Looks at nothing while nobody listens.
pub(crate) struct Watch {
    subscribers: HintHub,
    subscribed: Arc<Notify>,
    /// A database that no other process can see is not watched.
    shared: bool,
    seen: Seen,
    next: Instant,
}

/// What a connection has seen of others' commits.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// Which of the writer's connections: each counts for itself.
    connection: u32,
    commits: i64,
}

impl Seen {
    /// Looks at the file; on a connection just made: what is committed from here on will be news.
    pub(crate) async fn on(conn: &mut SqliteConnection, connection: u32) -> sqlx::Result<Self> {
        let commits = sqlx::query_scalar("PRAGMA data_version").fetch_one(conn);
        Ok(Self {
            connection,
            commits: commits.await?,
        })
    }
}

impl Watch {
    /// `subscribed` is notified when a listener may have come; `seen` is from before the first of them could.
    pub(crate) fn new(
        subscribers: HintHub,
        subscribed: Arc<Notify>,
        shared: bool,
        seen: Seen,
    ) -> Self {
        Self {
            subscribers,
            subscribed,
            shared,
            seen,
            next: Instant::now(),
        }
    }

    /// Completes when it is time to look.
    pub(crate) async fn due(&self) {
        if !self.shared {
            return std::future::pending().await;
        }
        while !self.subscribers.is_heard() {
            self.subscribed.notified().await;
        }
        tokio::time::sleep_until(self.next).await;
    }

    /// Looks, if it is time to, and tells the listeners when somebody else has committed since the last look, however long ago that was:
    /// what was committed between a listener's coming and the first look for it is news as well.
    pub(crate) async fn look(&mut self, conn: &mut SqliteConnection, connection: u32) {
        let now = Instant::now();
        if !self.shared || now < self.next || !self.subscribers.is_heard() {
            return;
        }
        self.next = now + INTERVAL;
        // A look that fails is made up for by the next one.
        let Ok(seen) = Seen::on(conn, connection).await else {
            return;
        };
        if std::mem::replace(&mut self.seen, seen) != seen {
            self.subscribers.send([Hint::Anything]);
        }
    }
}
