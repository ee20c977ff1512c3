//! What a replay says of the code.

use std::fmt;

use durable_core::{
    Error,
    db::StepRecord,
    names::is_record_of,
    payload::Outcome,
    replay::{End, MadeCall, Replayed, Replayer},
    state::Status,
};
use serde_json::Value;

use super::History;

/// What is said of an end that the code goes beyond.
const ENDED: &str = ", and nothing more";

/// How much of a value is shown.
const SHOWN: usize = 160;

/// How code and history fit together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The workflow has ended, and the code makes all its operations and comes to its outcome.
    Safe,
    /// The workflow has not ended, and the code fits as far as the history goes.
    SafeSoFar {
        /// The calls that would come next, with their places; none: the code returns.
        next: Vec<String>,
    },
    /// The code does something else than what is recorded: production would stop such a workflow, or take another way.
    Differs(Difference),
    /// The code comes to the recorded outcome, or returns before there is one, without operations that are recorded: production ends such a
    /// workflow with a warning, and what they did stays done.
    LeavesOut(LeftOut),
    /// A stored value is not of the type that the code asks for.
    CannotDecode {
        /// Which value, which type, and why not.
        error: Error,
        /// The line of the workflow's code that asks for it; `None` for the input and the outcome.
        place: Option<String>,
    },
    /// The workflow is not registered.
    NotRegistered,
    /// It could not be replayed: state is missing, the code waits for something that is no durable operation, or breaks a rule of durable
    /// code.
    CannotRun(String),
}

impl Verdict {
    /// What tells kinds of findings apart, whatever the values of one workflow are.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Differs(Difference {
                number,
                recorded,
                called,
                place,
                ..
            }) => match place {
                Some(place) => {
                    let recorded = if recorded.contains(ENDED) {
                        ENDED
                    } else {
                        recorded
                    };
                    format!("{number:?} {place} {recorded} {called}")
                }
                None => format!("{number:?}"),
            },
            Self::LeavesOut(left_out) => format!("leaves out {:?}", left_out.operations),
            Self::CannotDecode { error, place } => match error {
                Error::Decode { type_name, .. } => format!("{place:?} {type_name}"),
                Error::UnknownFormat { format, .. } => format!("{place:?} as {format}"),
                _ => format!("{place:?}"),
            },
            other => other.to_string(),
        }
    }

    /// Whether the code can be deployed as far as this workflow is concerned.
    pub fn is_safe(&self) -> bool {
        matches!(self, Self::Safe | Self::SafeSoFar { .. })
    }
}

/// Recorded operations that the code does not make, after all that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Number and name of each.
    pub operations: Vec<(i32, String)>,
    /// What the code does instead.
    pub called: String,
    /// At most two calls before them, with their lines.
    pub before: Vec<String>,
    /// What may have led there: a value from outside that could not be read.
    pub note: Option<String>,
}

/// Where code and history part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The number of the operation; `None`: the outcome.
    pub number: Option<i32>,
    /// What the history says.
    pub recorded: String,
    /// What the code does instead.
    pub called: String,
    /// The line of the workflow's code; `None` where the code makes no call.
    pub place: Option<String>,
    /// At most two calls before it that agree, with their lines.
    pub before: Vec<String>,
    /// What may have led there: a value from outside that could not be read.
    pub note: Option<String>,
}

/// How many operations that are left out are shown.
const OPERATIONS: usize = 10;

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.operations.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "leaves out {count} recorded operation{plural}")?;
        for call in &self.before {
            write!(f, "\n      {call}")?;
        }
        for (number, name) in self.operations.iter().take(OPERATIONS) {
            write!(f, "\n    - recorded: {name:?} as operation {number}")?;
        }
        if count > OPERATIONS {
            write!(f, "\n    - and {} more", count - OPERATIONS)?;
        }
        write!(f, "\n    + the code: {}", self.called)?;
        match &self.note {
            Some(note) => write!(f, "\n    note: {note}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "differs at operation {number}")?,
            None => f.write_str("differs in its outcome")?,
        }
        for call in &self.before {
            write!(f, "\n      {call}")?;
        }
        write!(f, "\n    - recorded: {}", self.recorded)?;
        write!(f, "\n    + the code: {}", self.called)?;
        if let Some(place) = &self.place {
            write!(f, " (at {place})")?;
        }
        if let Some(note) = &self.note {
            write!(f, "\n    note: {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Safe => f.write_str("is safe"),
            Self::SafeSoFar { next } if next.is_empty() => {
                f.write_str("is safe so far: the history ends before the code returns")
            }
            Self::SafeSoFar { next } => {
                write!(
                    f,
                    "is safe so far: the history ends before {}",
                    next.join(", ")
                )
            }
            Self::Differs(difference) => difference.fmt(f),
            Self::LeavesOut(left_out) => left_out.fmt(f),
            Self::CannotDecode { error, place } => {
                write!(f, "cannot be decoded\n    {error}")?;
                match place {
                    Some(place) => write!(f, " (at {place})"),
                    None => Ok(()),
                }
            }
            Self::NotRegistered => f.write_str(
                "is not registered; add `.workflow(…)` (for a method `.instance(…)`) to the builder",
            ),
            Self::CannotRun(why) => write!(f, "cannot be replayed\n    {why}"),
        }
    }
}

/// Judges a replay of this history.
pub(super) fn judge(replayer: &Replayer, history: &History, replayed: Replayed) -> Verdict {
    let trial = Trial {
        replayer,
        history,
        calls: &replayed.calls,
        unreadable: replayed.unreadable.first(),
        stopped_at: replayed.stopped_at,
    };
    match replayed.end {
        End::NotRegistered => Verdict::NotRegistered,
        End::Input { error, outcome } => trial.input(error, &outcome),
        End::Stopped(error) => trial.stopped(error),
        End::Stuck => Verdict::CannotRun(
            "its code waits for something that is no durable operation, such as a timer or a task of its own".to_owned(),
        ),
        End::HistoryEnds(missed) => trial.history_ends(&missed),
        End::Returned(outcome) => trial.returned(&outcome, false),
        End::Panicked { outcome, .. } => trial.returned(&outcome, true),
    }
}

/// A replay that has ended, and what it is judged by.
struct Trial<'a> {
    replayer: &'a Replayer,
    history: &'a History,
    calls: &'a [MadeCall],
    unreadable: Option<&'a (Option<i32>, Error)>,
    stopped_at: Option<i32>,
}

impl Trial<'_> {
    fn has_ended(&self) -> bool {
        matches!(self.history.row.status, Status::Success | Status::Error)
    }

    /// Arguments that cannot be read are an outcome of their own, if they never could.
    fn input(&self, error: Error, outcome: &Outcome) -> Verdict {
        let recorded = self.history.outcome.as_ref();
        match recorded {
            Some(recorded) if self.history.steps.is_empty() && self.agree(recorded, outcome) => {
                Verdict::Safe
            }
            _ => Verdict::CannotDecode { error, place: None },
        }
    }

    fn stopped(&self, error: Error) -> Verdict {
        match error {
            Error::UnexpectedStep {
                number,
                recorded,
                called,
                place,
                ..
            } => self.differs(Difference {
                number: Some(number),
                recorded,
                called: format!("calls {called}"),
                place: Some(place),
                before: self.before(number),
                note: None,
            }),
            error @ (Error::Decode { .. } | Error::UnknownFormat { .. }) => {
                let place = self.place(self.stopped_at);
                Verdict::CannotDecode { error, place }
            }
            error => Verdict::CannotRun(error.to_string()),
        }
    }

    fn history_ends(&self, missed: &[MadeCall]) -> Verdict {
        if let Some(misnamed) = self.misnamed() {
            return misnamed;
        }
        let next: Vec<String> = missed.iter().map(described).collect();
        let recorded = match self.unasked().next() {
            Some(step) => format!(
                "no operation of this number, and {} after it",
                numbered(step)
            ),
            None if self.has_ended() => format!("{}{ENDED}", self.ended()),
            None => {
                return match self.unreadable {
                    Some((number, error)) => Verdict::CannotDecode {
                        error: error.clone(),
                        place: self.place(*number),
                    },
                    None => Verdict::SafeSoFar { next },
                };
            }
        };
        let first = missed.first();
        self.differs(Difference {
            number: first.map(|call| call.number),
            recorded,
            called: first.map_or_else(String::new, |call| format!("calls {:?}", call.name)),
            place: first.map(|call| call.place.to_string()),
            before: first.map_or_else(Vec::new, |call| self.before(call.number)),
            note: None,
        })
    }

    fn returned(&self, outcome: &Outcome, panicked: bool) -> Verdict {
        if let Some(misnamed) = self.misnamed() {
            return misnamed;
        }
        if let Some(step) = self.unasked().next() {
            let called = format!(
                "{} after {}; {} recorded",
                self.shown(outcome),
                counted(self.calls.len()),
                self.history.steps.len()
            );
            let recorded = self.history.outcome.as_ref();
            if !panicked && recorded.is_none_or(|recorded| self.agree(recorded, outcome)) {
                return self.leaves_out(called);
            }
            return self.differs(Difference {
                number: Some(step.number),
                recorded: numbered(step),
                called,
                place: None,
                before: self.before(i32::MAX),
                note: None,
            });
        }
        let Some(recorded) = &self.history.outcome else {
            return match (panicked, self.has_ended()) {
                (false, true) => Verdict::Safe,
                (false, false) => Verdict::SafeSoFar { next: Vec::new() },
                (true, _) => self.differs(Difference {
                    number: None,
                    recorded: "no outcome".to_owned(),
                    called: self.shown(outcome),
                    place: None,
                    before: self.before(i32::MAX),
                    note: None,
                }),
            };
        };
        if let Err(error) = self.replayer.read_outcome(&self.history.row.key, recorded) {
            return Verdict::CannotDecode { error, place: None };
        }
        if self.agree(recorded, outcome) {
            return Verdict::Safe;
        }
        self.differs(Difference {
            number: None,
            recorded: self.shown(recorded),
            called: self.shown(outcome),
            place: None,
            before: self.before(i32::MAX),
            note: None,
        })
    }

    fn leaves_out(&self, called: String) -> Verdict {
        let operations = self.unasked();
        Verdict::LeavesOut(LeftOut {
            operations: operations
                .map(|step| (step.number, step.name.clone()))
                .collect(),
            called,
            before: self.before(i32::MAX),
            note: self.unreadable.map(|(_, error)| error.to_string()),
        })
    }

    fn differs(&self, mut difference: Difference) -> Verdict {
        difference.note = self.unreadable.map(|(_, error)| error.to_string());
        Verdict::Differs(difference)
    }

    /// An operation that was built and never awaited, and is recorded as another.
    fn misnamed(&self) -> Option<Verdict> {
        let dropped = self.calls.iter().filter(|call| !call.asked);
        let (call, step) = dropped
            .filter_map(|call| Some((call, self.step(call.number)?)))
            .find(|(call, step)| !is_record_of(&call.name, step))?;
        Some(self.differs(Difference {
            number: Some(call.number),
            recorded: format!("{:?}", step.name),
            called: format!("builds {:?}", call.name),
            place: Some(call.place.to_string()),
            before: self.before(call.number),
            note: None,
        }))
    }

    /// Where the code makes the call of this number.
    fn place(&self, number: Option<i32>) -> Option<String> {
        let call = self.calls.iter().find(|call| Some(call.number) == number)?;
        Some(call.place.to_string())
    }

    fn step(&self, number: i32) -> Option<&StepRecord> {
        self.history.steps.iter().find(|step| step.number == number)
    }

    /// The recorded operations whose numbers the code has not come to.
    fn unasked(&self) -> impl Iterator<Item = &StepRecord> {
        let last = self
            .calls
            .last()
            .map_or(0, |call| call.number + call.count - 1);
        let steps = self.history.steps.iter();
        steps.filter(move |step| step.number > last)
    }

    /// At most two calls before this number.
    fn before(&self, number: i32) -> Vec<String> {
        let before: Vec<_> = self
            .calls
            .iter()
            .filter(|call| call.number < number)
            .collect();
        let from = before.len().saturating_sub(2);
        before[from..]
            .iter()
            .map(|call| format!("{} {}", call.number, described(call)))
            .collect()
    }

    /// The end of a workflow that has ended, in words.
    fn ended(&self) -> String {
        let outcome = self.history.outcome.as_ref();
        let ended = outcome.map_or_else(
            || self.history.row.status.to_string(),
            |outcome| self.shown(outcome),
        );
        format!("{ended} after {}", counted(self.history.steps.len()))
    }

    fn agree(&self, recorded: &Outcome, now: &Outcome) -> bool {
        match (recorded, now) {
            (Outcome::Success(_), Outcome::Success(_))
            | (Outcome::Failure(_), Outcome::Failure(_)) => self.json(recorded) == self.json(now),
            _ => false,
        }
    }

    /// An outcome as JSON, without what may differ from run to run; as text where it is none.
    fn json(&self, outcome: &Outcome) -> Value {
        let (Outcome::Success(stored) | Outcome::Failure(stored)) = outcome;
        let Ok(text) = self.replayer.json("the outcome", stored) else {
            return Value::String(stored.text.clone());
        };
        let mut value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if let (Outcome::Failure(_), Value::Object(error)) = (outcome, &mut value) {
            error.remove("earlier_attempts");
            // An absent code or data and a null one are the same.
            error.retain(|_, part| !part.is_null());
        }
        value
    }

    fn shown(&self, outcome: &Outcome) -> String {
        let json = self.json(outcome);
        match outcome {
            Outcome::Success(_) => format!("returns {}", short(&json.to_string())),
            Outcome::Failure(_) => {
                let part = |name| json.get(name).and_then(Value::as_str);
                match (part("name"), part("message")) {
                    (Some(name), Some(message)) => {
                        format!("fails with {name}: {}", short(message))
                    }
                    _ => format!("fails with {}", short(&json.to_string())),
                }
            }
        }
    }
}

fn described(call: &MadeCall) -> String {
    format!("{:?} (at {})", call.name, call.place)
}

fn numbered(step: &StepRecord) -> String {
    let (name, number) = (&step.name, step.number);
    match &step.child {
        Some(child) if name.starts_with("DBOS.") => {
            format!(
                "{name:?} of child {:?} as operation {number}",
                child.as_str()
            )
        }
        Some(_) => format!("child workflow {name:?} as operation {number}"),
        None => format!("{name:?} as operation {number}"),
    }
}

fn counted(operations: usize) -> String {
    format!(
        "{operations} operation{}",
        if operations == 1 { "" } else { "s" }
    )
}

fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
