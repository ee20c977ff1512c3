//! Made-up histories for the tests of the invariants.

use std::time::Duration;

use durable_core::{
    ids::{ExecutorId, Owner, OwnerToken, WorkflowId},
    state::Status,
};

use super::Invariant;
use crate::sim::fact::{Asker, Ends, Fact, Moment, Terms, Written};

/// Shows these facts to an invariant, a second apart: the database's, unless they are an engine's.
pub(super) fn judge(mut invariant: impl Invariant, facts: &[Fact]) -> Result<(), String> {
    for (second, fact) in (0..).zip(facts) {
        let at = Duration::from_secs(second);
        let of_engine = matches!(
            fact,
            Fact::Body { .. }
                | Fact::Execution { .. }
                | Fact::Crashed { .. }
                | Fact::ShutsDown { .. }
                | Fact::Restarted
                | Fact::Paused { .. }
                | Fact::WokenUp
                | Fact::Waits { .. }
                | Fact::Asks { .. }
                | Fact::Dropped { .. }
                | Fact::Finished(_)
                | Fact::Stopped { .. }
        );
        let process = usize::from(of_engine);
        invariant.see(&Moment { at, process, fact })?;
    }
    Ok(())
}

/// The first life of process 1: everything is its doing, unless something else is said.
const FIRST: Asker = Asker {
    process: 1,
    life: 1,
};

/// The fact, as this process's doing.
pub(super) fn by(process: usize, mut fact: Fact) -> Fact {
    if let Fact::Inserted { by, .. } | Fact::Taken { by, .. } | Fact::Requeued { by, .. } =
        &mut fact
    {
        by.process = process;
    }
    fact
}

/// The fact, with what else its row says.
pub(super) fn with_terms(mut fact: Fact, change: impl FnOnce(&mut Terms)) -> Fact {
    if let Fact::Inserted { terms, .. } | Fact::Taken { terms, .. } = &mut fact {
        change(terms);
    }
    fact
}

/// A process joins.
pub(super) fn joined(process: usize) -> Fact {
    Fact::Joined {
        executor: ExecutorId::from(format!("E{process}")),
        life: 1,
        process,
    }
}

/// This process puts a workflow back onto its queue.
pub(super) fn requeued(workflow: &str, process: usize) -> Fact {
    let requeued = Fact::Requeued {
        workflow: WorkflowId::from(workflow),
        by: FIRST,
    };
    by(process, requeued)
}

/// The execution of this workflow under this token.
pub(super) fn owner(workflow: &str, token: &str) -> Owner {
    Owner {
        workflow: WorkflowId::from(workflow),
        token: OwnerToken::from(token),
    }
}

/// A workflow that runs at once under this token.
pub(super) fn started(workflow: &str, token: &str) -> Fact {
    Fact::Inserted {
        owner: owner(workflow, token),
        queue: None,
        parent: None,
        by: FIRST,
        terms: Terms::default(),
    }
}

/// A workflow on the queue "q".
pub(super) fn enqueued(workflow: &str, priority: i32) -> Fact {
    Fact::Inserted {
        owner: owner(workflow, "creator"),
        queue: Some(("q".to_owned(), priority)),
        parent: None,
        by: FIRST,
        terms: Terms::default(),
    }
}

/// A claim from the queue "q".
pub(super) fn claimed(workflow: &str, token: &str) -> Fact {
    Fact::Taken {
        owner: owner(workflow, token),
        executor: ExecutorId::from("E1"),
        queue: Some("q".to_owned()),
        from: None,
        life: 1,
        by: FIRST,
        terms: Terms::default(),
    }
}

/// An adoption from "E2".
pub(super) fn adopted(workflow: &str, token: &str) -> Fact {
    Fact::Taken {
        owner: owner(workflow, token),
        executor: ExecutorId::from("E1"),
        queue: None,
        from: Some(ExecutorId::from("E2")),
        life: 1,
        by: FIRST,
        terms: Terms::default(),
    }
}

/// A write under a token that the row holds.
pub(super) fn written(workflow: &str, token: &str, what: Written) -> Fact {
    Fact::Written {
        owner: owner(workflow, token),
        what,
        row: Some((Status::Pending, Some(OwnerToken::from(token)))),
    }
}

/// The record of a step.
pub(super) fn step(number: i32) -> Written {
    Written::Step {
        number,
        name: "step".to_owned(),
        child: None,
        until: None,
        result: Ends::Value,
    }
}

/// A successful outcome.
pub(super) fn outcome(text: &str) -> Written {
    Written::Outcome {
        success: true,
        text: text.to_owned(),
    }
}

/// The body of a step begins.
pub(super) fn body(workflow: &str, token: &str, number: i32) -> Fact {
    Fact::Body {
        owner: owner(workflow, token),
        number,
        name: "step".to_owned(),
        attempt: 1,
    }
}
