//! Nothing is written for an execution unless the row holds its token.

use std::collections::BTreeMap;

use durable_core::{ids::Owner, state::Status};

use super::Invariant;
use crate::sim::fact::{Fact, Moment, Written};

/// Nothing is written for an execution unless the row is pending under its token, as it was just before the write.
///
/// A write that was made already may be answered as written again: its first answer was lost.
#[derive(Debug, Default)]
pub struct OnlyOwnersWrite(BTreeMap<Owner, Vec<Written>>);

impl Invariant for OnlyOwnersWrite {
    fn name(&self) -> &'static str {
        "only_owners_write"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        let Fact::Written { owner, what, row } = moment.fact else {
            return Ok(());
        };
        let before = self.0.entry(owner.clone()).or_default();
        if before.contains(what) {
            return Ok(());
        }
        before.push(what.clone());
        match row {
            Some((Status::Pending, Some(token))) if *token == owner.token => Ok(()),
            Some((status, token)) => Err(format!(
                "{}: token {} wrote \"{what}\", but the row is {status} and holds {}",
                owner.workflow,
                owner.token,
                token.as_ref().map_or("none", |token| token.as_str()),
            )),
            None => Err(format!(
                "{}: \"{what}\" was written without a row",
                owner.workflow
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use durable_core::ids::OwnerToken;

    use super::{super::history::*, *};

    fn written_over(token: &str, status: Status, held: &str) -> Fact {
        Fact::Written {
            owner: owner("a", token),
            what: step(1),
            row: Some((status, Some(OwnerToken::from(held)))),
        }
    }

    #[test]
    fn a_write_under_another_token_or_of_an_ended_workflow_is_found() {
        for facts in [
            [written_over("1", Status::Pending, "2")],
            [written_over("1", Status::Cancelled, "1")],
        ] {
            assert!(judge(OnlyOwnersWrite::default(), &facts).is_err());
        }
    }

    #[test]
    fn a_write_that_is_answered_again_is_no_second_write() {
        let facts = [
            written_over("1", Status::Pending, "1"),
            written_over("1", Status::Pending, "2"),
        ];
        assert_eq!(judge(OnlyOwnersWrite::default(), &facts), Ok(()));
    }
}
