//! A database that refuses every call.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{
    db::{
        Abandoned, AbandonedQuery, Adoption, ChildInserted, ClaimRequest, Claimed, DbError, Events,
        Executors, Hint, History, Inserted, Joined, Listed, Message, Messages, NewWorkflow, Queues,
        Received, Recorded, Result, Resumed, Sent, StepRecord, StepStamp, Steps, SystemDb,
        Unrunnable, VersionCount, Versions, Waits, Wakes, WantedExecutor, Workflows, Write,
    },
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    payload::{Encoded, Outcome},
    state::{WorkflowRow, claim::Claimant},
    time::Timestamp,
};

/// What a replay runs on: there is nothing to read in it, and nothing can be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed;

fn refuse<T>(call: &str) -> Result<T> {
    Err(DbError::Refused(format!(
        "a replay neither reads nor writes a database, and `{call}` was called"
    )))
}

/// Methods that refuse.
macro_rules! sealed {
    ($trait:ident { $(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* } $($rest:tt)*) => {
        #[async_trait]
        impl $trait for Sealed {
            $(async fn $name(&self, $(_: $type),*) -> Result<$answer> {
                refuse(stringify!($name))
            })*
            $($rest)*
        }
    };
}

sealed!(SystemDb {
    fn migrate() -> ();
    fn verify() -> ();
    fn now() -> Timestamp;
    fn poll(waits: &Waits) -> Wakes;
}
fn hints(&self) -> BoxStream<'static, Hint> {
    Box::pin(futures_util::stream::pending())
});

sealed!(Workflows {
    fn insert_workflow(new: &NewWorkflow) -> Inserted;
    fn insert_child(new: &NewWorkflow, parent: &Owner, step: &StepStamp) -> ChildInserted;
    fn workflow(id: &WorkflowId) -> Option<WorkflowRow>;
    fn finish_workflow(owner: &Owner, outcome: &Outcome) -> Write;
    fn dead_letter(owner: &Owner) -> Write;
    fn cancel(ids: &[WorkflowId]) -> Vec<WorkflowId>;
    fn resume(id: &WorkflowId, queue: Option<&str>) -> Resumed;
    fn expire_deadlines(application: &str, limit: usize) -> Vec<WorkflowId>;
    fn list(application: &str, after: Option<&WorkflowId>, limit: usize) -> Vec<Listed>;
});

sealed!(Steps {
    fn record_step(owner: &Owner, step: &StepRecord) -> Recorded;
    fn histories(ids: &[WorkflowId]) -> Vec<History>;
});

sealed!(Queues {
    fn claim(request: &ClaimRequest) -> Vec<Claimed>;
    fn claimed_by(tokens: &[OwnerToken]) -> Vec<Claimed>;
});

sealed!(Messages {
    fn send(message: &Message, step: Option<(&Owner, &StepStamp)>) -> Sent;
    fn receive(owner: &Owner, topic: &str, step: &StepStamp, otherwise: Option<&Encoded>) -> Received;
});

sealed!(Events {
    fn set_event(owner: &Owner, key: &str, value: &Encoded, step: &StepStamp) -> Recorded;
    fn event(workflow: &WorkflowId, key: &str) -> Option<Encoded>;
});

sealed!(Versions {
    fn register_version(application: &str, version: &str) -> ();
    fn stranded(application: &str, version: &str) -> Vec<VersionCount>;
    fn unrunnable(claimant: &Claimant) -> Vec<Unrunnable>;
});

sealed!(Executors {
    fn join(wanted: &WantedExecutor) -> Joined;
    fn leave(executor: &ExecutorId) -> ();
    fn abandoned(query: &AbandonedQuery) -> Vec<Abandoned>;
    fn requeue(claimant: &Claimant, abandoned: &[Abandoned]) -> Vec<WorkflowId>;
    fn adopt(claimant: &Claimant, adoptions: &[Adoption]) -> Vec<Claimed>;
});
