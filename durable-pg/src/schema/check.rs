//! What is missing, in words.

use std::fmt::Write as _;

use crate::text::SchemaName;

use super::{
    hint,
    plan::{FoundSchema, Plan},
    target::VERSION,
};

/// How many statements are shown.
const SHOWN: usize = 5;

/// Why the database is not as it is to be, and what to do; `None`: it is. `role`: the one that is to be granted something.
pub(super) fn missing(schema: &SchemaName, role: Option<&str>, plan: &Plan) -> Option<String> {
    let name = schema.as_str();
    let run = format!("run {}", hint::ways(schema, role));
    if plan.found == FoundSchema::Nothing {
        return Some(format!(
            "schema {name:?} holds no DBOS system tables; {run}"
        ));
    }
    if !plan.changes_tables() {
        let role = role.filter(|_| !plan.grants.is_empty())?;
        return Some(format!(
            "the system tables in schema {name:?} are as they are to be, but role {role:?} lacks rights; {}, which does this:{}",
            hint::grant(schema, role),
            listed(plan)
        ));
    }
    let state = match plan.found {
        FoundSchema::Version(version) if !plan.found.is_older() => {
            format!("of version {version}, but not complete")
        }
        FoundSchema::Version(version) => {
            format!("of version {version}, and version {VERSION} is needed")
        }
        _ => format!("another SDK's, and version {VERSION} is needed"),
    };
    Some(format!(
        "the system tables in schema {name:?} are {state}; {run}; a run would do this:{}",
        listed(plan)
    ))
}

/// The first lines of the first statements, and how many more there are.
fn listed(plan: &Plan) -> String {
    let steps: Vec<_> = plan.steps().collect();
    let mut shown = String::new();
    for line in steps
        .iter()
        .filter_map(|step| step.sql.lines().next())
        .take(SHOWN)
    {
        let _ = write!(shown, "\n  {line}");
    }
    if let Some(more) = steps.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = write!(shown, "\n  and {more} more");
    }
    shown
}
