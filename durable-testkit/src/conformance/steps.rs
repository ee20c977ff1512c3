//! Checkpoints: recorded once, read back as they were.

use durable_core::{
    db::{Lost, Recorded, StepRecord, StepResult},
    ids::WorkflowId,
    payload::Encoded,
    time::Timestamp,
};

use super::{
    Context,
    context::given,
    make::{self, json, owner, stamp, step},
};

cases! { "steps":
    a_step_is_read_back_as_it_was_recorded,
    an_equal_step_is_recorded_once,
    a_different_step_is_a_conflict_and_changes_nothing,
    steps_are_read_in_the_order_of_their_numbers,
    histories_of_several_workflows_are_kept_apart,
    histories_of_nothing_are_nothing,
    a_step_of_an_unknown_workflow_is_lost,
    a_step_needs_the_token_of_its_own_workflow,
    a_long_history_is_read_whole,
}

async fn a_step_is_read_back_as_it_was_recorded(t: Context) {
    let owner = t.running("w").await;
    let formatless = Encoded {
        text: "gAROLg==".into(),
        format: None,
    };
    let records = [
        stamp(1, "value").record(StepResult::Output(json("{\"a\": [1, 2.50]}")), None),
        stamp(2, "error").record(StepResult::Error(json("{\"name\":\"E\"}")), None),
        stamp(3, "nothing").record(StepResult::Nothing, Some("child".into())),
        stamp(4, "awaited").record(StepResult::Output(json("1")), Some("child".into())),
        stamp(5, "empty").record(StepResult::Output(json("")), None),
        stamp(6, "foreign").record(StepResult::Output(Encoded::new("x", "py_pickle")), None),
        stamp(7, "formatless").record(StepResult::Output(formatless.clone()), None),
        stamp(8, "formatless error").record(StepResult::Error(formatless), None),
        StepRecord {
            started_at: None,
            completed_at: None,
            ..stamp(9, "größe 'of' \"🦀\"").record(StepResult::Output(json("null")), None)
        },
        StepRecord {
            completed_at: Some(Timestamp::from_millis(99_999_999_999_999)),
            ..stamp(10, "").record(StepResult::Output(json(&"x".repeat(100_000))), None)
        },
    ];
    for record in &records {
        t.record(&owner, record).await;
    }
    assert_eq!(t.steps("w").await, records);
}

async fn an_equal_step_is_recorded_once(t: Context) {
    let owner = t.running("w").await;
    let records = [
        step(1, "1"),
        stamp(2, "e").record(StepResult::Error(json("2")), None),
        stamp(3, "n").record(StepResult::Nothing, Some("c".into())),
        StepRecord {
            started_at: None,
            completed_at: None,
            ..step(4, "4")
        },
    ];
    for record in &records {
        t.record(&owner, record).await;
        t.record(&owner, record).await;
    }
    assert_eq!(t.steps("w").await, records);
}

async fn a_different_step_is_a_conflict_and_changes_nothing(t: Context) {
    let owner = t.running("w").await;
    let record = step(1, "1");
    t.record(&owner, &record).await;
    let others = [
        step(1, "2"),
        step(1, ""),
        stamp(1, "step").record(StepResult::Error(json("1")), None),
        stamp(1, "step").record(StepResult::Nothing, None),
        stamp(1, "step").record(StepResult::Output(Encoded::new("1", "other")), None),
        stamp(1, "other").record(record.result.clone(), None),
        stamp(1, "step").record(record.result.clone(), Some("child".into())),
    ];
    for other in others {
        let recorded = given(t.db.record_step(&owner, &other).await);
        assert_eq!(
            recorded,
            Recorded::Conflict(Box::new(record.clone())),
            "{other:?}"
        );
    }
    assert_eq!(t.steps("w").await, std::slice::from_ref(&record));
    t.record(&owner, &record).await;
}

async fn steps_are_read_in_the_order_of_their_numbers(t: Context) {
    let owner = t.running("w").await;
    // As text, 10 would stand before 2.
    for number in [10, 2, 100, 1, 11, 3] {
        t.record(&owner, &step(number, "1")).await;
    }
    let numbers: Vec<_> = t.steps("w").await.iter().map(|step| step.number).collect();
    assert_eq!(numbers, [1, 2, 3, 10, 11, 100]);
}

async fn histories_of_several_workflows_are_kept_apart(t: Context) {
    for id in ["a", "b", "c", "unasked"] {
        let owner = t.running(id).await;
        t.record(&owner, &step(2, &format!("\"{id}2\""))).await;
        t.record(&owner, &step(1, &format!("\"{id}1\""))).await;
    }
    t.running("without").await;
    let ids = ["c", "without", "a", "unknown", "b"].map(WorkflowId::from);
    let mut histories = given(t.db.histories(&ids).await);
    histories.retain(|history| !history.steps.is_empty());
    histories.sort_by(|a, b| a.workflow.cmp(&b.workflow));
    let found: Vec<_> = histories.iter().map(|h| h.workflow.as_str()).collect();
    assert_eq!(found, ["a", "b", "c"]);
    for history in histories {
        let id = history.workflow;
        let expected = [
            step(1, &format!("\"{id}1\"")),
            step(2, &format!("\"{id}2\"")),
        ];
        assert_eq!(history.steps, expected);
    }
}

async fn histories_of_nothing_are_nothing(t: Context) {
    let owner = t.running("w").await;
    t.record(&owner, &step(1, "1")).await;
    assert_eq!(given(t.db.histories(&[]).await), []);
    assert_eq!(t.steps("unknown").await, []);
}

async fn a_step_of_an_unknown_workflow_is_lost(t: Context) {
    let nowhere = owner("nowhere", "t");
    let recorded = given(t.db.record_step(&nowhere, &step(1, "1")).await);
    assert_eq!(recorded, Recorded::Lost(Lost { status: None }));
    assert_eq!(t.steps("nowhere").await, []);
}

async fn a_step_needs_the_token_of_its_own_workflow(t: Context) {
    t.running("a").await;
    t.running("b").await;
    let crossed = owner("a", make::creator("b"));
    let recorded = given(t.db.record_step(&crossed, &step(1, "1")).await);
    assert!(matches!(recorded, Recorded::Lost(_)), "{recorded:?}");
    assert_eq!(t.steps("a").await, []);
    assert_eq!(t.steps("b").await, []);
}

async fn a_long_history_is_read_whole(t: Context) {
    let owner = t.running("w").await;
    let records: Vec<_> = (1..=500).map(|n| step(n, &n.to_string())).collect();
    for record in &records {
        t.record(&owner, record).await;
    }
    assert_eq!(t.steps("w").await, records);
}
