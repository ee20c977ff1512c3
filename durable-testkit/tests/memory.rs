//! The in-memory model keeps every promise of a backend, and what is its own.

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use durable_core::{
    db::{Executors, NewWorkflow, Placement, Serves, SystemDb, Timing, WantedExecutor, Workflows},
    ids::WorkflowKey,
    payload::{Encoded, Outcome},
    time::Timestamp,
};
use durable_testkit::{
    ManualClock, Memory, conformance,
    raw::{Payloads, RawWorkflow},
};
use support::MemoryFactory;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_model_keeps_every_promise_of_a_backend() {
    let factory = MemoryFactory {
        wrap: Arc::new(|memory| Arc::new(memory)),
        patience: Duration::from_secs(10),
    };
    conformance::run(&factory).await;
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let cases = conformance::cases();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
}

fn wanted(id: &str) -> WantedExecutor {
    WantedExecutor {
        id: id.into(),
        given: true,
        application: "shop".into(),
        serves: Serves::default(),
    }
}

#[tokio::test]
async fn clones_are_one_process_and_kill_ends_it() {
    let here = Memory::new();
    let there = here.process();
    let clone = there.clone();
    there.join(&wanted("worker")).await.unwrap();
    drop(there);
    here.join(&wanted("worker")).await.unwrap_err();
    clone.kill();
    here.join(&wanted("worker")).await.unwrap();
    let refused = clone.join(&wanted("other")).await.unwrap_err();
    assert!(refused.to_string().contains("killed"), "{refused}");
    let found = clone.workflow(&"w".into()).await;
    assert_eq!(found.unwrap(), None, "requests on their way are served");
}

#[tokio::test]
async fn its_clock_is_the_tests() {
    let clock = ManualClock::new(Timestamp::from_millis(5));
    let memory = Memory::with_clock(clock.clone());
    assert_eq!(memory.now().await.unwrap(), Timestamp::from_millis(5));
    clock.advance(Duration::from_millis(7));
    assert_eq!(memory.now().await.unwrap(), Timestamp::from_millis(12));
    clock.set(Timestamp::from_millis(1));
    assert_eq!(memory.now().await.unwrap(), Timestamp::from_millis(1));
    assert_eq!((clock.source())(), Timestamp::from_millis(1));
    assert!(Memory::new().now().await.unwrap() > Timestamp::from_millis(1_700_000_000_000));
}

#[test]
fn a_dump_shows_each_payload_that_a_row_holds() {
    let new = NewWorkflow {
        id: "w".into(),
        key: WorkflowKey::function("work"),
        input: Encoded::new("null", "portable_json"),
        placement: Placement::Here,
        creator: "creator".into(),
        executor: "executor".into(),
        application: "shop".to_owned(),
        version: None,
        timing: Timing::Unbounded,
        parent: None,
    };
    let row = new.into_row(Timestamp::from_millis(5));
    let outcome = Outcome::Success(Encoded::new("an outcome", "portable_json"));
    for (input, outcome) in [
        (Some("an input".to_owned()), None),
        (None, Some(outcome)),
        (None, None),
    ] {
        let memory = Memory::new();
        let expected = (input.is_some(), outcome.is_some());
        memory.put_workflow(&RawWorkflow {
            input,
            outcome,
            payloads: Payloads::Columns,
            ..RawWorkflow::new(row.clone())
        });
        let dump = memory.dump();
        let shown = (dump.contains("an input"), dump.contains("an outcome"));
        assert_eq!(shown, expected, "{dump}");
        let lines = if expected == (false, false) { 1 } else { 2 };
        assert_eq!(dump.lines().count(), lines, "{dump}");
    }
}
