//! Workflows and messages that go in with an application's transaction.

use std::sync::Arc;

use async_trait::async_trait;
use durable_core::db::{
    ChildInserted, DbError, Hint, Inserted, Message, NewWorkflow, Result as DbResult, Sent,
};

use crate::{
    Connection as _, Driver, DriverError, Param, PgSystemDb, Row,
    error::{Failure, code},
    hints::told_as,
    lane::{self, Start},
    messages,
    transaction::Ask,
    value::params,
};

use super::Raw;

/// Tells other processes, and this one, when the transaction is committed, and not if it is not.
const NOTIFY: &str = "SELECT pg_catalog.pg_notify($1, $2)::text";

/// The application's transaction, and what it will have changed.
struct Theirs<'a, D: Driver> {
    system: &'a PgSystemDb<D>,
    connection: &'a mut Raw<D>,
    hints: Vec<Hint>,
}

#[async_trait]
impl<D: Driver> Ask for Theirs<'_, D> {
    async fn query(
        &mut self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        let text = self.system.core().text(statement);
        D::Connection::query_on(self.connection, &text, parameters).await
    }

    fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }
}

impl<D: Driver> Theirs<'_, D> {
    /// Only the transaction's owner knows when it is committed, so the server tells.
    async fn tell(&mut self) -> Result<(), Failure> {
        if !self.system.core().listen_notify {
            return Ok(());
        }
        let notify = Arc::from(NOTIFY);
        for (channel, payload) in self.hints.iter().filter_map(told_as) {
            D::Connection::query_on(self.connection, &notify, params![channel, payload.as_str()])
                .await?;
        }
        Ok(())
    }
}

pub(super) async fn enqueue<D: Driver>(
    system: &PgSystemDb<D>,
    connection: &mut Raw<D>,
    new: &NewWorkflow,
) -> DbResult<Inserted> {
    const DOING: &str = "enqueue a workflow in a transaction";
    let mut theirs = Theirs {
        system,
        connection,
        hints: Vec::new(),
    };
    let start = Start::new(new, None);
    let inserted = async {
        let inserted = lane::insert(&mut theirs, &start, system.lanes().places()).await?;
        theirs.tell().await?;
        match inserted {
            ChildInserted::Done(inserted) => Ok(inserted),
            ChildInserted::Lost(_) => Err(Failure::broken("a start without a parent lost it")),
        }
    };
    inserted.await.map_err(|failure| in_theirs(failure, DOING))
}

/// What a failure means in a transaction that is not ours to run again.
fn in_theirs(failure: Failure, doing: &'static str) -> DbError {
    match failure {
        Failure::Driver(error) if error.code() == Some(code::ABORTED) => DbError::Refused(format!(
            "cannot {doing}: an earlier statement in it failed, which ended it; return that \
            error, or put the statement into a transaction \
             within, which is a savepoint"
        )),
        failure => failure.into_error(doing),
    }
}

pub(super) async fn send<D: Driver>(
    system: &PgSystemDb<D>,
    connection: &mut Raw<D>,
    message: &Message,
) -> DbResult<Sent> {
    let mut theirs = Theirs {
        system,
        connection,
        hints: Vec::new(),
    };
    // Of messages the trigger tells.
    messages::send(&mut theirs, message, None)
        .await
        .map_err(|failure| in_theirs(failure, "send a message in a transaction"))
}
