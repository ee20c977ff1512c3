//! Wake-ups of those who wait in this process.

use durable_core::db::Hint;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

/// How many hints a subscriber may leave unread before it is told "anything" instead.
const UNREAD: usize = 1024;

/// A place where hints are sent, to whoever listens at that time.
pub(crate) fn channel() -> Sender<Hint> {
    Sender::new(UNREAD)
}

/// Sends each hint once.
pub(crate) fn send(subscribers: &Sender<Hint>, hints: impl IntoIterator<Item = Hint>) {
    if subscribers.receiver_count() == 0 {
        return;
    }
    let mut sent = std::collections::HashSet::new();
    for hint in hints {
        if sent.insert(hint.clone()) {
            // The last subscriber may have gone just now.
            let _ = subscribers.send(hint);
        }
    }
}

/// What a subscription gives, until the database is closed.
pub(crate) fn stream(subscription: Receiver<Hint>) -> BoxStream<'static, Hint> {
    unfold(subscription, |mut subscription| async {
        let hint = match subscription.recv().await {
            Ok(hint) => hint,
            Err(RecvError::Lagged(_)) => Hint::Anything,
            Err(RecvError::Closed) => return None,
        };
        Some((hint, subscription))
    })
    .boxed()
}
