//! A transaction of the application, in the system database or in another one.

use async_trait::async_trait;
use durable_core::{
    db::{DbError, StepRecord},
    ids::Owner,
    source::{Checkpoint, Condition, Opened, TransactionOptions, Trouble, Witness, WitnessKey},
};
use sqlx::{Sqlite as Driver, SqliteConnection, pool::PoolConnection, sqlite::SqlitePool};

use super::{outbox, transactions, witness};
use crate::{
    Sqlite,
    error::{Failure, is_busy, is_passing},
    lane::{End, Lent},
    steps::{Recording, record},
};

const BEGIN: &str = "begin a transaction";
const RECORD: &str = "record a transactional step";
const COMMIT: &str = "commit a transactional step";

/// What an error of our own means.
fn trouble(failure: Failure, doing: &'static str) -> Trouble {
    let error = failure.into_error(doing);
    if error.is_retryable() {
        Trouble::Away(error)
    } else {
        Trouble::Engine(error)
    }
}

/// What an error at the commit means: what lasts is of the closure's making.
fn not_committed(error: &sqlx::Error) -> Trouble {
    let text = error.to_string();
    if is_busy(error) {
        Trouble::Contended(text)
    } else if is_passing(error) {
        Trouble::Away(DbError::unavailable(COMMIT, text))
    } else {
        Trouble::Refused(text)
    }
}

fn nested() -> Trouble {
    Trouble::Refused(
        "a transaction that was begun inside was neither committed nor rolled back".to_owned(),
    )
}

/// SQLite has ended the transaction by itself, and the closure went on.
fn ended_early() -> Trouble {
    Trouble::Refused(
        "a statement in it failed and ended it, and its closure did not return that error; return it".to_owned(),
    )
}

/// The closure has ended the transaction, and begun another.
fn ended_itself() -> Trouble {
    Trouble::Refused(
        "its closure has ended the transaction itself, by a COMMIT or a ROLLBACK of its own, so \
        what it wrote before that is there or gone whatever is recorded; leave both to the step, \
        and put what may be undone into a transaction within"
            .to_owned(),
    )
}

async fn condition(conn: &mut SqliteConnection) -> Condition {
    match transactions::is_sound(conn).await {
        Ok(true) => Condition::Sound,
        Ok(false) => Condition::Aborted,
        Err(_) => Condition::Gone,
    }
}

async fn check_sound(conn: &mut SqliteConnection) -> Result<(), Trouble> {
    if transactions::is_nested(conn) {
        return Err(nested());
    }
    match transactions::is_sound(conn).await {
        Ok(true) => {}
        Ok(false) => return Err(ended_early()),
        Err(error) => return Err(trouble(error.into(), RECORD)),
    }
    match transactions::is_same(conn).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ended_itself()),
        Err(error) => Err(trouble(error.into(), RECORD)),
    }
}

/// What only the other layout has.
fn not_here(doing: &'static str) -> Trouble {
    Trouble::Engine(DbError::broken(
        doing,
        "this data source is not of that layout",
    ))
}

/// In the system database: on the writer's connection.
struct InSystem {
    database: Sqlite,
    lent: Lent,
    read_only: bool,
}

pub(super) async fn in_system(
    database: &Sqlite,
    options: TransactionOptions,
) -> Result<Box<dyn Opened<SqliteConnection>>, Trouble> {
    if let (true, Some(readers)) = (options.read_only, database.readers()) {
        // Beside the writer, and in nobody's way.
        return in_other(Ok(readers), options).await;
    }
    let lent = database.lane().lend(options.read_only).await;
    let lent = lent.map_err(|failure| trouble(failure, BEGIN))?;
    Ok(Box::new(InSystem {
        database: database.clone(),
        lent,
        read_only: options.read_only,
    }))
}

impl InSystem {
    async fn restore(&mut self) {
        if self.read_only {
            // A connection that cannot take a setting back cannot begin either, and is made anew.
            let _ = transactions::writable(&mut self.lent.session().conn).await;
        }
    }
}

#[async_trait]
impl Opened<SqliteConnection> for InSystem {
    fn holds(&self) -> Option<usize> {
        Some(self.database.lane().key())
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, Trouble> {
        Ok(&mut self.lent.session().conn)
    }

    async fn condition(&mut self) -> Condition {
        condition(&mut self.lent.session().conn).await
    }

    async fn checkpoint(
        &mut self,
        owner: &Owner,
        step: &StepRecord,
    ) -> Result<Checkpoint, Trouble> {
        let session = self.lent.session();
        check_sound(&mut session.conn).await?;
        let recorded = record(session, owner, step).await;
        Ok(
            match recorded.map_err(|failure| trouble(failure, RECORD))? {
                Recording::New => Checkpoint::Written,
                Recording::Known => Checkpoint::Known(Box::new(step.clone())),
                Recording::Other(stored) => Checkpoint::Known(stored),
                Recording::Lost(lost) => Checkpoint::Lost(lost),
            },
        )
    }

    async fn witness(&mut self, _key: &WitnessKey) -> Result<Option<Witness>, Trouble> {
        Err(not_here("read a witness"))
    }

    async fn leave_witness(&mut self, _key: &WitnessKey, _: &Witness) -> Result<bool, Trouble> {
        Err(not_here("leave a witness"))
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Trouble> {
        if transactions::is_nested(&self.lent.session().conn) {
            self.rollback().await;
            return Err(nested());
        }
        if let Err(error) = self.lent.session().commit_lent().await {
            self.rollback().await;
            return Err(not_committed(&error));
        }
        self.restore().await;
        self.lent.ended(End::Committed);
        outbox::publish(&self.database);
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) {
        self.lent.session().rollback_lent().await;
        self.restore().await;
        outbox::forget(&self.database);
        self.lent.ended(End::RolledBack);
    }
}

/// In another database: on a connection of its pool.
struct InOther {
    connection: PoolConnection<Driver>,
    read_only: bool,
    open: bool,
}

pub(super) async fn in_other(
    pool: Result<&SqlitePool, Failure>,
    options: TransactionOptions,
) -> Result<Box<dyn Opened<SqliteConnection>>, Trouble> {
    let pool = pool.map_err(|failure| trouble(failure, BEGIN))?;
    let connection = pool.acquire().await;
    let mut opened = InOther {
        connection: connection.map_err(|error| trouble(error.into(), BEGIN))?,
        read_only: options.read_only,
        open: true,
    };
    let begun = transactions::begin(&mut opened.connection, options.read_only).await;
    begun.map_err(|failure| {
        if failure.renews() {
            opened.connection.close_on_drop();
        }
        trouble(failure, BEGIN)
    })?;
    Ok(Box::new(opened))
}

impl InOther {
    async fn ended(&mut self) {
        self.open = false;
        if self.read_only && transactions::writable(&mut self.connection).await.is_err() {
            self.connection.close_on_drop();
        }
    }
}

#[async_trait]
impl Opened<SqliteConnection> for InOther {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Trouble> {
        Ok(&mut self.connection)
    }

    async fn condition(&mut self) -> Condition {
        condition(&mut self.connection).await
    }

    async fn checkpoint(&mut self, _: &Owner, _: &StepRecord) -> Result<Checkpoint, Trouble> {
        Err(not_here(RECORD))
    }

    async fn witness(&mut self, key: &WitnessKey) -> Result<Option<Witness>, Trouble> {
        witness::read(&mut self.connection, key)
            .await
            .map_err(|failure| trouble(failure, "read a witness"))
    }

    async fn leave_witness(&mut self, key: &WitnessKey, left: &Witness) -> Result<bool, Trouble> {
        check_sound(&mut self.connection).await?;
        witness::leave(&mut self.connection, key, left)
            .await
            .map_err(|failure| trouble(failure, RECORD))
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Trouble> {
        if transactions::is_nested(&self.connection) {
            self.rollback().await;
            return Err(nested());
        }
        if let Err(error) = transactions::commit(&mut self.connection).await {
            self.rollback().await;
            return Err(not_committed(&error));
        }
        self.ended().await;
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) {
        if transactions::rollback(&mut self.connection).await {
            self.ended().await;
        } else {
            self.open = false;
            self.connection.close_on_drop();
        }
    }
}

impl Drop for InOther {
    fn drop(&mut self) {
        if self.open {
            transactions::start_rollback(&mut self.connection);
            if self.read_only {
                self.connection.close_on_drop();
            }
        }
    }
}
