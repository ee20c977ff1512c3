//! Rows as other SDKs, older versions of the schema or broken tools leave them: what no call of `SystemDb` makes.

use durable_core::{payload::Outcome, state::WorkflowRow};

/// A workflow to be put into a database as it stands, past all checks.
#[derive(Clone, Debug)]
pub struct RawWorkflow {
    /// Its row; one that holds the id already is replaced.
    pub row: WorkflowRow,
    /// The text of its input, in the row's format; `None`: none is stored.
    pub input: Option<String>,
    /// How it ended, in the row's format; `None`: none is stored.
    pub outcome: Option<Outcome>,
    /// Where its payloads are stored.
    pub payloads: Payloads,
}

/// Where the payloads of a workflow are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payloads {
    /// In the tables `workflow_input` and `workflow_output`, as today.
    Tables,
    /// In the columns `inputs`, `output` and `error` of the status row, as before the payload tables.
    Columns,
}

impl RawWorkflow {
    /// A row without payloads.
    pub fn new(row: WorkflowRow) -> Self {
        Self {
            row,
            input: None,
            outcome: None,
            payloads: Payloads::Tables,
        }
    }
}
