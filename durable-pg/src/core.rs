//! What every operation works with: the driver, the statements of the schema, and where hints go.

use std::{sync::Arc, time::Duration};

use durable_core::db::{Hint, HintHub, Message, Result};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Connection, Driver, DriverError, Param, Row,
    error::Failure,
    leases::Leases,
    options::Bounds,
    session::Session,
    text::{SchemaName, Texts},
    transaction::Transaction,
};

/// How many connections of an application's own pool are used at the same time.
const BORROWED: usize = 3;

/// How often something is tried that the server refused for a reason that the driver does not tell.
const ATTEMPTS: u32 = 3;
const WAIT: Duration = Duration::from_millis(20);

/// How often something is tried at once on another connection, where what the one before had
/// prepared was of no use: an application's pool may hold as many connections that are as old.
const RENEWALS: u32 = 30;

/// Counts the tries of one call.
#[derive(Default)]
struct Tries {
    unclear: u32,
    stale: u32,
}

impl Tries {
    /// Whether it is tried once more after this; waits before that, where it helps.
    async fn again(&mut self, failure: &Failure) -> bool {
        if failure.is_stale() {
            self.stale += 1;
            return self.stale <= RENEWALS;
        }
        if !failure.is_unclear() {
            return false;
        }
        self.unclear += 1;
        tokio::time::sleep(WAIT).await;
        self.unclear < ATTEMPTS
    }
}

/// Shared by a handle and the tasks that serve it.
pub(crate) struct Core<D: Driver> {
    pub(crate) driver: D,
    pub(crate) texts: Texts,
    pub(crate) listen_notify: bool,
    pub(crate) hub: HintHub,
    pub(crate) session: Session,
    pub(crate) leases: Leases,
    pub(crate) bounds: Bounds,
    borrowed: Semaphore,
}

/// A connection of the pool, for as long as it is borrowed.
pub(crate) struct Borrowed<'a, D: Driver> {
    pub(crate) connection: D::Connection,
    _permit: Option<SemaphorePermit<'a>>,
}

impl<D: Driver> Core<D> {
    pub(crate) fn new(
        driver: D,
        schema: SchemaName,
        listen_notify: bool,
        bounds: Bounds,
        lease: Option<Duration>,
    ) -> Self {
        let leases = Leases::start(driver.clone(), &schema, bounds.clone(), lease);
        let session = Session::start(
            driver.clone(),
            schema.clone(),
            listen_notify,
            bounds.clone(),
        );
        Self {
            driver,
            texts: Texts::new(schema),
            listen_notify,
            hub: HintHub::new(),
            session,
            leases,
            bounds,
            borrowed: Semaphore::new(BORROWED),
        }
    }

    pub(crate) fn text(&self, statement: &'static str) -> Arc<str> {
        self.texts.get(statement)
    }

    pub(crate) fn schema(&self) -> &SchemaName {
        self.texts.schema()
    }

    /// Refuses what nobody serves any more: connections end with the runtime that they were made in.
    fn check_open(&self) -> Result<(), Failure> {
        if self.session.is_closed() {
            return Err(Failure::closed());
        }
        Ok(())
    }

    /// A connection of the pool; of an application's pool, only a few at the same time.
    pub(crate) async fn borrow(&self) -> Result<Borrowed<'_, D>, DriverError> {
        let permit = if self.driver.owns_pool() {
            None
        } else {
            // Never closed.
            self.borrowed.acquire().await.ok()
        };
        Ok(Borrowed {
            connection: self.driver.acquire().await.map_err(DriverError::away)?,
            _permit: permit,
        })
    }

    /// Runs one statement by itself.
    pub(crate) async fn ask(
        &self,
        doing: &'static str,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>> {
        let mut tries = Tries::default();
        loop {
            match self.ask_once(statement, parameters).await {
                Err(failure) if tries.again(&failure).await => {}
                answer => return answer.map_err(|failure| failure.into_error(doing)),
            }
        }
    }

    async fn ask_once(
        &self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.check_open()?;
        if self.driver.owns_pool() {
            let mut borrowed = self.borrow().await?;
            let text = self.text(statement);
            let asked = borrowed.connection.query(&text, parameters);
            let answer = self.bounds.answer(asked).await;
            if let Err(error) = &answer {
                give_up(&mut borrowed.connection, error);
            }
            return Ok(answer?);
        }
        // In an application's session nothing may be set beyond a transaction.
        let mut transaction = Transaction::begin(self).await?;
        let rows = transaction.query(statement, parameters).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// Runs an operation in a transaction of its own; its hints go out after the commit.
    ///
    /// It may run more than once, each time as if the times before had not been.
    pub(crate) async fn transact<A, T, F>(
        &self,
        doing: &'static str,
        args: A,
        operation: F,
    ) -> Result<T>
    where
        A: Sync,
        F: Operation<D, A, T>,
    {
        self.transact_with(&args, operation)
            .await
            .map_err(|failure| failure.into_error(doing))
    }

    /// The same, for callers that name what they do later.
    pub(crate) async fn transact_with<A, T, F>(&self, args: &A, operation: F) -> Result<T, Failure>
    where
        A: Sync,
        F: Operation<D, A, T>,
    {
        let mut tries = Tries::default();
        let mut careful = false;
        loop {
            match self.transact_once(args, &operation, careful).await {
                Err(failure) if tries.again(&failure).await => {}
                // Of several rows it is perhaps one.
                Err(failure) if failure.is_about_a_value() && !careful => careful = true,
                answer => return answer,
            }
        }
    }

    async fn transact_once<A, T, F>(
        &self,
        args: &A,
        operation: &F,
        careful: bool,
    ) -> Result<T, Failure>
    where
        A: Sync,
        F: Operation<D, A, T>,
    {
        self.check_open()?;
        let mut transaction = Transaction::begin(self).await?;
        if careful {
            transaction = transaction.carefully();
        }
        match operation(&mut transaction, args).await {
            Ok(answer) => {
                transaction.commit().await?;
                Ok(answer)
            }
            Err(failure) => {
                transaction.rollback().await;
                Err(failure)
            }
        }
    }

    /// A connection outside the pool, set up for our statements.
    pub(crate) async fn prepared(&self) -> Result<D::Connection, DriverError> {
        prepared(&self.driver, &self.bounds).await
    }

    /// Wakes those who wait, in this process and in others.
    pub(crate) fn publish(&self, hints: Vec<Hint>) {
        self.publish_some(hints.into_iter().map(|hint| (hint, true)).collect());
    }

    /// Wakes those who wait for this message in this process: others are told by the trigger.
    pub(crate) fn publish_here(&self, message: &Message) {
        let to = message.destination.clone();
        self.hub.send([Hint::Message(to, message.topic.clone())]);
    }

    /// Wakes those who wait in this process; where it is said so, also in others.
    pub(crate) fn publish_some(&self, hints: Vec<(Hint, bool)>) {
        let far = hints.iter().filter(|(_, far)| *far);
        self.session.tell(far.map(|(hint, _)| hint));
        self.hub.send(hints.into_iter().map(|(hint, _)| hint));
    }
}

/// Gives a connection up, if this error says that it cannot be used any more. One whose error is
/// unclear may be such a one.
pub(crate) fn give_up(connection: &mut impl Connection, error: &DriverError) {
    if error.is_stale() {
        connection.discard_all();
    } else if error.is_lost() || error.is_unclear() {
        connection.discard();
    }
}

/// A connection outside the pool, set up for our statements.
pub(crate) async fn prepared<D: Driver>(
    driver: &D,
    bounds: &Bounds,
) -> Result<D::Connection, DriverError> {
    let mut connection = driver.dedicated().await.map_err(DriverError::away)?;
    bounds.answer(connection.batch(&bounds.prepare)).await?;
    Ok(connection)
}

/// What a caller wants done in a transaction. A verdict, such as a lost token, is an answer; after a failure nothing of it remains.
pub(crate) trait Operation<D: Driver, A, T>:
    for<'t> Fn(&'t mut Transaction<'_, D>, &'t A) -> BoxFuture<'t, Result<T, Failure>> + Send + Sync
{
}

impl<D: Driver, A, T, F> Operation<D, A, T> for F where
    F: for<'t> Fn(&'t mut Transaction<'_, D>, &'t A) -> BoxFuture<'t, Result<T, Failure>>
        + Send
        + Sync
{
}
