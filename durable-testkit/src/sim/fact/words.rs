//! Facts in the words of a timeline.

use std::fmt;

use durable_core::db::NULL_TOPIC;

use super::{Awaits, Ends, Fact, Written};

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inserted {
                owner,
                queue,
                parent,
                ..
            } => {
                write!(f, "{} inserted", owner.workflow)?;
                match queue {
                    Some((queue, 0)) => write!(f, " on queue {queue}")?,
                    Some((queue, priority)) => write!(f, " on queue {queue}, priority {priority}")?,
                    None => write!(f, ", token {}", owner.token)?,
                }
                match parent {
                    Some(parent) => write!(f, ", child of {parent}"),
                    None => Ok(()),
                }
            }
            Self::Taken {
                owner,
                executor,
                queue,
                from,
                ..
            } => {
                let (workflow, token) = (&owner.workflow, &owner.token);
                match (queue, from) {
                    (Some(queue), _) => {
                        write!(
                            f,
                            "{executor} claims {workflow} from queue {queue}, token {token}"
                        )
                    }
                    (None, Some(from)) => {
                        write!(f, "{executor} adopts {workflow} from {from}, token {token}")
                    }
                    (None, None) => write!(f, "{executor} adopts {workflow}, token {token}"),
                }
            }
            Self::Launches { executor, version } => {
                write!(f, "launches as {executor}, version {version}")
            }
            Self::Joined { executor, life, .. } => write!(f, "{executor} joins, life {life}"),
            Self::Requeued { workflow, .. } => write!(f, "{workflow} put back onto its queue"),
            Self::Expired(workflow) => write!(f, "the deadline of {workflow} is over"),
            Self::Cancelled(workflow) => write!(f, "{workflow} cancelled"),
            Self::Resumed(workflow) => write!(f, "{workflow} resumed"),
            Self::Written { owner, what, .. } => {
                write!(f, "{}: {what}, token {}", owner.workflow, owner.token)
            }
            Self::Refused { owner, call } => {
                write!(
                    f,
                    "{}: {call} refused, token {}",
                    owner.workflow, owner.token
                )
            }
            Self::Sent {
                message, to, topic, ..
            } => {
                write!(f, "message {message} for {to}, topic {topic:?}")
            }
            Self::Stands {
                workflow,
                key,
                value,
            } => {
                let value = value.as_deref().unwrap_or("nothing");
                write!(f, "{workflow}: under {key:?} stands {value}")
            }
            Self::Applied { workflow, number } => {
                write!(f, "{workflow}: transaction of step {number} committed")
            }
            Self::Waits { owner, what, .. } => write!(f, "{} waits for {what}", owner.workflow),
            Self::Failed {
                call,
                happened: true,
            } => write!(f, "answer of {call} lost"),
            Self::Failed {
                call,
                happened: false,
            } => write!(f, "request {call} lost"),
            _ => self.tell_of_process(f),
        }
    }
}

impl Fact {
    /// What an engine, a scenario or the world says.
    fn tell_of_process(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execution { owner, attempt } => write!(
                f,
                "{}: execution {attempt} begins, token {}",
                owner.workflow, owner.token
            ),
            Self::Body {
                owner,
                number,
                name,
                attempt,
            } => {
                write!(f, "{}: body of step {number} {name:?}", owner.workflow)?;
                if *attempt > 1 {
                    write!(f, ", attempt {attempt}")?;
                }
                Ok(())
            }
            Self::Replayed { owner, number } => {
                write!(f, "{}: operation {number} replayed", owner.workflow)
            }
            Self::Acknowledged { owner, number } => {
                write!(f, "{}: operation {number} acknowledged", owner.workflow)
            }
            Self::Woke { owner, number } => write!(f, "{}: sleep {number} is over", owner.workflow),
            Self::Dropped { owner, number } => {
                write!(f, "{}: operation {number} dropped", owner.workflow)
            }
            Self::Finished(owner) => write!(f, "{}: end acknowledged", owner.workflow),
            Self::Stopped { owner, reason } => write!(
                f,
                "{}: execution stopped, token {}: {reason}",
                owner.workflow, owner.token
            ),
            Self::Started(workflow) => write!(f, "start of {workflow} acknowledged"),
            Self::Posted { to, .. } => write!(f, "send to {to} acknowledged"),
            Self::Asks { what, .. } => write!(f, "waits for {what}"),
            Self::Answered(_) => f.write_str("waits no longer"),
            Self::Knows { workflow, deadline } => match deadline {
                Some(deadline) => write!(f, "{workflow}: its code has the deadline {deadline}"),
                None => write!(f, "{workflow}: its code has no deadline"),
            },
            Self::Told { workflow, end } => write!(f, "told that {workflow} ended: {end}"),
            Self::Note(text) => f.write_str(text),
            Self::Crashed { down } if down.is_zero() => f.write_str("CRASH, for good"),
            Self::Crashed { down } => write!(f, "CRASH, back after {down:?}"),
            Self::ShutsDown { grace } => write!(f, "SHUTDOWN with a grace of {grace:?}"),
            Self::Left { executor, .. } => write!(f, "{executor} leaves"),
            Self::Restarted => f.write_str("starts again"),
            Self::Paused { lasting } => write!(f, "stands still for {lasting:?}"),
            Self::WokenUp => f.write_str("goes on"),
            Self::Skipped(by) => write!(f, "nothing happens for {by:?}"),
            Self::Hint(what) => f.write_str(what),
            Self::Timed {
                workflow,
                number,
                span: (from, until),
            } => write!(
                f,
                "{workflow}: wait {number} lasts {} ms",
                until.saturating_sub(*from)
            ),
            Self::Ahead(by) if by.is_zero() => f.write_str("the clock is right again"),
            Self::Ahead(by) => write!(f, "the clock is ahead by {by:?}"),
            Self::Calm => f.write_str("no faults from here on"),
            // The database's facts are told by `Display` itself.
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Awaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(topic) if topic == NULL_TOPIC => f.write_str("a message without a topic"),
            Self::Message(topic) => write!(f, "a message, topic {topic:?}"),
            Self::Event(workflow, key) => write!(f, "event {key:?} of {workflow}"),
            Self::End(workflow) => write!(f, "the result of {workflow}"),
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step {
                number,
                name,
                result,
                ..
            } => {
                let how = match result {
                    Ends::Value => "",
                    Ends::Empty => " with nothing",
                    Ends::Error => " with an error",
                };
                write!(f, "operation {number} {name:?} recorded{how}")
            }
            Self::Child { number, child } => {
                write!(f, "operation {number}: start of child {child} recorded")
            }
            Self::Send { number } => write!(f, "operation {number}: send recorded"),
            Self::Receive {
                number,
                message: Some(message),
                ..
            } => {
                write!(f, "operation {number}: message {message} taken")
            }
            Self::Receive {
                number,
                message: None,
                ..
            } => {
                write!(f, "operation {number}: no message came")
            }
            Self::Event { number, key, .. } => {
                write!(f, "operation {number}: event {key:?} published")
            }
            Self::Outcome {
                success: true,
                text,
            } => write!(f, "succeeds with {text}"),
            Self::Outcome {
                success: false,
                text,
            } => write!(f, "fails with {text}"),
            Self::DeadLetter => f.write_str("dead-lettered"),
        }
    }
}
