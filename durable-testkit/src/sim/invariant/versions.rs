//! A workflow goes on in the version that it began with.

use std::collections::BTreeMap;

use durable_core::ids::{ExecutorId, WorkflowId};

use super::Invariant;
use crate::sim::fact::{Fact, Moment};

/// A workflow is run only by processes of its version: that which its start said, or else that of whoever took it first.
#[derive(Debug, Default)]
pub struct VersionsAreKept {
    workflows: BTreeMap<WorkflowId, Option<String>>,
    executors: BTreeMap<ExecutorId, String>,
}

impl Invariant for VersionsAreKept {
    fn name(&self) -> &'static str {
        "versions_are_kept"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Launches { executor, version } => {
                self.executors.insert(executor.clone(), version.clone());
            }
            Fact::Inserted { owner, terms, .. } => {
                let version = terms.version.clone();
                self.workflows.insert(owner.workflow.clone(), version);
            }
            Fact::Taken {
                owner,
                executor,
                terms,
                ..
            } => {
                let known = self.executors.get(executor);
                let taker = known.or(terms.version.as_ref()).cloned();
                let held = self.workflows.entry(owner.workflow.clone()).or_default();
                let wanted = held.get_or_insert_with(|| taker.clone().unwrap_or_default());
                let says = terms.version.as_deref().unwrap_or("none");
                if says != wanted || taker.as_ref() != Some(wanted) {
                    return Err(format!(
                        "{} is of version {wanted}, and {executor} of version {} took it as of version {says}",
                        owner.workflow,
                        taker.as_deref().unwrap_or("none")
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn of(version: &str, fact: Fact) -> Fact {
        with_terms(fact, |terms| terms.version = Some(version.to_owned()))
    }

    fn judged(facts: &[Fact]) -> Result<(), String> {
        let launches = Fact::Launches {
            executor: ExecutorId::from("E1"),
            version: "new".to_owned(),
        };
        let facts = [&[launches][..], facts].concat();
        judge(VersionsAreKept::default(), &facts)
    }

    #[test]
    fn a_workflow_that_another_version_takes_is_found() {
        let as_new = [of("old", enqueued("a", 0)), of("new", claimed("a", "1"))];
        let as_old = [of("old", started("a", "1")), of("old", adopted("a", "2"))];
        let later = [
            enqueued("a", 0),
            of("new", claimed("a", "1")),
            of("old", claimed("a", "2")),
        ];
        for facts in [&as_new[..], &as_old, &later] {
            assert!(judged(facts).is_err());
        }
    }

    #[test]
    fn a_workflow_of_the_same_version_or_of_none_may_be_taken() {
        let same = [of("new", started("a", "1")), of("new", adopted("a", "2"))];
        let none = [enqueued("a", 0), of("new", claimed("a", "1"))];
        for facts in [same, none] {
            assert_eq!(judged(&facts), Ok(()));
        }
    }
}
