//! Rows that no call can read, as other programs may leave them in the file: each stops nobody but itself.

mod common;

use std::path::{Path, PathBuf};

use common::{Directory, claim, claimant, here, number, open, owner, queued, raw, start, wanted};
use durable_core::{
    db::{
        Abandoned, AbandonedQuery, Adoption, Claimed, Executors, NewWorkflow, Queues, Timing,
        Versions, Workflows,
    },
    ids::WorkflowId,
    state::Status,
    time::Timestamp,
};
use durable_sqlite::Sqlite;

/// A database in a file of its own.
async fn database() -> (Directory, PathBuf, Sqlite) {
    let directory = Directory::new();
    let path = directory.file("shop.db");
    let database = open(&path).await;
    (directory, path, database)
}

/// The ids of what was claimed or adopted.
fn names(claimed: &[Claimed]) -> Vec<&str> {
    claimed
        .iter()
        .map(|claimed| claimed.row.id.as_str())
        .collect()
}

/// Makes rows unreadable: those whose ids begin with `bad-`, each in a way of its own.
async fn spoil(path: &Path) {
    raw(
        path,
        "UPDATE workflow_input SET inputs = CAST(x'ff' AS TEXT) WHERE workflow_uuid = 'bad-1';
         UPDATE workflow_status SET priority = -3000000000 WHERE workflow_uuid = 'bad-2';
         UPDATE workflow_status SET deduplication_id = CAST(x'ff' AS TEXT) WHERE workflow_uuid = 'bad-3';
         UPDATE workflow_status SET parent_workflow_id = CAST(x'ff' AS TEXT) WHERE workflow_uuid = 'bad-4';
         UPDATE workflow_status SET workflow_uuid = CAST(x'ff' AS TEXT) WHERE workflow_uuid = 'bad-5'",
    )
    .await;
}

const BAD: [&str; 5] = ["bad-1", "bad-2", "bad-3", "bad-4", "bad-5"];

#[tokio::test]
async fn a_queue_whose_first_rows_cannot_be_read_gives_the_next_ones() {
    let (_directory, path, database) = database().await;
    for id in BAD.iter().chain(&["w1", "w2", "w3"]) {
        database.insert_workflow(&queued(id, "q")).await.unwrap();
    }
    spoil(&path).await;
    let claimed = database.claim(&claim("q", &["1", "2"])).await.unwrap();
    assert_eq!(names(&claimed), ["w1", "w2"]);
    let owners: Vec<_> = claimed.iter().map(|claimed| &claimed.row.owner).collect();
    assert_eq!(owners, [&Some("1".into()), &Some("2".into())]);
    let claimed = database.claim(&claim("q", &["3", "4"])).await.unwrap();
    assert_eq!(names(&claimed), ["w3"]);
    assert!(
        database
            .claim(&claim("q", &["5"]))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_newest_version_whose_name_cannot_be_read_stops_no_claim() {
    let (_directory, path, database) = database().await;
    database.insert_workflow(&queued("w", "q")).await.unwrap();
    database.register_version("shop", "v1").await.unwrap();
    raw(
        &path,
        "INSERT INTO application_versions (version_id, version_name, application_name, version_timestamp)
         VALUES ('x', CAST(x'ff' AS TEXT), 'shop', 9000000000000000)",
    )
    .await;
    let claimed = database.claim(&claim("q", &["1"])).await.unwrap();
    assert_eq!(names(&claimed), ["w"]);
}

#[tokio::test]
async fn a_lost_claim_is_found_beside_a_row_that_cannot_be_read() {
    let (_directory, path, database) = database().await;
    start(&database, "bad-1", "local").await;
    start(&database, "w", "local").await;
    spoil(&path).await;
    let tokens = [owner("bad-1").token, owner("w").token];
    let found = database.claimed_by(&tokens).await.unwrap();
    assert_eq!(names(&found), ["w"]);
}

/// What is abandoned, a row at a time.
async fn abandoned(database: &Sqlite, after: Option<&str>) -> Vec<Abandoned> {
    let query = AbandonedQuery {
        claimant: claimant("asking", 1),
        own: false,
        after: after.map(WorkflowId::from),
        limit: 1,
    };
    database.abandoned(&query).await.unwrap()
}

#[tokio::test]
async fn abandoned_rows_are_found_behind_those_that_cannot_be_read() {
    let (_directory, path, database) = database().await;
    database.join(&wanted("asking", true)).await.unwrap();
    database.join(&wanted("dead", true)).await.unwrap();
    database.leave(&"dead".into()).await.unwrap();
    for id in ["a1", "a2", "a3", "w1", "w2"] {
        start(&database, id, "dead").await;
    }
    raw(
        &path,
        "UPDATE workflow_status SET owner_xid = CAST(x'ff' AS TEXT) WHERE workflow_uuid LIKE 'a%'",
    )
    .await;
    let first = abandoned(&database, None).await;
    assert_eq!(first[0].workflow.as_str(), "w1");
    let second = abandoned(&database, Some("w1")).await;
    assert_eq!(second[0].workflow.as_str(), "w2");
    assert!(abandoned(&database, Some("w2")).await.is_empty());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_no_other_from_being_taken_over() {
    let (_directory, path, database) = database().await;
    let adopter = claimant("asking", 1);
    let ids = ["bad-1", "bad-2", "lost", "w"];
    for id in ids {
        start(&database, id, "dead").await;
    }
    spoil(&path).await;
    raw(
        &path,
        "UPDATE workflow_status SET status = 'ELSEWHERE' WHERE workflow_uuid = 'lost'",
    )
    .await;
    let adoption = |id: &str| Adoption {
        workflow: id.into(),
        held: Some(owner(id).token),
        token: format!("{id}-new").into(),
    };
    let adopted = database.adopt(&adopter, &ids.map(adoption)).await.unwrap();
    assert_eq!(names(&adopted), ["w"]);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_no_other_from_its_queue() {
    let (_directory, path, database) = database().await;
    let ids = ["bad-2", "w"];
    for id in ids {
        database.insert_workflow(&queued(id, "q")).await.unwrap();
    }
    database.claim(&claim("q", &["1", "2"])).await.unwrap();
    spoil(&path).await;
    let left = |(id, token): (&str, &str)| Abandoned {
        workflow: id.into(),
        executor: "worker".into(),
        held: Some(token.into()),
        queue: Some("q".into()),
    };
    let left = [("bad-2", "1"), ("w", "2")].map(left);
    let requeued = database.requeue(&claimant("asking", 1), &left).await;
    assert_eq!(requeued.unwrap(), [WorkflowId::from("w")]);
}

#[tokio::test]
async fn deadlines_behind_rows_that_cannot_be_read_are_kept() {
    let (_directory, path, database) = database().await;
    // Not the first: its input is what is bad, which nobody need read here.
    for (n, id) in BAD[1..].iter().chain(&["w1", "w2"]).enumerate() {
        let new = NewWorkflow {
            timing: Timing::Inherited(Timestamp::from_millis(i64::try_from(n).unwrap())),
            ..here(id, "local")
        };
        database.insert_workflow(&new).await.unwrap();
    }
    spoil(&path).await;
    for id in ["w1", "w2"] {
        let expired = database.expire_deadlines("shop", 1).await.unwrap();
        assert_eq!(expired, [WorkflowId::from(id)]);
        let row = database.workflow(&id.into()).await.unwrap().unwrap();
        assert_eq!(row.status, Status::Cancelled);
    }
    assert!(
        database
            .expire_deadlines("shop", 1)
            .await
            .unwrap()
            .is_empty()
    );
    let untouched = "SELECT count(*) FROM workflow_status WHERE status = 'PENDING'";
    assert_eq!(number(&path, untouched).await, 4);
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_passed_over_however_many_they_are() {
    let (_directory, path, database) = database().await;
    raw(
        &path,
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)
         INSERT INTO workflow_status
             (workflow_uuid, status, name, application_name, application_version, queue_name, serialization, parent_workflow_id)
         SELECT 'a' || n, 'ENQUEUED', 'demo', 'shop', 'v1', 'q', 'portable_json', iif(n % 100 = 0, NULL, CAST(x'ff' AS TEXT))
         FROM n",
    )
    .await;
    let claimed = database
        .claim(&claim("q", &["1", "2", "3", "4", "5", "6"]))
        .await
        .unwrap();
    let mut claimed = names(&claimed);
    claimed.sort_unstable();
    assert_eq!(claimed, ["a100", "a200", "a300", "a400", "a500"]);
}
