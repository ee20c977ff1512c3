//! The writer's connection, lent to a transaction of the application.
//!
//! SQLite has one writer. A second connection would wait for the lock by sleeping and looking again, and a database in memory has no
//! second one. So such a transaction takes its turn with the process's other writes, and has the connection for itself meanwhile.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::{Session, Writer};
use crate::error::Failure;

/// Somebody wants the connection.
pub(crate) struct Wish {
    pub(super) read_only: bool,
    pub(super) caller: oneshot::Sender<Result<Lent, Failure>>,
}

/// The connection, with a transaction open on it. It goes back when this is dropped, and what is open then is rolled back.
pub(crate) struct Lent {
    /// There until the drop.
    session: Option<Session>,
    end: End,
    back: Option<oneshot::Sender<(Session, End)>>,
}

/// How a transaction came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Committed,
    RolledBack,
}

impl Lent {
    /// The session. Errors: never; it leaves in the drop alone.
    pub(crate) fn session(&mut self) -> &mut Session {
        self.session
            .as_mut()
            .expect("the session is there until the drop")
    }

    /// Says how the transaction ended, and gives the connection back.
    pub(crate) fn ended(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(session), Some(back)) = (self.session.take(), self.back.take()) {
            // A writer that has ended needs no connection.
            let _ = back.send((session, self.end));
        }
    }
}

impl Writer {
    /// Lends the connection, and waits for it. `None`: it did not come back, so nobody can write any more.
    pub(super) async fn lend(mut self, wish: Wish) -> Option<Self> {
        if wish.caller.is_closed() {
            return Some(self);
        }
        if let Err(failure) = self.session.begin_lent(wish.read_only).await {
            // Somebody who went away wants no answer.
            let _ = wish.caller.send(Err(failure));
            return Some(self);
        }
        let Self {
            rides,
            wished,
            session,
            watch,
            commits,
        } = self;
        let (back, returned) = oneshot::channel();
        let lent = Lent {
            session: Some(session),
            end: End::Open,
            back: Some(back),
        };
        // Where the caller has gone, it comes back in the drop of what is not sent.
        drop(wish.caller.send(Ok(lent)));
        let (mut session, end) = returned.await.ok()?;
        match end {
            End::Open => session.rollback_lent().await,
            End::Committed => {
                commits.fetch_add(1, Ordering::Relaxed);
            }
            End::RolledBack => {}
        }
        Some(Self {
            rides,
            wished,
            session,
            watch,
            commits,
        })
    }
}
