//! The writes of the same workflows without the engine: what the lane, the driver and the server cost.

use std::time::{SystemTime, UNIX_EPOCH};

use durable_core::{
    db::{
        NewWorkflow, Placement, Recorded, StepRecord, StepResult, Steps as _, SystemDb as _,
        Timing, Workflows as _, Write,
    },
    ids::{Owner, WorkflowKey},
    payload::{Encoded, Outcome},
    time::Timestamp,
};
use durable_pg::{Driver, PgSystemDb};

use crate::load::{Load, Measured, STEPS, Trouble};

/// Measures the lane on the database that the URL names.
pub(crate) async fn measure<D: Driver>(url: &str, load: Load) -> Result<Measured, Trouble> {
    let database = PgSystemDb::<D>::connect(url).await?;
    database.migrate().await?;
    load.run(move |number| workflow(database.clone(), number))
        .await
}

async fn workflow<D: Driver>(database: PgSystemDb<D>, number: u64) -> Result<(), Trouble> {
    // As long as the ids and the tokens that the engine makes.
    let owner = Owner {
        workflow: format!("{number:036}").into(),
        token: format!("{number:036}").into(),
    };
    let new = NewWorkflow {
        id: owner.workflow.clone(),
        key: WorkflowKey::function("fulfil"),
        input: json(format!(
            r#"{{"positionalArgs":[{{"item":"book {number}","cents":1999}}],"namedArgs":{{}}}}"#
        )),
        placement: Placement::Here,
        creator: owner.token.clone(),
        executor: "local".into(),
        application: "bench".into(),
        version: Some("1".into()),
        timing: Timing::Unbounded,
        parent: None,
    };
    database.insert_workflow(&new).await?;
    for (number, name) in (1..).zip(STEPS) {
        let step = StepRecord {
            number,
            name: name.to_owned(),
            result: StepResult::Output(json(format!(
                r#"{{"what":"{name} book {number}","cents":1999}}"#
            ))),
            child: None,
            started_at: Some(now()),
            completed_at: Some(now()),
        };
        let recorded = database.record_step(&owner, &step).await?;
        assert_eq!(recorded, Recorded::Written);
    }
    let outcome = Outcome::Success(json("9995".to_owned()));
    let finished = database.finish_workflow(&owner, &outcome).await?;
    assert_eq!(finished, Write::Written);
    Ok(())
}

fn json(text: String) -> Encoded {
    Encoded::new(text, "portable_json")
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_millis();
    Timestamp::from_millis(i64::try_from(now).unwrap_or_default())
}
