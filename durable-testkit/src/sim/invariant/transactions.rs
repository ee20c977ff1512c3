//! What a transactional step writes happens once.

use std::collections::BTreeSet;

use durable_core::ids::WorkflowId;

use super::Invariant;
use crate::sim::fact::{Fact, Moment};

/// The transaction of a step is committed at most once, whoever runs it and however often; in the system database only together with its
/// checkpoint, which is one fact there.
#[derive(Debug, Default)]
pub struct TransactionsHappenOnce(BTreeSet<(WorkflowId, i32)>);

impl Invariant for TransactionsHappenOnce {
    fn name(&self) -> &'static str {
        "transactions_happen_once"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        if let Fact::Applied { workflow, number } = moment.fact
            && !self.0.insert((workflow.clone(), *number))
        {
            return Err(format!(
                "what step {number} of {workflow} writes was committed twice"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn applied(number: i32) -> Fact {
        Fact::Applied {
            workflow: WorkflowId::from("a"),
            number,
        }
    }

    #[test]
    fn a_second_commit_of_one_step_is_found() {
        let facts = [applied(1), applied(2), applied(1)];
        assert!(judge(TransactionsHappenOnce::default(), &facts).is_err());
    }

    #[test]
    fn one_commit_of_each_step_is_right() {
        let facts = [applied(1), applied(2)];
        assert_eq!(judge(TransactionsHappenOnce::default(), &facts), Ok(()));
    }
}
