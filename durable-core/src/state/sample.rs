//! A row for the tests of the state machine.

use super::{Status, WorkflowRow};
use crate::{ids::WorkflowKey, time::Timestamp};

/// The instant of this many milliseconds.
pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A row of this status in which nothing is empty and nothing is what a change of it would write.
pub(super) fn row(status: Status) -> WorkflowRow {
    WorkflowRow {
        id: "w".into(),
        status,
        key: WorkflowKey::function("order"),
        application: Some("old shop".to_owned()),
        version: Some("old version".to_owned()),
        executor: Some("old executor".into()),
        owner: Some("owner".into()),
        creator: Some("creator".into()),
        attempts: 3,
        queue: Some("queue".to_owned()),
        priority: 5,
        deduplication_id: Some("deduplication".to_owned()),
        partition_key: Some("partition".to_owned()),
        timeout_ms: Some(500),
        deadline: Some(at(900)),
        delay_until: Some(at(1)),
        parent: Some("parent".into()),
        forked_from: Some("fork".into()),
        format: Some("portable_json".into()),
        created_at: at(10),
        updated_at: at(20),
        started_at: Some(at(15)),
        completed_at: Some(at(30)),
    }
}
