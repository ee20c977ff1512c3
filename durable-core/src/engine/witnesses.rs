//! Witnesses that are needed no longer: those of recorded steps go before their workflow ends,
//! others are found later.
//!
//! A witness says that a transactional step has committed in another database what its checkpoint
//! does not say yet. Once the checkpoint is there it would only do harm: a rewind takes the
//! checkpoint away, and the step is to run again. One may be removed only while no transaction is
//! open that began before the checkpoint was written, as an execution that was overtaken may be
//! about to commit the same step: the backend sees to that. Whoever begins later finds that it has
//! lost its workflow, before it commits.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::{Either, select};

use super::{Engine, execution::Execution};
use crate::{
    db::{DbError, Result},
    ids::WorkflowId,
    runtime::{BoxFuture, Timer},
    source::{Backend, Still, WitnessKey},
    state::{Status, WorkflowRow},
};

/// How many intervals of the recovery pass between two looks at old witnesses.
const SELDOM: u32 = 20;

/// How many witnesses are looked at each time.
const PAGE: usize = 500;

/// How long the end of a workflow waits for its witnesses to be removed: an absent database is not
/// waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database with witnesses, whatever its driver.
#[async_trait]
pub(crate) trait Keeper: Send + Sync {
    async fn forget(&self, keys: &[WitnessKey], still: Still<'_>) -> Result<()>;
    async fn witnesses(&self, after: Option<&WitnessKey>, limit: usize) -> Result<Vec<WitnessKey>>;
    /// What tells it from others.
    fn address(&self) -> usize;
}

/// A data source, for as long as the application has it.
struct Kept<C: Send + 'static>(Weak<dyn Backend<C>>);

#[async_trait]
impl<C: Send + 'static> Keeper for Kept<C> {
    async fn forget(&self, keys: &[WitnessKey], still: Still<'_>) -> Result<()> {
        match self.0.upgrade() {
            Some(backend) => backend.forget(keys, still).await,
            None => Ok(()),
        }
    }

    async fn witnesses(&self, after: Option<&WitnessKey>, limit: usize) -> Result<Vec<WitnessKey>> {
        match self.0.upgrade() {
            Some(backend) => backend.witnesses(after, limit).await,
            None => Ok(Vec::new()),
        }
    }

    fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }
}

/// The databases with witnesses that this process has met.
#[derive(Default)]
pub(crate) struct Keepers {
    known: Mutex<BTreeMap<usize, Arc<dyn Keeper>>>,
    warned: AtomicBool,
}

impl Keepers {
    fn all(&self) -> Vec<Arc<dyn Keeper>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }

    /// Adds one; whether it is the first.
    fn add(&self, keeper: Arc<dyn Keeper>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let first = known.is_empty();
        known.insert(keeper.address(), keeper);
        first
    }

    /// Said once: what stays is in nobody's way until somebody rewinds its workflow.
    fn failed(&self, error: &DbError) {
        if error.is_retryable() || self.warned.swap(true, Relaxed) {
            tracing::debug!(%error, "witnesses stay for now");
        } else {
            tracing::warn!(
                %error,
                "witnesses of transactional steps are not removed; a rewind of their workflows \
                 would not run those steps again"
            );
        }
    }
}

/// Witnesses of an execution whose steps are recorded.
#[derive(Default)]
pub(crate) struct Unneeded(Mutex<Vec<(Arc<dyn Keeper>, i32)>>);

impl Execution {
    /// Says that a transactional step in another database is recorded, so that its witness is
    /// needed no longer.
    pub(crate) fn witness_unneeded<C: Send + 'static>(
        &self,
        backend: &Arc<dyn Backend<C>>,
        number: i32,
    ) {
        if !backend.keeps_witnesses() || self.rehearsal.is_some() {
            return;
        }
        let keeper: Arc<dyn Keeper> = Arc::new(Kept(Arc::downgrade(backend)));
        if self.engine.keepers.add(Arc::clone(&keeper)) && !self.engine.is_stopping() {
            self.engine
                .keep("witnesses", keep_sweeping(Arc::clone(&self.engine)));
        }
        let unneeded = &self.unneeded.0;
        let mut unneeded = unneeded.lock().unwrap_or_else(PoisonError::into_inner);
        unneeded.push((keeper, number));
    }

    /// Removes the witnesses that are needed no longer, if the database is there: before the
    /// workflow ends, as it could be rewound then.
    pub(super) async fn forget_witnesses(&self) {
        for (keeper, keys) in self.unneeded_witnesses() {
            let still = || self.engine.still_owns(self);
            self.engine.patiently(keeper.forget(&keys, &still)).await;
        }
    }

    /// The same where the workflow was ended by a cancel.
    pub(super) async fn forget_witnesses_of_cancelled(&self) {
        for (keeper, keys) in self.unneeded_witnesses() {
            self.engine
                .patiently(self.engine.forget_if_unneeded(&*keeper, keys))
                .await;
        }
    }

    /// The witnesses that are needed no longer, for each database.
    fn unneeded_witnesses(&self) -> Vec<(Arc<dyn Keeper>, Vec<WitnessKey>)> {
        let unneeded = &self.unneeded.0;
        let mut unneeded = unneeded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_keeper: BTreeMap<usize, (Arc<dyn Keeper>, Vec<WitnessKey>)> = BTreeMap::new();
        for (keeper, number) in std::mem::take(&mut *unneeded) {
            let key = WitnessKey {
                workflow: self.id().clone(),
                incarnation: self.incarnation.clone(),
                number,
            };
            let (_, keys) = by_keeper
                .entry(keeper.address())
                .or_insert_with(|| (keeper, Vec::new()));
            keys.push(key);
        }
        by_keeper.into_values().collect()
    }
}

impl Engine {
    /// Has witnesses removed, as long as that takes no time.
    async fn patiently(&self, forget: impl Future<Output = Result<()>>) {
        let timer = self.runtime.sleep(PATIENCE, Timer::Work);
        if let Either::Left((Err(error), _)) = select(pin!(forget), timer).await {
            self.keepers.failed(&error);
        }
    }

    /// Whether the workflow is the execution's still: then nobody else has left a witness of it.
    fn still_owns<'a>(&'a self, execution: &'a Execution) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let row = self.db.workflow(&execution.owner.workflow).await;
            row.is_ok_and(|row| {
                row.is_some_and(|row| {
                    row.status == Status::Pending
                        && row.owner.as_ref() == Some(&execution.owner.token)
                })
            })
        })
    }

    /// Removes those of one page of witnesses that are needed no longer; where the next page
    /// begins.
    pub(super) async fn sweep_witnesses(
        &self,
        keeper: &dyn Keeper,
        after: Option<&WitnessKey>,
    ) -> Result<Option<WitnessKey>> {
        let page = keeper.witnesses(after, PAGE).await?;
        let next = page.last().filter(|_| page.len() == PAGE).cloned();
        self.forget_if_unneeded(keeper, page).await?;
        Ok(next)
    }

    /// Removes those of the witnesses that are needed no longer.
    async fn forget_if_unneeded(&self, keeper: &dyn Keeper, keys: Vec<WitnessKey>) -> Result<()> {
        let seen = self.standing(&keys).await?;
        let unneeded: Vec<_> = keys.into_iter().filter(|key| seen.unneeded(key)).collect();
        if unneeded.is_empty() {
            return Ok(());
        }
        let (seen, keys) = (&seen.of(&unneeded), &unneeded);
        // Nobody has gone on with one of the workflows in the meantime.
        let still = || -> BoxFuture<'_, bool> {
            Box::pin(async move { self.standing(keys).await.is_ok_and(|now| now == *seen) })
        };
        keeper.forget(keys, &still).await
    }

    /// How the workflows of these witnesses stand.
    async fn standing(&self, keys: &[WitnessKey]) -> Result<Standing> {
        let mut ids: Vec<WorkflowId> = keys.iter().map(|key| key.workflow.clone()).collect();
        ids.sort();
        ids.dedup();
        let mut standing = Standing::default();
        for id in &ids {
            let row = self.db.workflow(id).await?;
            standing.0.insert(id.clone(), (row, Vec::new()));
        }
        for history in self.db.histories(&ids).await? {
            if let Some((_, numbers)) = standing.0.get_mut(&history.workflow) {
                *numbers = history.steps.iter().map(|step| step.number).collect();
            }
        }
        Ok(standing)
    }
}

/// The rows of workflows, and which steps are recorded.
#[derive(Default, PartialEq)]
struct Standing(BTreeMap<WorkflowId, (Option<WorkflowRow>, Vec<i32>)>);

impl Standing {
    fn of(self, keys: &[WitnessKey]) -> Self {
        let named = |id: &WorkflowId| keys.iter().any(|key| key.workflow == *id);
        Self(self.0.into_iter().filter(|(id, _)| named(id)).collect())
    }

    /// Whether nobody will look for the witness: its workflow is gone, or another of the same id is
    /// there; its step is recorded; or its workflow has an outcome, after which nothing goes on
    /// where it was.
    fn unneeded(&self, key: &WitnessKey) -> bool {
        let Some((row, numbers)) = self.0.get(&key.workflow) else {
            return false;
        };
        let Some(row) = row else { return true };
        row.incarnation() != key.incarnation
            || numbers.contains(&key.number)
            || matches!(row.status, Status::Success | Status::Error)
    }
}

/// Looks for old witnesses, now and then, a page at a time.
async fn keep_sweeping(engine: Arc<Engine>) {
    let mut places: BTreeMap<usize, WitnessKey> = BTreeMap::new();
    loop {
        engine
            .poll_pause(engine.settings.recovery.saturating_mul(SELDOM))
            .await;
        for keeper in engine.keepers.all() {
            let address = keeper.address();
            let after = places.remove(&address);
            match engine.sweep_witnesses(&*keeper, after.as_ref()).await {
                Ok(next) => places.extend(next.map(|next| (address, next))),
                Err(error) => engine.keepers.failed(&error),
            }
        }
    }
}
