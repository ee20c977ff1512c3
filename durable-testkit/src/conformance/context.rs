//! A case's database, with short names for what most cases do. Whatever fails here fails the case.

use std::{fmt::Write, sync::Arc, time::Duration};

use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, ClaimRequest, Claimed, Inserted, NULL_TOPIC,
        NewWorkflow, Recorded, Result, Sent, Serves, StepRecord, SystemDb, Waits, WantedExecutor,
        Write as Written,
    },
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId, WorkflowKey},
    payload::{Encoded, Ended, Outcome},
    state::{Status, WorkflowRow, claim::Claimant},
    time::Timestamp,
};

use super::{Factory, TestDatabase, make};
use crate::raw::RawWorkflow;

/// The topics and keys that [`Context::seen`] looks at.
const TOPICS: [&str; 2] = [NULL_TOPIC, "news"];
const KEYS: [&str; 2] = ["progress", "other"];

/// What a case is given: a database of its own, and one process on it.
pub struct Context {
    pub(super) database: Box<dyn TestDatabase>,
    pub(super) db: Arc<dyn SystemDb>,
}

impl Context {
    pub(super) async fn open(factory: &dyn Factory) -> Self {
        let database = factory.database().await;
        let db = database.connect().await;
        Self { database, db }
    }

    /// A handle that stands for another process; drop it to end that process.
    pub(super) async fn another_process(&self) -> Arc<dyn SystemDb> {
        self.database.connect().await
    }

    pub(super) async fn advance(&self, ms: u64) {
        self.database.advance(Duration::from_millis(ms)).await;
    }

    /// Asks until there is an answer; for what need not be so at once.
    pub(super) async fn eventually<T, F>(&self, what: &str, mut ask: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let patience = self.database.patience();
        let answered = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let in_time = tokio::time::timeout(patience, answered).await;
        in_time.unwrap_or_else(|_| panic!("{what}: not so after {patience:?}"))
    }

    // What the database holds.

    pub(super) async fn now(&self) -> Timestamp {
        given(self.db.now().await)
    }

    pub(super) async fn find(&self, id: &str) -> Option<WorkflowRow> {
        given(self.db.workflow(&id.into()).await)
    }

    pub(super) async fn row(&self, id: &str) -> WorkflowRow {
        let row = self.find(id).await;
        row.unwrap_or_else(|| panic!("workflow {id:?} is not there"))
    }

    pub(super) async fn status(&self, id: &str) -> Status {
        self.row(id).await.status
    }

    pub(super) async fn steps(&self, id: &str) -> Vec<StepRecord> {
        let histories = given(self.db.histories(&[id.into()]).await);
        assert!(
            histories.len() <= 1,
            "one workflow was asked for: {histories:?}"
        );
        let history = histories.into_iter().next();
        history.map(|history| history.steps).unwrap_or_default()
    }

    pub(super) async fn ended(&self, id: &str) -> Option<Ended> {
        let results = vec![id.into()];
        let waits = Waits {
            results,
            ..Waits::default()
        };
        let wakes = given(self.db.poll(&waits).await);
        wakes.results.into_iter().next().map(|(_, ended)| ended)
    }

    pub(super) async fn has_mail(&self, id: &str, topic: &str) -> bool {
        let messages = vec![(id.into(), topic.to_owned())];
        let waits = Waits {
            messages,
            ..Waits::default()
        };
        !given(self.db.poll(&waits).await).messages.is_empty()
    }

    pub(super) async fn event(&self, id: &str, key: &str) -> Option<Encoded> {
        given(self.db.event(&id.into(), key).await)
    }

    /// All that can be read of a workflow, as text: equal before and after a call that must change nothing.
    pub(super) async fn seen(&self, id: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{:?}", self.find(id).await);
        for step in self.steps(id).await {
            let _ = writeln!(text, "{step:?}");
        }
        let _ = writeln!(text, "{:?}", self.ended(id).await);
        for topic in TOPICS {
            let _ = writeln!(text, "mail in {topic}: {}", self.has_mail(id, topic).await);
        }
        for key in KEYS {
            let _ = writeln!(text, "event {key}: {:?}", self.event(id, key).await);
        }
        text
    }

    // What most cases begin with.

    /// Inserts a workflow that is not there yet; for a direct start, the answer is its owner.
    pub(super) async fn insert(&self, new: NewWorkflow) -> Owner {
        let inserted = given(self.db.insert_workflow(&new).await);
        assert!(matches!(inserted, Inserted::Created { .. }), "{inserted:?}");
        make::owner(new.id.as_str(), new.creator)
    }

    /// A workflow that runs.
    pub(super) async fn running(&self, id: &str) -> Owner {
        self.insert(make::here(id)).await
    }

    /// A workflow on the queue "orders".
    pub(super) async fn enqueued(&self, id: &str) {
        self.insert(make::queued(id)).await;
    }

    pub(super) async fn finished(&self, id: &str) -> Owner {
        let owner = self.running(id).await;
        self.finish(&owner, &make::success("1")).await;
        owner
    }

    pub(super) async fn cancelled(&self, id: &str) -> Owner {
        let owner = self.running(id).await;
        self.cancel(id).await;
        owner
    }

    pub(super) async fn dead_lettered(&self, id: &str) -> Owner {
        let owner = self.running(id).await;
        assert_eq!(given(self.db.dead_letter(&owner).await), Written::Written);
        owner
    }

    pub(super) async fn finish(&self, owner: &Owner, outcome: &Outcome) {
        let written = given(self.db.finish_workflow(owner, outcome).await);
        assert_eq!(written, Written::Written);
    }

    pub(super) async fn cancel(&self, id: &str) {
        let ids = [WorkflowId::from(id)];
        assert_eq!(given(self.db.cancel(&ids).await), ids);
    }

    pub(super) async fn record(&self, owner: &Owner, step: &StepRecord) {
        let recorded = given(self.db.record_step(owner, step).await);
        assert_eq!(recorded, Recorded::Written);
    }

    /// Sends from outside; the payload is the message's id.
    pub(super) async fn mail(&self, id: &str, destination: &str, topic: &str) {
        let message = make::message(id, destination, topic);
        assert_eq!(given(self.db.send(&message, None).await), Sent::Delivered);
    }

    /// Puts a workflow in past all checks: an enqueued one, changed by `change`.
    pub(super) async fn raw(&self, id: &str, change: impl FnOnce(&mut WorkflowRow)) {
        let mut row = self.raw_row(id).await;
        change(&mut row);
        self.database.put_workflow(&RawWorkflow::new(row)).await;
    }

    pub(super) async fn raw_row(&self, id: &str) -> WorkflowRow {
        make::queued(id).into_row(self.now().await)
    }

    /// A row in each status, named like it in small letters.
    pub(super) async fn one_of_each_status(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for status in Status::ALL {
            let id = status.as_str().to_lowercase();
            match status {
                Status::Delayed => {
                    let until = self.now().await.saturating_add(Duration::from_hours(1));
                    let delay = |row: &mut WorkflowRow| {
                        row.status = Status::Delayed;
                        row.delay_until = Some(until);
                    };
                    self.raw(&id, delay).await;
                }
                Status::Enqueued => self.enqueued(&id).await,
                Status::Pending => drop(self.running(&id).await),
                Status::Success => drop(self.finished(&id).await),
                Status::Error => {
                    let owner = self.running(&id).await;
                    self.finish(&owner, &make::failure("{}")).await;
                }
                Status::Cancelled => drop(self.cancelled(&id).await),
                Status::MaxRecoveryAttemptsExceeded => drop(self.dead_lettered(&id).await),
            }
            ids.push(id);
        }
        ids
    }

    /// A worker of this process, under a new executor id.
    pub(super) async fn worker(&self, executor: &str) -> Worker {
        Worker::join(Arc::clone(&self.db), executor).await
    }
}

/// An executor that claims and adopts.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) db: Arc<dyn SystemDb>,
    pub(super) claimant: Claimant,
}

impl Worker {
    /// Joins under a given id that nobody uses; runs workflow "work" of application "shop", version "v1".
    pub(super) async fn join(db: Arc<dyn SystemDb>, executor: &str) -> Self {
        let joined = given(db.join(&wanted(executor)).await);
        let claimant = Claimant {
            executor: joined.id,
            incarnation: joined.incarnation,
            application: make::APPLICATION.to_owned(),
            version: make::VERSION.to_owned(),
            runnable: [WorkflowKey::function("work")].into(),
            formats: [make::FORMAT.into()].into(),
        };
        Self { db, claimant }
    }

    /// The same executor as something else: another version, other workflows.
    pub(super) fn but(&self, change: impl FnOnce(&mut Claimant)) -> Self {
        let mut worker = self.clone();
        change(&mut worker.claimant);
        worker
    }

    /// Claims from the queue "orders".
    pub(super) async fn claim(&self, tokens: &[&str]) -> Vec<Claimed> {
        self.claim_from(make::QUEUE, tokens).await
    }

    pub(super) async fn claim_from(&self, queue: &str, tokens: &[&str]) -> Vec<Claimed> {
        let request = ClaimRequest {
            queue: queue.to_owned(),
            claimant: self.claimant.clone(),
            tokens: tokens.iter().copied().map(OwnerToken::from).collect(),
        };
        given(self.db.claim(&request).await)
    }

    /// Claims one workflow that must be there.
    pub(super) async fn claim_one(&self, token: &str) -> WorkflowRow {
        let mut claimed = self.claim(&[token]).await;
        assert_eq!(claimed.len(), 1, "one workflow waits: {claimed:?}");
        claimed.remove(0).row
    }

    pub(super) async fn adopt(&self, id: &str, held: Option<&str>, token: &str) -> Vec<Claimed> {
        let adoption = adoption(id, held, token);
        given(self.db.adopt(&self.claimant, &[adoption]).await)
    }

    /// What others left, the first hundred of it.
    pub(super) async fn abandoned(&self) -> Vec<Abandoned> {
        given(self.db.abandoned(&self.query()).await)
    }

    pub(super) fn query(&self) -> AbandonedQuery {
        AbandonedQuery {
            claimant: self.claimant.clone(),
            own: false,
            after: None,
            limit: 100,
        }
    }
}

pub(super) fn adoption(id: &str, held: Option<&str>, token: &str) -> Adoption {
    Adoption {
        workflow: id.into(),
        held: held.map(OwnerToken::from),
        token: token.into(),
    }
}

/// A given executor id.
pub(super) fn wanted(executor: &str) -> WantedExecutor {
    WantedExecutor {
        id: ExecutorId::from(executor),
        given: true,
        application: make::APPLICATION.to_owned(),
        serves: Serves::default(),
    }
}

/// The answer of a call that must not fail.
#[track_caller]
pub(super) fn given<T>(answer: Result<T>) -> T {
    match answer {
        Ok(answer) => answer,
        Err(error) => panic!("the backend failed: {error}"),
    }
}

/// The ids of what was claimed, in its order.
pub(super) fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|one| one.row.id.as_str()).collect()
}
