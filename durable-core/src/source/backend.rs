//! What a backend does for a data source.

use std::{error::Error as StdError, fmt};

use async_trait::async_trait;

use super::TransactionOptions;
use crate::{
    db::{DbError, Inserted, Lost, Message, NewWorkflow, Result as DbResult, Sent, StepRecord},
    ids::{Owner, WorkflowId},
    payload::Encoded,
    runtime::BoxFuture,
};

/// Where a data source's tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Beside the system tables: writes and checkpoint are one commit.
    System,
    /// In another database: a witness is committed with the writes.
    Other,
}

/// A database that transactions are run in, through a driver whose connections are `C`. It decides nothing.
#[async_trait]
pub trait Backend<C: Send + 'static>: fmt::Debug + Send + Sync + 'static {
    /// Where its tables are.
    fn layout(&self) -> Layout;

    /// Begins a transaction.
    async fn begin(&self, options: TransactionOptions) -> Result<Box<dyn Opened<C>>, Trouble>;

    /// What is recorded under a number, once no earlier transaction of this owner can still be committing. Only for [`Layout::System`].
    async fn settled(
        &self,
        owner: &Owner,
        number: i32,
    ) -> DbResult<Result<Option<StepRecord>, Lost>>;

    /// What one error of a chain means, if it is the driver's, in a transaction that was begun so.
    fn trouble_in(
        &self,
        error: &(dyn StdError + 'static),
        options: TransactionOptions,
    ) -> Option<Trouble>;

    /// What a message means, if it is the server's about something that passes, in a transaction that was begun so.
    fn trouble_worded(&self, message: &str, options: TransactionOptions) -> Option<Trouble>;

    /// Whether witnesses stay until they are [forgotten](Self::forget).
    fn keeps_witnesses(&self) -> bool {
        false
    }

    /// Removes these witnesses. Those stay whose workflow has a transaction open that may be about
    /// to leave one; and all of them, unless `still` says so, which is asked while no such
    /// transaction can begin. Only for [`Layout::Other`].
    async fn forget(&self, _keys: &[WitnessKey], _still: Still<'_>) -> DbResult<()> {
        Ok(())
    }

    /// Up to `limit` witnesses in the order of their keys, from after this one. Only for
    /// [`Layout::Other`].
    async fn witnesses(
        &self,
        _after: Option<&WitnessKey>,
        _limit: usize,
    ) -> DbResult<Vec<WitnessKey>> {
        Ok(Vec::new())
    }

    /// Inserts a workflow that goes on a queue, in the transaction that is open on `conn`. Only for [`Layout::System`].
    async fn enqueue(&self, conn: &mut C, new: &NewWorkflow) -> DbResult<Inserted>;

    /// Puts a message into a mailbox, in the transaction that is open on `conn`. Only for [`Layout::System`].
    async fn send(&self, conn: &mut C, message: &Message) -> DbResult<Sent>;
}

/// Asks whether witnesses are still not needed.
pub type Still<'a> = &'a (dyn Fn() -> BoxFuture<'a, bool> + Send + Sync);

/// An open transaction. Dropped before its end, nothing of it happened.
#[async_trait]
pub trait Opened<C>: Send {
    /// The driver's connection.
    fn connection(&mut self) -> Result<&mut C, Trouble>;

    /// The key of the database's only writer, if this transaction has it and nobody else can write
    /// until it ends.
    fn holds(&self) -> Option<usize> {
        None
    }

    /// How the transaction stands, after an error of whatever kind.
    async fn condition(&mut self) -> Condition;

    /// Checks the owner's token under a lock on its row, and records the step. The last statements before the commit.
    async fn checkpoint(&mut self, owner: &Owner, step: &StepRecord)
    -> Result<Checkpoint, Trouble>;

    /// The witness of this key. For [`Layout::Other`] the first statement.
    async fn witness(&mut self, key: &WitnessKey) -> Result<Option<Witness>, Trouble>;

    /// Leaves a witness; whether there was none. The last statement before the commit.
    async fn leave_witness(&mut self, key: &WitnessKey, witness: &Witness)
    -> Result<bool, Trouble>;

    /// Commits. After [`Trouble::Away`] it may have happened.
    async fn commit(self: Box<Self>) -> Result<(), Trouble>;

    /// Rolls back, whatever that takes.
    async fn rollback(self: Box<Self>);
}

/// How a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It goes on.
    Sound,
    /// A statement failed, and nothing more can be done in it.
    Aborted,
    /// Its connection is gone.
    Gone,
}

/// What came of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// It is written, and will be committed with the rest.
    Written,
    /// The step was recorded before, as this.
    Known(Box<StepRecord>),
    /// The token is not the row's.
    Lost(Lost),
}

/// Why a transaction did not come to its end.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The database is away, or the connection is.
    Away(DbError),
    /// What the connection had prepared is of no use any more, as tables have changed or the
    /// session was reset. Nothing happened; on another connection it may be run again at once.
    Stale(DbError),
    /// Another transaction was in the way: a serialization failure or a deadlock.
    Contended(String),
    /// The database refuses what the closure did: a deferred constraint, or a transaction that an ignored error has broken off.
    Refused(String),
    /// The engine's own statements do not work.
    Engine(DbError),
}

/// What a witness stands for: one step of one workflow.
///
/// The workflow's id alone would let a new workflow that reuses the id of a deleted one adopt its witness. So the key has the workflow's
/// `incarnation` beside it: the token of the call that inserted its row (`creator_xid`), random and never changed; in rows of other SDKs
/// that have none, the instant at which it was inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Which workflow of this id.
    pub incarnation: String,
    /// The step's number.
    pub number: i32,
}

/// What a witness keeps of a step: all that is needed to record it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The step's name.
    pub name: String,
    /// Its encoded result.
    pub output: Encoded,
}
