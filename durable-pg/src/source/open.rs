//! A transaction of the application, from BEGIN to COMMIT.

use std::sync::Arc;

use async_trait::async_trait;
use durable_core::{
    db::{Hint, StepRecord},
    ids::{Format, Owner},
    payload::Encoded,
    source::{Checkpoint, Condition, Opened, TransactionOptions, Trouble, Witness, WitnessKey},
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Connection as _, Driver, DriverError, Param, Row,
    core::give_up,
    error::{Failure, code},
    lane::{self, Recording},
    transaction::Ask,
    value::params,
};

use super::{Raw, Tables, begin_script, forget, witness};

/// What our own statements need of the planner: see `options::PREPARE`.
pub(crate) const PLAN_AS_WE_NEED: &str = ";
    SET LOCAL enable_seqscan = off;
    SET LOCAL plan_cache_mode = force_generic_plan";

pub(super) const PLAN_AS_THE_SERVER_HAS_IT: &str = ";
    SET LOCAL enable_seqscan TO DEFAULT;
    SET LOCAL plan_cache_mode TO DEFAULT";

/// Marks the transaction: the mark goes with it.
pub(super) const MARK: &str = ";
    SET LOCAL durable.transaction = 'open'";

/// Before our own statements at the end. First, that the transaction is still the one that was
/// begun: where the closure has ended it, by a COMMIT or ROLLBACK of its own, the mark is gone, and
/// a division by zero says so. Then: none of the closure's own limits cut them off, what is
/// acknowledged is on the disk, and a process that goes silent between them and COMMIT holds the
/// workflow's row for a minute at most.
pub(crate) const BEFORE_CHECKPOINT: &str = "
    SELECT 1 / COALESCE((pg_catalog.current_setting('durable.transaction', true) = 'open')::int, 0);
    SET LOCAL enable_seqscan = off;
    SET LOCAL plan_cache_mode = force_generic_plan;
    SET LOCAL statement_timeout TO DEFAULT;
    SET LOCAL lock_timeout TO DEFAULT;
    SET LOCAL idle_in_transaction_session_timeout = '60s';
    SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
    WHERE pg_catalog.current_setting('synchronous_commit') = 'off'";

const RECORD: &str = "record a transactional step";
const COMMIT: &str = "commit a transactional step";

/// An open transaction. Dropped before its end, its connection is closed, and nothing of it happened.
struct PgOpened<D: Driver> {
    tables: Arc<Tables<D>>,
    connection: D::Connection,
    open: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

pub(super) async fn begin<D: Driver>(
    tables: &Arc<Tables<D>>,
    options: TransactionOptions,
) -> Result<Box<dyn Opened<Raw<D>>>, Trouble> {
    const DOING: &str = "begin a transaction";
    // Never closed.
    let permit = Arc::clone(&tables.transactions).acquire_owned().await.ok();
    let connection = tables.driver.acquire().await;
    let mut opened = PgOpened {
        tables: Arc::clone(tables),
        connection: connection.map_err(|error| away_or_engine(error, DOING))?,
        // From here on: whether the server has begun is not known before it answers.
        open: true,
        _permit: permit,
    };
    let script = begin_script(options, tables.driver.owns_pool(), tables.system.is_some());
    let begun = tables.answer(opened.connection.begin(&script)).await;
    begun.map_err(|error| away_or_engine(error, DOING))?;
    Ok(Box::new(opened))
}

/// What an error means where nothing of the closure's can be its cause.
pub(super) fn away_or_engine(error: DriverError, doing: &'static str) -> Trouble {
    let stale = error.is_stale();
    let error = error.into_error(doing);
    if stale {
        Trouble::Stale(error)
    } else if error.is_retryable() {
        Trouble::Away(error)
    } else {
        Trouble::Engine(error)
    }
}

/// What an error of our own statements means, which follow those of a closure.
fn after_the_closure(error: DriverError, doing: &'static str) -> Trouble {
    match error.code() {
        Some(code::SERIALIZATION | code::DEADLOCK) => Trouble::Contended(error.to_string()),
        Some(code::ABORTED) => Trouble::Refused(
            "a statement in it failed, and its closure did not return that error; return it, or put the statement into a transaction \
             within, which is a savepoint"
                .to_owned(),
        ),
        Some(code::READ_ONLY) => Trouble::Away(durable_core::db::DbError::unavailable(doing, error)),
        _ => away_or_engine(error, doing),
    }
}

impl From<Failure> for Ours {
    fn from(failure: Failure) -> Self {
        Self(match failure {
            Failure::Driver(error) => after_the_closure(error, RECORD),
            failure => Trouble::Engine(failure.into_error(RECORD)),
        })
    }
}

/// Trouble with a statement of our own.
struct Ours(Trouble);

#[async_trait]
impl<D: Driver> Ask for PgOpened<D> {
    async fn query(
        &mut self,
        statement: &'static str,
        parameters: &[Param<'_>],
    ) -> Result<Vec<Row>, DriverError> {
        let text = self.tables.texts.get(statement);
        let asked = self.connection.query(&text, parameters);
        let answer = self.tables.answer(asked).await;
        if let Err(error) = &answer {
            give_up(&mut self.connection, error);
        }
        answer
    }

    fn hint(&mut self, _hint: Hint) {}
}

impl<D: Driver> PgOpened<D> {
    async fn script(&mut self, script: &str) -> Result<(), Trouble> {
        let ran = self.tables.answer(self.connection.batch(script)).await;
        ran.map_err(|error| match error.code() {
            Some(code::DIVISION_BY_ZERO) => Trouble::Refused(
                "its closure has ended the transaction itself, by a COMMIT or a ROLLBACK of its \
                own, so what it wrote before that is there \
                 or gone whatever is recorded; leave both to the step, and put what may be undone \
                 into a transaction within"
                    .to_owned(),
            ),
            _ => after_the_closure(error, RECORD),
        })
    }

    async fn record(&mut self, owner: &Owner, step: &StepRecord) -> Result<Checkpoint, Ours> {
        Ok(match lane::record(self, owner, step).await? {
            Recording::New => Checkpoint::Written,
            // Also one with another result: what was committed first is what counts.
            Recording::Known => Checkpoint::Known(Box::new(step.clone())),
            Recording::Other(stored) => Checkpoint::Known(stored),
            Recording::Lost(lost) => Checkpoint::Lost(lost),
        })
    }
}

#[async_trait]
impl<D: Driver> Opened<Raw<D>> for PgOpened<D> {
    fn connection(&mut self) -> Result<&mut Raw<D>, Trouble> {
        let raw = self.connection.raw();
        raw.map_err(|error| away_or_engine(error, "use a connection"))
    }

    async fn condition(&mut self) -> Condition {
        match self.tables.answer(self.connection.batch("SELECT 1")).await {
            Ok(()) => Condition::Sound,
            Err(error) if error.code() == Some(code::ABORTED) || !error.is_lost() => {
                Condition::Aborted
            }
            Err(_) => Condition::Gone,
        }
    }

    async fn checkpoint(
        &mut self,
        owner: &Owner,
        step: &StepRecord,
    ) -> Result<Checkpoint, Trouble> {
        self.script(BEFORE_CHECKPOINT).await?;
        self.record(owner, step)
            .await
            .map_err(|Ours(trouble)| trouble)
    }

    async fn witness(&mut self, key: &WitnessKey) -> Result<Option<Witness>, Trouble> {
        let found = self
            .query_one(
                witness::WITNESS,
                params![
                    key.workflow.as_str(),
                    key.incarnation.as_str(),
                    i64::from(key.number),
                ],
            )
            .await;
        let found = found.map_err(|error| witness::trouble(error, self.tables.texts.schema()))?;
        let read = |mut row: Row| -> Result<Witness, DriverError> {
            Ok(Witness {
                name: row.some_text()?,
                output: Encoded {
                    text: row.some_text()?,
                    format: row.name::<Format>()?,
                },
            })
        };
        let found = found.map(read).transpose();
        let found = found.map_err(|error| away_or_engine(error, "read a witness"))?;
        if found.is_none() {
            // From before the closure: who removes witnesses must not overlook that this may leave
            // one.
            let hold = forget::hold(&key.workflow);
            let script = format!("{hold}{PLAN_AS_THE_SERVER_HAS_IT}");
            let ran = self.tables.answer(self.connection.batch(&script)).await;
            ran.map_err(|error| away_or_engine(error, "read a witness"))?;
        }
        Ok(found)
    }

    async fn leave_witness(&mut self, key: &WitnessKey, left: &Witness) -> Result<bool, Trouble> {
        self.script(BEFORE_CHECKPOINT).await?;
        let written = self
            .query_one(
                witness::LEAVE,
                params![
                    key.workflow.as_str(),
                    key.incarnation.as_str(),
                    i64::from(key.number),
                    left.name.as_str(),
                    left.output.text.as_str(),
                    left.output.format.as_ref().map(Format::as_str),
                ],
            )
            .await;
        let written = written.map_err(|error| after_the_closure(error, RECORD))?;
        Ok(written.is_some())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Trouble> {
        let committed = self.tables.answer(self.connection.commit()).await;
        let Err(error) = committed else {
            self.open = false;
            return Ok(());
        };
        match error.code() {
            Some(code::SERIALIZATION | code::DEADLOCK) => {
                self.open = false;
                Err(Trouble::Contended(error.to_string()))
            }
            _ if error.is_passing() => Err(Trouble::Away(error.into_error(COMMIT))),
            // What lasts is of the closure's making: a deferred constraint, a trigger at the end, a savepoint that is still open.
            _ => Err(Trouble::Refused(error.to_string())),
        }
    }

    async fn rollback(mut self: Box<Self>) {
        // If that fails, the drop closes the connection, and the server rolls back.
        let ended = self.tables.answer(self.connection.rollback()).await;
        self.open = ended.is_err();
    }
}

impl<D: Driver> Drop for PgOpened<D> {
    fn drop(&mut self) {
        if self.open {
            self.connection.discard();
        }
    }
}
