//! What is published last, stands.

use std::collections::BTreeMap;

use durable_core::ids::WorkflowId;

use super::{Invariant, standing::Standings};
use crate::sim::fact::{Fact, Moment, Written};

/// Under each key of a workflow stands what was published there last; an answer that is given again changes nothing.
#[derive(Debug, Default)]
pub struct LastPublishStands {
    standings: Standings,
    last: BTreeMap<(WorkflowId, String), String>,
}

impl Invariant for LastPublishStands {
    fn name(&self) -> &'static str {
        "the_last_publish_stands"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment.fact {
            Fact::Written {
                owner,
                what: Written::Event { number, key, value },
                ..
            } if !self.standings.is_recorded(&owner.workflow, *number) => {
                let place = (owner.workflow.clone(), key.clone());
                self.last.insert(place, value.clone());
            }
            Fact::Stands {
                workflow,
                key,
                value,
            } => {
                let last = self.last.get(&(workflow.clone(), key.clone()));
                if last != value.as_ref() {
                    return Err(format!(
                        "{workflow} published {} under {key:?} last, and there stands {}",
                        last.map_or("nothing", String::as_str),
                        value.as_deref().unwrap_or("nothing")
                    ));
                }
            }
            _ => {}
        }
        self.standings.see(moment.fact);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::history::*, *};

    fn published(number: i32, value: &str, stands: &str) -> [Fact; 2] {
        let event = Written::Event {
            number,
            key: "k".to_owned(),
            value: value.to_owned(),
        };
        let stands = Fact::Stands {
            workflow: WorkflowId::from("a"),
            key: "k".to_owned(),
            value: Some(stands.to_owned()),
        };
        [written("a", "1", event), stands]
    }

    #[test]
    fn an_older_value_that_stands_is_found() {
        let kept = [published(1, "x", "x"), published(2, "y", "x")].concat();
        let again = [
            published(1, "x", "x"),
            published(2, "y", "y"),
            published(1, "x", "x"),
        ];
        for facts in [kept, again.concat()] {
            assert!(judge(LastPublishStands::default(), &facts).is_err());
        }
    }

    #[test]
    fn the_last_value_is_right() {
        let facts = [
            published(1, "x", "x"),
            published(2, "y", "y"),
            published(1, "x", "y"),
        ];
        assert_eq!(judge(LastPublishStands::default(), &facts.concat()), Ok(()));
    }
}
