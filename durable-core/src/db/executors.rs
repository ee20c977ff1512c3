//! Who lives: the identity of executors, and the workflows that a dead one left.

use async_trait::async_trait;

use super::{Claimed, Result};
use crate::{
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    state::claim::Claimant,
};

/// The life of executors.
#[async_trait]
pub trait Executors: Send + Sync {
    /// Takes an executor id for this process, until [`leave`](Self::leave) or the process's death.
    ///
    /// Errors: `Refused` when a given id is in use by a living executor. A default id in use is suffixed (`local-2`) instead. A join that
    /// fails holds nothing, so that asking again does not meet itself.
    async fn join(&self, wanted: &WantedExecutor) -> Result<Joined>;

    /// Gives the id back: from now on its unended workflows are abandoned. Does nothing if it is not held.
    async fn leave(&self, executor: &ExecutorId) -> Result<()>;

    /// Says that a shutdown has ended these executions while nothing of them ran, and returns the
    /// workflows that still held their tokens: the dispatch does not count as a crash. They stay
    /// pending. Asking again is safe.
    async fn release(&self, owners: &[Owner]) -> Result<Vec<WorkflowId>>;

    /// Pending workflows that nobody runs: their executors showed life once and are dead now, or are the asking one itself.
    ///
    /// Their tokens were read before their executors were found dead, so that an adoption fenced by them takes nothing from a process that
    /// came back in between. Rows of executors that never showed life (of other SDKs) are left out. In the order of their ids.
    async fn abandoned(&self, query: &AbandonedQuery) -> Result<Vec<Abandoned>>;

    /// Puts workflows that were claimed from a queue back onto it, each only if it still holds the token that was read, and returns
    /// those put back; nothing for an earlier incarnation of the executor. Their attempts, deadline and deduplication id stay. Asking
    /// again is safe.
    async fn requeue(
        &self,
        claimant: &Claimant,
        abandoned: &[Abandoned],
    ) -> Result<Vec<WorkflowId>>;

    /// Takes workflows over, each only if it still holds the token that was read, and returns those taken. Of two adoptions of one
    /// workflow the first counts. Nothing is taken for an earlier incarnation of the executor. What
    /// was recorded since the dispatch before is noted, as by a claim of what was claimed before
    /// ([`Attempts`](crate::state::Attempts)). After `Unavailable`, ask
    /// [`claimed_by`](super::Queues::claimed_by) with the new tokens.
    async fn adopt(&self, claimant: &Claimant, adoptions: &[Adoption]) -> Result<Vec<Claimed>>;

    /// The living executors of an application and what each of them serves, in the order of their
    /// ids. An executor lives while it holds its id; whether its lease has ended is not asked.
    async fn serving(&self, application: &str) -> Result<Vec<Serving>>;
}

/// The executor id that a process would like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedExecutor {
    /// The id.
    pub id: ExecutorId,
    /// Whether the user chose it; a default id may be suffixed.
    pub given: bool,
    /// The application that it runs.
    pub application: String,
    /// The version and the queues that it will claim, for [`Executors::serving`].
    pub serves: Serves,
}

/// The version and the queues that an executor claims. Without a queue it declares nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serves {
    /// The application version that it runs.
    pub version: String,
    /// The queues that it claims from, the internal one among them. A backend gives them back in
    /// the order of their bytes, each once.
    pub queues: Vec<String>,
}

/// A living executor, as another process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The executor.
    pub executor: ExecutorId,
    /// Its declaration; `None` for one of an earlier release, which has made none.
    pub serves: Option<Serves>,
}

impl Serving {
    /// Gathers rows of one queue each, those of one executor after each other: its version and the
    /// queue, or nothing where it has declared nothing.
    pub fn gather(
        rows: impl IntoIterator<Item = (ExecutorId, Option<(String, String)>)>,
    ) -> Vec<Self> {
        let mut gathered: Vec<Self> = Vec::new();
        for (executor, declared) in rows {
            if gathered.last().is_none_or(|last| last.executor != executor) {
                let serves = None;
                gathered.push(Self { executor, serves });
            }
            if let Some((version, queue)) = declared
                && let Some(last) = gathered.last_mut()
            {
                let queues = Vec::new();
                let serves = last.serves.get_or_insert(Serves { version, queues });
                serves.queues.push(queue);
            }
        }
        gathered
    }
}

/// The executor id that a process got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The id.
    pub id: ExecutorId,
    /// Its life: greater than that of every earlier holder of this id.
    pub incarnation: i64,
}

/// Asks for abandoned workflows.
#[derive(Clone, Debug)]
pub struct AbandonedQuery {
    /// Who asks, and what it can run: only that is returned, and only of its own version.
    pub claimant: Claimant,
    /// Whether rows that hold the asking executor's own id are returned as well; it knows best which of them it runs.
    pub own: bool,
    /// Only ids after this one.
    pub after: Option<WorkflowId>,
    /// At most so many.
    pub limit: usize,
}

/// A pending workflow that nobody runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Whose it is.
    pub executor: ExecutorId,
    /// The token that its row held.
    pub held: Option<OwnerToken>,
    /// The queue that it was claimed from.
    pub queue: Option<String>,
}

/// Takes over one workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The token that was read.
    pub held: Option<OwnerToken>,
    /// The new execution's token.
    pub token: OwnerToken,
}
