//! A history as a line of JSON.

use durable_core::{
    db::{StepRecord, StepResult},
    ids::WorkflowKey,
    payload::{Encoded, Outcome},
    state::WorkflowRow,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{History, Wrong};

/// The version that is written and read.
pub(super) const VERSION: u64 = 1;

/// What tells which version a line is of.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    v: u64,
    id: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<String>,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default)]
    attempts: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    created_at_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Payload>,
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Payload>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Payload>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    number: i32,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Payload>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Payload>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    child: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_at_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
}

impl Payload {
    fn of(encoded: &Encoded) -> Self {
        Self {
            text: encoded.text.clone(),
            format: encoded.format.as_ref().map(ToString::to_string),
        }
    }

    fn encoded(self) -> Encoded {
        Encoded {
            text: self.text,
            format: self.format.map(Into::into),
        }
    }
}

impl Step {
    fn of(step: &StepRecord) -> Self {
        let (output, error) = match &step.result {
            StepResult::Output(value) => (Some(Payload::of(value)), None),
            StepResult::Error(error) => (None, Some(Payload::of(error))),
            StepResult::Nothing => (None, None),
        };
        Self {
            number: step.number,
            name: step.name.clone(),
            output,
            error,
            child: step.child.as_ref().map(ToString::to_string),
            started_at_ms: step.started_at.map(Timestamp::as_millis),
            completed_at_ms: step.completed_at.map(Timestamp::as_millis),
        }
    }

    fn record(self) -> Result<StepRecord, Wrong> {
        let result = match (self.output, self.error) {
            (Some(value), None) => StepResult::Output(value.encoded()),
            (None, Some(error)) => StepResult::Error(error.encoded()),
            (None, None) => StepResult::Nothing,
            (Some(_), Some(_)) => {
                return Err(Wrong::TwoResults {
                    whose: format!("step {}", self.number),
                });
            }
        };
        Ok(StepRecord {
            number: self.number,
            name: self.name,
            result,
            child: self.child.map(Into::into),
            started_at: self.started_at_ms.map(Timestamp::from_millis),
            completed_at: self.completed_at_ms.map(Timestamp::from_millis),
        })
    }
}

impl Line {
    pub(super) fn of(history: &History) -> Self {
        let row = &history.row;
        let (output, error) = match &history.outcome {
            Some(Outcome::Success(value)) => (Some(Payload::of(value)), None),
            Some(Outcome::Failure(error)) => (None, Some(Payload::of(error))),
            None => (None, None),
        };
        Self {
            v: VERSION,
            id: row.id.to_string(),
            name: row.key.name.clone(),
            class: row.key.class.clone(),
            config: row.key.config.clone(),
            status: row.status.to_string(),
            application: row.application.clone(),
            version: row.version.clone(),
            attempts: row.attempts,
            deadline_ms: row.deadline.map(Timestamp::as_millis),
            parent: row.parent.as_ref().map(ToString::to_string),
            created_at_ms: row.created_at.as_millis(),
            input: history.input.as_ref().map(Payload::of),
            steps: history.steps.iter().map(Step::of).collect(),
            output,
            error,
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("text and numbers always are JSON")
    }

    /// Reads a line. Errors: what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<History, Wrong> {
        let text = text.trim();
        // Of a line its number in the file is told, not that in itself.
        let json = |error: serde_json::Error| {
            Wrong::Json(
                error
                    .to_string()
                    .replace(" at line 1 column ", " at column "),
            )
        };
        let Versioned { v } = serde_json::from_str(text).map_err(json)?;
        if v != VERSION {
            return Err(Wrong::Version(v));
        }
        serde_json::from_str::<Self>(text).map_err(json)?.history()
    }

    fn history(self) -> Result<History, Wrong> {
        let row = self.row()?;
        let steps = self.steps.into_iter().map(Step::record);
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        if let Some(pair) = steps
            .windows(2)
            .find(|pair| pair[0].number >= pair[1].number)
        {
            return Err(Wrong::Order {
                number: pair[1].number,
                after: pair[0].number,
            });
        }
        let outcome = match (self.output, self.error) {
            (Some(value), None) => Some(Outcome::Success(value.encoded())),
            (None, Some(error)) => Some(Outcome::Failure(error.encoded())),
            (None, None) => None,
            (Some(_), Some(_)) => {
                let whose = "the workflow".to_owned();
                return Err(Wrong::TwoResults { whose });
            }
        };
        Ok(History {
            row,
            input: self.input.map(Payload::encoded),
            steps,
            outcome,
        })
    }

    /// The row, with nothing in the columns that a replay does not look at.
    fn row(&self) -> Result<WorkflowRow, Wrong> {
        let status = self.status.parse();
        let status = status.map_err(|_| Wrong::Status(self.status.clone()))?;
        let created_at = Timestamp::from_millis(self.created_at_ms);
        let format = self.input.as_ref().and_then(|input| input.format.clone());
        Ok(WorkflowRow {
            id: self.id.as_str().into(),
            status,
            key: WorkflowKey {
                name: self.name.clone(),
                class: self.class.clone(),
                config: self.config.clone(),
            },
            application: self.application.clone(),
            version: self.version.clone(),
            executor: None,
            owner: None,
            creator: None,
            attempts: self.attempts,
            queue: None,
            priority: 0,
            deduplication_id: None,
            partition_key: None,
            timeout_ms: None,
            deadline: self.deadline_ms.map(Timestamp::from_millis),
            delay_until: None,
            parent: self.parent.as_deref().map(Into::into),
            forked_from: None,
            format: format.map(Into::into),
            created_at,
            updated_at: created_at,
            started_at: None,
            completed_at: None,
        })
    }
}
