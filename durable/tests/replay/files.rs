//! Histories in files.

use durable::{AnyError, Error, db::StepResult, prelude::*};
use durable_testkit::replay::{self, History, ReadError, Wrong};

use crate::{APPLICATION, Then, sqlite, verify};

#[durable::workflow]
async fn checkout(ctx: Ctx, order: u64) -> Result<u64, AnyError> {
    let twice = ctx
        .step("double", || async { Ok::<_, Error>(order * 2) })
        .await?;
    let failed = ctx
        .step("fail", async || {
            Err::<(), _>(AnyError::msg("no \"luck\"\n"))
        })
        .await;
    ctx.sleep(Duration::from_millis(1)).await?;
    let child = ctx.start(part, order).await?;
    child.result().await?;
    match order {
        13 => failed.map(|()| twice),
        _ => Ok(twice),
    }
}

#[durable::workflow]
async fn part(_ctx: Ctx, order: u64) -> Result<u64, Error> {
    Ok(order)
}

async fn then() -> (tempfile::TempDir, Then) {
    let (dir, db) = sqlite().await;
    let then = Then::launch(db, |b| b.workflow(checkout).workflow(part)).await;
    for order in [7, 13] {
        let handle = then.app.start(checkout, order).id(format!("order-{order}"));
        let _ = handle.await.unwrap().result().await;
    }
    (dir, then)
}

/// What a file keeps of a history.
fn kept(mut history: History) -> History {
    let row = &mut history.row;
    (row.executor, row.owner, row.creator) = (None, None, None);
    (row.queue, row.started_at, row.completed_at) = (None, None, None);
    row.updated_at = row.created_at;
    history
}

#[tokio::test]
async fn what_is_exported_is_read_back() {
    let (_database, then) = then().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("histories.jsonl");
    let file = std::fs::File::create(&path).unwrap();
    let count = replay::export(&*then.db, APPLICATION, file).await.unwrap();
    let expected: Vec<_> = then.histories().await.into_iter().map(kept).collect();
    let read = replay::read(&path).unwrap();
    assert_eq!((count, read.len()), (4, 4));
    assert_eq!(read, expected);
    let errors = read.iter().flat_map(|history| &history.steps);
    assert_eq!(
        errors
            .filter(|step| matches!(step.result, StepResult::Error(_)))
            .count(),
        2
    );
    let report = verify(&read, |b| b.workflow(checkout).workflow(part)).await;
    report.assert_safe();
    assert_eq!(report.total().safe, 4);
}

/// What is wrong with the second line of a file, and the whole error's text.
fn wrong(line: &str) -> (Wrong, String) {
    let good = r#"{"v":1,"id":"a","name":"w","status":"PENDING","created_at_ms":5}"#;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("histories.jsonl");
    std::fs::write(&path, format!("{good}\n\n{line}\n{good}\n")).unwrap();
    let lines: Vec<_> = replay::Lines::open(&path).unwrap().collect();
    assert_eq!(lines.len(), 3, "a wrong line does not end the file");
    assert!(lines[0].is_ok() && lines[2].is_ok());
    let error = replay::read(&path).unwrap_err();
    let text = error.to_string();
    println!("{text}");
    match error {
        ReadError::Line { line: 3, wrong, .. } => (wrong, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_line_is_told_with_its_number_and_what_is_wrong() {
    let (cut, text) = wrong(r#"{"v":1,"id":"a","na"#);
    assert!(matches!(cut, Wrong::Json(_)), "{cut:?}");
    assert!(
        text.contains("histories.jsonl:3: this line is no history"),
        "{text}"
    );
    let line = |more: &str, status: &str| {
        format!(r#"{{"v":1,"id":"a","name":"w","status":"{status}","created_at_ms":5{more}}}"#)
    };
    let (newer, text) = wrong(r#"{"v":2,"what":"ever"}"#);
    assert_eq!(newer, Wrong::Version(2));
    assert!(
        text.contains("version 2") && text.contains("reads version 1"),
        "{text}"
    );
    assert_eq!(wrong(&line("", "DONE")).0, Wrong::Status("DONE".into()));
    let unknown = wrong(&line(r#","owner":"x""#, "PENDING"));
    assert!(unknown.1.contains("unknown field `owner`"), "{}", unknown.1);
    let steps = r#","steps":[{"number":2,"name":"a"},{"number":2,"name":"b"}]"#;
    assert_eq!(
        wrong(&line(steps, "PENDING")).0,
        Wrong::Order {
            number: 2,
            after: 2
        }
    );
    let both = r#","output":{"text":"1"},"error":{"text":"2"}"#;
    let two = wrong(&line(both, "SUCCESS")).0;
    assert!(matches!(&two, Wrong::TwoResults { whose } if whose == "the workflow"));
    let step = r#","steps":[{"number":4,"name":"a","output":{"text":"1"},"error":{"text":"2"}}]"#;
    let two = wrong(&line(step, "PENDING")).0;
    assert!(matches!(&two, Wrong::TwoResults { whose } if whose == "step 4"));
}

#[test]
fn a_missing_file_is_named() {
    let error = replay::read("nowhere.jsonl").unwrap_err();
    assert!(matches!(error, ReadError::Open { .. }));
    assert!(error.to_string().contains("nowhere.jsonl"), "{error}");
}
