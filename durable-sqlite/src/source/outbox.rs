//! Workflows and messages that go in with an application's transaction, and looking whether one was committed.

use std::sync::PoisonError;

use durable_core::{
    db::{
        Hint, Inserted, Lost, Message, NewWorkflow, Placement, Result as DbResult, Sent, StepRecord,
    },
    ids::Owner,
};
use sqlx::SqliteConnection;

use crate::{
    Sqlite,
    error::Failure,
    messages::{deliver, exists},
    starts::{Start, insert_at},
    steps::{check_owner, stored},
};

pub(super) async fn enqueue(
    database: &Sqlite,
    conn: &mut SqliteConnection,
    new: &NewWorkflow,
) -> DbResult<Inserted> {
    let now = database.instant();
    let (created_at, hint) = match &new.placement {
        Placement::Here => (now, None),
        Placement::Queue { name, .. } => {
            let hint = Hint::Queue(name.clone());
            (database.places().next(name, now), Some(hint))
        }
    };
    let start = Start::new(new);
    let row = start.row_at(created_at);
    let inserted = insert_at(conn, &start, &row, now).await;
    if let (Ok(Inserted::Created { .. }), Some(hint)) = (&inserted, hint) {
        enlist(database, hint);
    }
    inserted.map_err(|failure| failure.into_error("enqueue a workflow in a transaction"))
}

pub(super) async fn send(
    database: &Sqlite,
    conn: &mut SqliteConnection,
    message: &Message,
) -> DbResult<Sent> {
    let sent = async {
        if deliver(conn, message, database.instant()).await? {
            let to = message.destination.clone();
            enlist(database, Hint::Message(to, message.topic.clone()));
            return Ok(Sent::Delivered);
        }
        if exists(conn, &message.destination).await? {
            return Ok(Sent::Delivered);
        }
        Ok(Sent::NoDestination)
    };
    sent.await
        .map_err(|failure: Failure| failure.into_error("send a message in a transaction"))
}

/// A transaction on the writer's connection is seen by nobody's watch in this process, so it tells; one on a connection of the
/// application is seen, and told once more with the next lent one at the latest.
fn enlist(database: &Sqlite, hint: Hint) {
    let mut enlisted = database
        .enlisted()
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if enlisted.len() >= MANY {
        *enlisted = vec![Hint::Anything];
    }
    enlisted.push(hint);
}

/// More hints than these are told as one.
const MANY: usize = 1024;

/// Sends the hints of the transaction that was committed.
pub(super) fn publish(database: &Sqlite) {
    let hints = take(database);
    database.subscribers().send(hints);
}

/// Drops the hints of the transaction that was rolled back.
pub(super) fn forget(database: &Sqlite) {
    drop(take(database));
}

fn take(database: &Sqlite) -> Vec<Hint> {
    let mut enlisted = database
        .enlisted()
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *enlisted)
}

pub(super) async fn settled(
    database: &Sqlite,
    owner: &Owner,
    number: i32,
) -> DbResult<Result<Option<StepRecord>, Lost>> {
    let args = (owner.clone(), number);
    database
        .write(
            "look whether a transaction was committed",
            args,
            |session, (owner, number)| {
                Box::pin(async move {
                    if let Err(lost) = check_owner(&mut session.conn, owner).await? {
                        return Ok(Err(lost));
                    }
                    let found = stored(&mut session.conn, &owner.workflow, *number).await?;
                    Ok(Ok(found))
                })
            },
        )
        .await
}
