//! How many steps a second one process records: `cargo run --release -p durable-sqlite --example throughput [directory]`.

use std::{error::Error, path::PathBuf, sync::Arc, time::Instant};

use durable_core::{
    db::{
        NewWorkflow, Placement, Recorded, StepRecord, StepResult, Steps, SystemDb, Timing,
        Workflows,
    },
    ids::{Owner, WorkflowKey},
    payload::{Encoded, Outcome},
};
use durable_sqlite::Sqlite;
use futures_util::future::try_join_all;

const TASKS: usize = 50;
const STEPS: i32 = 40;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let path = directory.join(format!("durable-throughput-{}.db", std::process::id()));
    let database = Arc::new(Sqlite::open(&path).await?);
    database.migrate().await?;

    let before = database.commits();
    let began = Instant::now();
    let tasks = (0..TASKS).map(|n| tokio::spawn(run(Arc::clone(&database), n)));
    let waits: Vec<_> = try_join_all(tasks)
        .await?
        .into_iter()
        .collect::<Result<_, _>>()?;
    let took = began.elapsed();

    let steps = f64::from(STEPS) * f64::from(u32::try_from(TASKS)?);
    let slowest = waits.into_iter().max().unwrap_or_default();
    println!(
        "{steps} steps of {TASKS} workflows in {took:.2?}: {:.0} steps/s, {} commits, slowest step {slowest:.2?}",
        steps / took.as_secs_f64(),
        database.commits() - before,
    );
    drop(database);
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// One workflow: a start, its steps one after the other, a finish; how long the slowest step took.
async fn run(
    database: Arc<Sqlite>,
    n: usize,
) -> Result<std::time::Duration, Box<dyn Error + Send + Sync>> {
    let value = Encoded::new(r#"{"charge":"ch_1234567890"}"#, "portable_json");
    let owner = Owner {
        workflow: format!("workflow-{n}").into(),
        token: format!("token-{n}").into(),
    };
    let new = NewWorkflow {
        id: owner.workflow.clone(),
        key: WorkflowKey::function("probe"),
        input: value.clone(),
        placement: Placement::Here,
        creator: owner.token.clone(),
        executor: "local".into(),
        application: "probe".into(),
        version: Some("1".into()),
        timing: Timing::Unbounded,
        parent: None,
    };
    database.insert_workflow(&new).await?;
    let mut slowest = std::time::Duration::ZERO;
    for number in 1..=STEPS {
        let step = StepRecord {
            number,
            name: "charge".into(),
            result: StepResult::Output(value.clone()),
            child: None,
            started_at: Some(database.now().await?),
            completed_at: Some(database.now().await?),
        };
        let began = Instant::now();
        let recorded = database.record_step(&owner, &step).await?;
        assert_eq!(recorded, Recorded::Written);
        slowest = slowest.max(began.elapsed());
    }
    database
        .finish_workflow(&owner, &Outcome::Success(value))
        .await?;
    Ok(slowest)
}
