//! Where a backend sends its hints, for whoever listens in this process.

use std::collections::BTreeSet;

use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

use super::Hint;

/// How many hints a subscriber may leave unread before it is told "anything" instead.
const UNREAD: usize = 1024;

/// Sends hints to the streams that [`SystemDb::hints`](super::SystemDb::hints) gave. Clones are one hub.
#[derive(Clone, Debug)]
pub struct HintHub(Sender<Hint>);

impl HintHub {
    /// A hub without listeners.
    pub fn new() -> Self {
        Self(Sender::new(UNREAD))
    }

    /// Sends each hint once.
    pub fn send(&self, hints: impl IntoIterator<Item = Hint>) {
        if !self.is_heard() {
            return;
        }
        let mut sent = BTreeSet::new();
        for hint in hints {
            if sent.insert(hint.clone()) {
                // The last subscriber may have gone just now.
                let _ = self.0.send(hint);
            }
        }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// What is sent from now on, until the last clone of the hub is dropped.
    pub fn subscribe(&self) -> BoxStream<'static, Hint> {
        unfold(self.0.subscribe(), next).boxed()
    }
}

async fn next(mut subscription: Receiver<Hint>) -> Option<(Hint, Receiver<Hint>)> {
    let hint = match subscription.recv().await {
        Ok(hint) => hint,
        Err(RecvError::Lagged(_)) => Hint::Anything,
        Err(RecvError::Closed) => return None,
    };
    Some((hint, subscription))
}

impl Default for HintHub {
    fn default() -> Self {
        Self::new()
    }
}
