//! How often statements are prepared.

use std::{collections::BTreeMap, sync::Arc};

use durable_core::{
    db::{
        AbandonedQuery, ClaimRequest, Message, NewWorkflow, Placement, Serves, StepRecord,
        StepResult, StepStamp, SystemDb, Timing, Waits, WantedExecutor,
    },
    ids::{ExecutorId, Owner, WorkflowKey},
    payload::{Encoded, Outcome},
    state::{INTERNAL_QUEUE, claim::Claimant},
    time::Timestamp,
};
use durable_pg::{Driver, PgOptions, PgSystemDb};
use futures_util::future::join_all;

use super::{Proxy, TestDb};

/// How many lives are lived at the same time, and how often.
const BESIDE: usize = 6;
const ROUNDS: usize = 4;

/// What an application does, again and again: no connection prepares a text that it has prepared before. Counted between the client and
/// the server. Panics, and shows the texts.
pub async fn no_statement_is_prepared_twice<D: Driver>(
    options: impl FnOnce(PgOptions<D>) -> PgOptions<D>,
) {
    let database = TestDb::<D>::migrated().await;
    let proxy = Proxy::to(database.url());
    let system = options(PgSystemDb::<D>::options(proxy.url()))
        .connect()
        .await;
    let system: Arc<dyn SystemDb> = Arc::new(system.expect("the server answers"));
    for round in 0..ROUNDS {
        let lives = (0..BESIDE).map(|n| live(Arc::clone(&system), format!("{round}-{n}")));
        join_all(lives).await;
    }
    let prepared = proxy.prepared();
    let texts: usize = prepared.iter().map(BTreeMap::len).sum();
    assert!(
        texts > 40,
        "the lives were to prepare many statements: {texts}"
    );
    let again: Vec<_> = prepared
        .iter()
        .flatten()
        .filter(|(_, times)| **times > 1)
        .collect();
    assert!(again.is_empty(), "prepared more than once: {again:#?}");
}

/// Every kind of call, in the order of an application's life.
pub(super) async fn live(db: Arc<dyn SystemDb>, id: String) {
    let executor = ExecutorId::from(format!("executor-{id}"));
    let wanted = WantedExecutor {
        id: executor.clone(),
        given: true,
        application: APPLICATION.to_owned(),
        serves: Serves::default(),
    };
    let joined = db.join(&wanted).await.unwrap();
    let claimant = Claimant {
        executor: executor.clone(),
        incarnation: joined.incarnation,
        application: APPLICATION.to_owned(),
        version: VERSION.to_owned(),
        runnable: vec![WorkflowKey::function("work")].into(),
        formats: vec![FORMAT.into()].into(),
    };
    db.register_version(APPLICATION, VERSION).await.unwrap();
    db.stranded(APPLICATION, VERSION).await.unwrap();
    db.now().await.unwrap();
    run_here(&*db, &id, &executor).await;
    run_from_a_queue(&*db, &id, &claimant).await;
    db.expire_deadlines(APPLICATION, 10).await.unwrap();
    let query = AbandonedQuery {
        claimant,
        own: true,
        after: None,
        limit: 10,
    };
    db.abandoned(&query).await.unwrap();
    db.leave(&executor).await.unwrap();
}

/// A workflow that runs where it is started, with a child, a message, an event and a step that is refused.
async fn run_here(db: &dyn SystemDb, id: &str, executor: &ExecutorId) {
    let parent = new(&format!("parent-{id}"), executor, Placement::Here);
    let child = new(&format!("child-{id}"), executor, Placement::Here);
    let (owner, of_child) = (owner(&parent), owner(&child));
    db.insert_workflow(&parent).await.unwrap();
    db.insert_workflow(&parent).await.unwrap();
    db.record_step(&owner, &step(1, "1")).await.unwrap();
    db.record_step(&owner, &step(1, "2")).await.unwrap();
    db.insert_child(&child, &owner, &stamp(2)).await.unwrap();
    db.finish_workflow(&of_child, &Outcome::Success(json("1")))
        .await
        .unwrap();
    let message = Message {
        id: format!("message-{id}"),
        destination: owner.workflow.clone(),
        topic: "news".to_owned(),
        payload: json("1"),
    };
    db.send(&message, None).await.unwrap();
    db.receive(&owner, "news", &stamp(3), None).await.unwrap();
    db.set_event(&owner, "key", &json("1"), &stamp(4))
        .await
        .unwrap();
    db.event(&owner.workflow, "key").await.unwrap();
    let waits = Waits {
        results: vec![of_child.workflow.clone()],
        events: vec![(owner.workflow.clone(), "key".to_owned())],
        owners: vec![owner.clone()],
        ..Waits::default()
    };
    db.poll(&waits).await.unwrap();
    db.histories(std::slice::from_ref(&owner.workflow))
        .await
        .unwrap();
    db.workflow(&owner.workflow).await.unwrap();
    for _ in 0..2 {
        let outcome = Outcome::Failure(json("1"));
        db.finish_workflow(&owner, &outcome).await.unwrap();
    }
}

/// Starts a workflow of this id.
pub(super) async fn start(db: &dyn SystemDb, id: &str) {
    let new = new(id, &"nobody".into(), Placement::Here);
    db.insert_workflow(&new).await.unwrap();
}

/// Puts the `n`-th message of this topic into the mailbox of the workflow that is called like it.
pub(super) async fn send(db: &dyn SystemDb, topic: &str, n: u32) {
    let message = Message {
        id: format!("message-{topic}-{n}"),
        destination: topic.into(),
        topic: topic.to_owned(),
        payload: json("1"),
    };
    db.send(&message, None).await.unwrap();
}

/// A workflow that is claimed, cancelled, resumed and claimed again.
async fn run_from_a_queue(db: &dyn SystemDb, id: &str, claimant: &Claimant) {
    let queue = format!("queue-{id}");
    let place = Placement::Queue {
        name: queue.clone(),
        priority: 0,
    };
    let queued = new(&format!("queued-{id}"), &claimant.executor, place);
    db.insert_workflow(&queued).await.unwrap();
    let request = |queue: &str| ClaimRequest {
        queue: queue.to_owned(),
        claimant: claimant.clone(),
        tokens: vec![format!("{queue}-{id}").into()],
    };
    let request_here = request(&queue);
    let claimed = db.claim(&request_here).await.unwrap();
    assert_eq!(claimed.len(), 1, "{id} waits on its queue");
    db.claimed_by(&request_here.tokens).await.unwrap();
    db.cancel(std::slice::from_ref(&queued.id)).await.unwrap();
    db.resume(&queued.id, None).await.unwrap();
    db.claim(&request(INTERNAL_QUEUE)).await.unwrap();
}

const APPLICATION: &str = "shop";
const VERSION: &str = "v1";
const FORMAT: &str = "portable_json";

fn new(id: &str, executor: &ExecutorId, placement: Placement) -> NewWorkflow {
    NewWorkflow {
        id: id.into(),
        key: WorkflowKey::function("work"),
        input: json(r#"{"positionalArgs":[],"namedArgs":{}}"#),
        placement,
        creator: format!("{id}-token").into(),
        executor: executor.clone(),
        application: APPLICATION.to_owned(),
        version: Some(VERSION.to_owned()),
        timing: Timing::Unbounded,
        parent: None,
    }
}

fn owner(new: &NewWorkflow) -> Owner {
    Owner {
        workflow: new.id.clone(),
        token: new.creator.clone(),
    }
}

fn stamp(number: i32) -> StepStamp {
    StepStamp {
        number,
        name: "step".to_owned(),
        started_at: Timestamp::from_millis(1),
        completed_at: Timestamp::from_millis(2),
    }
}

fn step(number: i32, output: &str) -> StepRecord {
    stamp(number).record(StepResult::Output(json(output)), None)
}

fn json(text: &str) -> Encoded {
    Encoded::new(text, FORMAT)
}
