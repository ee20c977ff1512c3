//! Seeing that another process has written to the file.

use std::{sync::Arc, time::Duration};

use durable_core::db::Hint;
use sqlx::SqliteConnection;
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

use crate::hints;

/// How often the file is looked at while somebody listens.
const INTERVAL: Duration = Duration::from_millis(50);

/// Watches a file for commits of others, on the connection that writes our own: SQLite counts for each connection the commits of all
/// others only, so our own commits never look like news. Looks at nothing while nobody listens.
pub(crate) struct Watch {
    subscribers: broadcast::Sender<Hint>,
    subscribed: Arc<Notify>,
    /// A database that no other process can see is not watched.
    shared: bool,
    seen: Option<i64>,
    next: Instant,
}

impl Watch {
    /// `subscribed` is notified when a listener may have come.
    pub(crate) fn new(
        subscribers: broadcast::Sender<Hint>,
        subscribed: Arc<Notify>,
        shared: bool,
    ) -> Self {
        Self {
            subscribers,
            subscribed,
            shared,
            seen: None,
            next: Instant::now(),
        }
    }

    /// Completes when it is time to look.
    pub(crate) async fn due(&self) {
        if !self.shared {
            return std::future::pending().await;
        }
        while self.subscribers.receiver_count() == 0 {
            self.subscribed.notified().await;
        }
        tokio::time::sleep_until(self.next).await;
    }

    /// Looks, if it is time to, and tells the listeners when somebody else has committed.
    pub(crate) async fn look(&mut self, conn: &mut SqliteConnection) {
        let now = Instant::now();
        if !self.shared || now < self.next || self.subscribers.receiver_count() == 0 {
            return;
        }
        self.next = now + INTERVAL;
        let version = sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(conn)
            .await;
        // A look that fails is made up for by the next one.
        let Ok(version) = version else { return };
        let before = self.seen.replace(version);
        if before.is_some_and(|before| before != version) {
            hints::send(&self.subscribers, [Hint::Anything]);
        }
    }
}
