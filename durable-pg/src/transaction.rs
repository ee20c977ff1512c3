//! A transaction of several statements, for what is rare or needs a decision in between.

use async_trait::async_trait;
use durable_core::db::Hint;

use crate::{
    Connection as _, Driver, DriverError, Param, Row,
    core::{Borrowed, Core, give_up},
};

/// What our statements rely on, also in a session that the application has set up.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
pub(crate) const BEGIN_AS_GUEST: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL enable_seqscan = off;
    SET LOCAL plan_cache_mode = force_generic_plan;
    SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
    WHERE pg_catalog.current_setting('synchronous_commit') = 'off'";

/// A transaction that statements of this crate are asked in, whoever began it.
#[async_trait]
pub(crate) trait Ask: Send {
    /// Runs a statement, and gives its rows.
    async fn query(
        &mut self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError>;

    /// Says what the transaction changed, to those who wait for it.
    fn hint(&mut self, hint: Hint);

    /// Runs a statement that gives a row at most.
    async fn query_one(
        &mut self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Option<Row>, DriverError> {
        Ok(self.query(statement, parameters).await?.pop())
    }
}

#[async_trait]
impl<D: Driver> Ask for Transaction<'_, D> {
    async fn query(
        &mut self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        Transaction::query(self, statement, parameters).await
    }

    fn hint(&mut self, hint: Hint) {
        Transaction::hint(self, hint);
    }
}

/// An open transaction. Dropped before its end, its connection is closed, and nothing of it happened.
pub(crate) struct Transaction<'a, D: Driver> {
    core: &'a Core<D>,
    borrowed: Borrowed<'a, D>,
    open: bool,
    /// Each row is saved by itself: the server did not take one of them.
    careful: bool,
    /// Sent when it is committed.
    hints: Vec<Hint>,
}

impl<'a, D: Driver> Transaction<'a, D> {
    pub(crate) async fn begin(core: &'a Core<D>) -> Result<Self, DriverError> {
        let mut transaction = Self {
            core,
            borrowed: core.borrow().await?,
            // From here on: whether the server has begun is not known before it answers.
            open: true,
            careful: false,
            hints: Vec::new(),
        };
        let begin = if core.driver.owns_pool() {
            BEGIN
        } else {
            BEGIN_AS_GUEST
        };
        let begun = transaction.borrowed.connection.batch(begin);
        core.bounds.answer(begun).await?;
        Ok(transaction)
    }

    /// Runs a statement, and gives its rows.
    pub(crate) async fn query(
        &mut self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        let text = self.core.text(statement);
        let asked = self.borrowed.connection.query(&text, parameters);
        let answer = self.core.bounds.answer(asked).await;
        if let Err(error) = &answer {
            // Also where it is rolled back after that.
            give_up(&mut self.borrowed.connection, error);
        }
        answer
    }

    /// Runs a statement that gives a row at most.
    pub(crate) async fn query_one(
        &mut self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Option<Row>, DriverError> {
        Ok(self.query(statement, parameters).await?.pop())
    }

    /// The same, with each row saved by itself.
    pub(crate) fn carefully(mut self) -> Self {
        self.careful = true;
        self
    }

    pub(crate) fn is_careful(&self) -> bool {
        self.careful
    }

    /// Runs a script without parameters and answers, as for a savepoint.
    pub(crate) async fn script(&mut self, script: &str) -> Result<(), DriverError> {
        let ran = self.borrowed.connection.batch(script);
        self.core.bounds.answer(ran).await
    }

    /// Says what the transaction changed, to those who wait for it.
    pub(crate) fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    pub(crate) async fn commit(mut self) -> Result<(), DriverError> {
        let committed = self.borrowed.connection.batch("COMMIT");
        self.core.bounds.answer(committed).await?;
        self.open = false;
        self.core.publish(std::mem::take(&mut self.hints));
        Ok(())
    }

    pub(crate) async fn rollback(mut self) {
        // If that fails, the drop closes the connection, and the server rolls back.
        let ended = self.borrowed.connection.batch("ROLLBACK");
        self.open = self.core.bounds.answer(ended).await.is_err();
    }
}

impl<D: Driver> Drop for Transaction<'_, D> {
    fn drop(&mut self) {
        if self.open {
            self.borrowed.connection.discard();
        }
    }
}
