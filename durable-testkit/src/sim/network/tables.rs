//! Transactions of the application over the network.
//!
//! A transaction sees what was committed before it began, and is contended if any of that was written since. Its commit is one request. A
//! commit that is still on its way when somebody asks what came of it is rolled back: the server has found the connection gone.

use std::{error::Error as StdError, fmt};

use async_trait::async_trait;
use durable_core::{
    db::{
        DbError, Inserted, Lost, Message, NewWorkflow, Recorded, Result as DbResult, Sent,
        StepRecord, Steps as _,
    },
    ids::Owner,
    source::{
        Backend, Checkpoint, Condition, Layout, Opened, TransactionOptions, Trouble, Witness,
        WitnessKey,
    },
};
use futures_util::FutureExt as _;

use super::{Db, SimDb, Wrote, calls::ends};
use crate::{
    Memory,
    sim::{
        fact::{Fact, Written},
        tables::{Rows, Staged, Tables},
    },
};

/// Tables beside the system tables, or in another database, as one life of a process reaches them.
pub(in crate::sim) struct SimTables {
    db: SimDb,
    layout: Layout,
}

impl SimTables {
    pub(in crate::sim) fn new(db: SimDb, layout: Layout) -> Self {
        Self { db, layout }
    }
}

impl fmt::Debug for SimTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTables")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl Db<'_> {
    /// Does something with the tables of a layout.
    fn with_tables<T>(&self, layout: Layout, act: impl FnOnce(&mut Tables) -> T) -> T {
        act(self.world.lock().tables_of(layout))
    }

    /// What is recorded of a step, or that the token is lost.
    fn recorded(&self, owner: &Owner, number: i32) -> Result<Option<StepRecord>, Lost> {
        self.memory.recorded(owner, number)
    }

    /// Commits; whether nothing was in the way.
    fn commit(&self, layout: Layout, transaction: u64, rows: Rows, staged: Staged) -> bool {
        if !self.with_tables(layout, |tables| tables.are_as_seen(&rows)) {
            return false;
        }
        let place = match staged {
            Staged::Nothing => {
                self.with_tables(layout, |tables| tables.apply(rows));
                return true;
            }
            Staged::Checkpoint(owner, step) => {
                let holds = |tables: &mut Tables| tables.is_locked_by(&owner.workflow, transaction);
                if !self.with_tables(layout, holds) || !self.checkpoint(&owner, &step) {
                    return false;
                }
                (owner.workflow, step.number)
            }
            Staged::Witness(key, witness) => {
                let left = self.with_tables(layout, |tables| {
                    let is_new = tables.witness(&key).is_none();
                    if is_new {
                        tables.leave(&key, witness);
                    }
                    is_new
                });
                if !left {
                    return false;
                }
                (key.workflow, key.number)
            }
        };
        self.with_tables(layout, |tables| {
            tables.unlock(&place.0);
            tables.apply(rows);
        });
        let (workflow, number) = place;
        self.tell(Fact::Applied { workflow, number });
        true
    }

    /// Records the step of a transaction; whether it is new.
    fn checkpoint(&self, owner: &Owner, step: &StepRecord) -> bool {
        if !matches!(self.recorded(owner, step.number), Ok(None)) {
            return false;
        }
        let serve = |memory: &Memory| at_once!(memory.record_step(owner, step));
        let written = self.write("commit", owner, serve, |answer| match answer {
            Ok(Recorded::Written) => Wrote::This(Written::Step {
                number: step.number,
                name: step.name.clone(),
                child: None,
                until: None,
                result: ends(&step.result),
            }),
            Ok(Recorded::Lost(_)) => Wrote::Refused,
            Ok(Recorded::Conflict(_)) | Err(_) => Wrote::Nothing,
        });
        matches!(written, Ok(Recorded::Written))
    }
}

#[async_trait]
impl Backend<Rows> for SimTables {
    fn layout(&self) -> Layout {
        self.layout
    }

    async fn begin(&self, options: TransactionOptions) -> Result<Box<dyn Opened<Rows>>, Trouble> {
        let layout = self.layout;
        let begun = self
            .db
            .request("begin", move |db| Ok(db.with_tables(layout, Tables::begin)));
        let (transaction, rows) = begun.await.map_err(Trouble::Away)?;
        Ok(Box::new(Open {
            db: self.db.clone(),
            layout,
            transaction,
            rows,
            read_only: options.read_only,
            staged: Staged::Nothing,
        }))
    }

    async fn settled(
        &self,
        owner: &Owner,
        number: i32,
    ) -> DbResult<Result<Option<StepRecord>, Lost>> {
        let (owner, layout) = (owner.clone(), self.layout);
        let settle = move |db: &Db<'_>| {
            db.with_tables(layout, |tables| tables.unlock(&owner.workflow));
            Ok(db.recorded(&owner, number))
        };
        self.db.request("settled", settle).await
    }

    fn trouble_in(
        &self,
        _error: &(dyn StdError + 'static),
        _options: TransactionOptions,
    ) -> Option<Trouble> {
        None
    }

    fn trouble_worded(&self, _message: &str, _options: TransactionOptions) -> Option<Trouble> {
        None
    }

    async fn enqueue(&self, _: &mut Rows, _: &NewWorkflow) -> DbResult<Inserted> {
        Err(no_outbox("enqueue a workflow"))
    }

    async fn send(&self, _: &mut Rows, _: &Message) -> DbResult<Sent> {
        Err(no_outbox("send a message"))
    }
}

fn no_outbox(doing: &'static str) -> DbError {
    DbError::broken(doing, "simulated tables have no outbox")
}

/// An open transaction.
struct Open {
    db: SimDb,
    layout: Layout,
    transaction: u64,
    rows: Rows,
    read_only: bool,
    staged: Staged,
}

#[async_trait]
impl Opened<Rows> for Open {
    fn connection(&mut self) -> Result<&mut Rows, Trouble> {
        Ok(&mut self.rows)
    }

    async fn condition(&mut self) -> Condition {
        Condition::Sound
    }

    async fn checkpoint(
        &mut self,
        owner: &Owner,
        step: &StepRecord,
    ) -> Result<Checkpoint, Trouble> {
        let (layout, transaction) = (self.layout, self.transaction);
        let (asked, number) = (owner.clone(), step.number);
        let check = move |db: &Db<'_>| {
            let recorded = db.recorded(&asked, number);
            if let Ok(None) = recorded {
                db.with_tables(layout, |tables| tables.lock(&asked.workflow, transaction));
            }
            Ok(recorded)
        };
        let checked = self.db.request("checkpoint", check).await;
        Ok(match checked.map_err(Trouble::Away)? {
            Ok(None) => {
                self.staged = Staged::Checkpoint(owner.clone(), step.clone());
                Checkpoint::Written
            }
            Ok(Some(before)) => Checkpoint::Known(Box::new(before)),
            Err(lost) => Checkpoint::Lost(lost),
        })
    }

    async fn witness(&mut self, key: &WitnessKey) -> Result<Option<Witness>, Trouble> {
        let (layout, key) = (self.layout, key.clone());
        let look = move |db: &Db<'_>| Ok(db.with_tables(layout, |tables| tables.witness(&key)));
        self.db
            .request("witness", look)
            .await
            .map_err(Trouble::Away)
    }

    async fn leave_witness(
        &mut self,
        key: &WitnessKey,
        witness: &Witness,
    ) -> Result<bool, Trouble> {
        if self.witness(key).await?.is_some() {
            return Ok(false);
        }
        self.staged = Staged::Witness(key.clone(), witness.clone());
        Ok(true)
    }

    async fn commit(self: Box<Self>) -> Result<(), Trouble> {
        let Self {
            db,
            layout,
            transaction,
            rows,
            read_only,
            staged,
        } = *self;
        if read_only {
            return Ok(());
        }
        let commit = move |db: &Db<'_>| Ok(db.commit(layout, transaction, rows, staged));
        match db.request("commit", commit).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Trouble::Contended(
                "another transaction was first".to_owned(),
            )),
            Err(error) => Err(Trouble::Away(error)),
        }
    }

    async fn rollback(self: Box<Self>) {
        // What is not committed is nowhere but here.
    }
}
