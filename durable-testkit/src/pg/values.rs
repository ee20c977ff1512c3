//! Values that the server alone refuses: an error for the call that has one, and nothing that all others share stops.

use std::fmt::Write as _;

use durable_core::{
    db::{
        ClaimRequest, Executors as _, NewWorkflow, Placement, Queues as _, Recorded, Result,
        Serves, StepResult, StepStamp, Steps as _, Timing, WantedExecutor, Workflows as _,
    },
    ids::{Owner, WorkflowKey},
    payload::Encoded,
    state::claim::Claimant,
    time::Timestamp,
};
use durable_pg::Driver;
use futures_util::future::join_all;

use super::TestDb;

const FORMAT: &str = "portable_json";

/// So many bytes that no compression makes less of.
fn noise(bytes: usize) -> String {
    let mut text = String::new();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    while text.len() < bytes {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let _ = write!(text, "{state:016x}");
    }
    text.truncate(bytes);
    text
}

fn new(id: &str, application: &str, placement: Placement) -> NewWorkflow {
    NewWorkflow {
        id: id.into(),
        key: WorkflowKey::function("work"),
        input: Encoded::new("{}", FORMAT),
        placement,
        creator: format!("{id}:t").into(),
        executor: "starter".into(),
        application: application.to_owned(),
        version: Some("v1".to_owned()),
        timing: Timing::Unbounded,
        parent: None,
    }
}

#[track_caller]
fn given<T>(answer: Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("{error}"))
}

/// Records names of steps, one of which no index takes, all at once. Panics where another call than that fails.
pub async fn a_name_that_is_too_long_for_an_index_is_refused_for_its_call_only<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let handle = database.options().connect().await.expect("it opens");
    given(
        handle
            .insert_workflow(&new("w", "shop", Placement::Here))
            .await,
    );
    let owner = Owner {
        workflow: "w".into(),
        token: "w:t".into(),
    };
    let records = (1..=12).map(|number| {
        let stamp = StepStamp {
            number,
            name: noise(if number == 5 { 3000 } else { 512 }),
            started_at: Timestamp::from_millis(1),
            completed_at: Timestamp::from_millis(2),
        };
        stamp.record(StepResult::Nothing, None)
    });
    let records: Vec<_> = records.collect();
    let recorded = join_all(
        records
            .iter()
            .map(|record| handle.record_step(&owner, record)),
    );
    for (record, recorded) in records.iter().zip(recorded.await) {
        match recorded {
            Err(error) if record.number == 5 => assert!(error.is_about_arguments(), "{error}"),
            recorded => assert_eq!(given(recorded), Recorded::Written, "{}", record.number),
        }
    }
}

/// Claims from a queue that begins with a row of another program which no index takes with this application's name in it. Panics if the
/// others are not claimed.
pub async fn a_row_that_no_index_takes_keeps_no_other_from_being_claimed<D: Driver>() {
    let database = TestDb::<D>::migrated().await;
    let handle = database.options().connect().await.expect("it opens");
    let application = noise(512);
    let (id, partition) = (noise(900), noise(1400));
    let mut bare = database.bare().await;
    bare.batch(&format!(
        "INSERT INTO dbos.workflow_status (
            workflow_uuid, status, name, queue_name, queue_partition_key, application_version, serialization, priority)
        VALUES ('{id}', 'ENQUEUED', 'work', 'q', '{partition}', 'v1', '{FORMAT}', 0)"
    ))
    .await;
    for id in ["a", "b"] {
        let placement = Placement::Queue {
            name: "q".to_owned(),
            priority: 1,
        };
        given(
            handle
                .insert_workflow(&new(id, &application, placement))
                .await,
        );
    }
    let wanted = WantedExecutor {
        id: "one".into(),
        given: true,
        application: application.clone(),
        serves: Serves::default(),
    };
    let joined = given(handle.join(&wanted).await);
    let request = ClaimRequest {
        queue: "q".to_owned(),
        claimant: Claimant {
            executor: joined.id,
            incarnation: joined.incarnation,
            application,
            version: "v1".to_owned(),
            runnable: [WorkflowKey::function("work")].into(),
            formats: [FORMAT.into()].into(),
        },
        tokens: ["t1", "t2", "t3"].map(Into::into).to_vec(),
    };
    let claimed = given(handle.claim(&request).await);
    let claimed: Vec<_> = claimed.iter().map(|one| one.row.id.as_str()).collect();
    assert_eq!(claimed, ["a", "b"]);
    let left = given(handle.workflow(&id.as_str().into()).await).expect("it is there");
    assert_eq!(left.owner, None);
}
