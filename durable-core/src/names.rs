//! Names that callers give, checked in one place: at the call, before anything is done with them, and by the same bounds whatever the
//! database.
//!
//! A name stands in indexes, often two or three of them in one, and an index of Postgres takes about 2,700 bytes. So what a caller names
//! has at most [`MAX_NAME`] bytes. No name has a NUL in it, as no text of Postgres can; and none is blank where that would mean "none".
//! What other programs wrote is read and recovered whatever its names are: only what callers give is checked.

use std::borrow::Cow;

use crate::{
    Error,
    db::{DbError, StepRecord, StepResult},
    ids::WorkflowKey,
};

/// The most bytes of a name that a caller gives.
pub const MAX_NAME: usize = 512;

/// The most bytes of an id that is made of others: a child's, of its parent's id and a number.
pub const MAX_MADE_ID: usize = 1024;

/// The most bytes of the name of a class or an instance, whose columns are narrower.
pub const MAX_CLASS: usize = 255;

/// The most bytes of an id that is looked for: other programs may have made longer ones than this library does.
pub const MAX_SOUGHT_ID: usize = 8192;

/// What is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A workflow that is started.
    WorkflowId,
    /// A child that is started without an id of its own.
    ChildId,
    /// A workflow that should be there already.
    SoughtId,
    Workflow,
    Class,
    Instance,
    Step,
    EventKey,
    Topic,
    Queue,
    MessageKey,
    Executor,
    Application,
    Version,
    Codec,
}

impl Name {
    /// Refuses a name that cannot be used, as [`Error::InvalidName`].
    pub(crate) fn check(self, name: &str) -> Result<(), Error> {
        match self.fault(name) {
            None => Ok(()),
            Some(reason) => Err(Error::InvalidName {
                what: self.what().to_owned(),
                name: shortened(name),
                reason,
            }),
        }
    }

    /// The error of a name that the database does not take.
    pub(crate) fn refused_by(self, name: &str, error: &DbError) -> Error {
        Error::InvalidName {
            what: self.what().to_owned(),
            name: shortened(name),
            reason: error.to_string(),
        }
    }

    fn fault(self, name: &str) -> Option<String> {
        if let Some(place) = name.find('\0') {
            return Some(format!(
                "it has a NUL at byte {place}, which no database takes in a text; leave it out"
            ));
        }
        if !self.may_be_blank() && name.trim().is_empty() {
            return Some(format!("it must not be blank; {}", self.instead_of_blank()));
        }
        let (length, limit) = (name.len(), self.limit());
        (length > limit).then(|| {
            format!(
                "{length} bytes is too long: {limit} are the most; {}",
                self.instead_of_long()
            )
        })
    }

    fn what(self) -> &'static str {
        match self {
            Self::WorkflowId | Self::SoughtId => "workflow id",
            Self::ChildId => "a child's workflow id",
            Self::Workflow => "workflow name",
            Self::Class => "class name",
            Self::Instance => "instance name",
            Self::Step => "step name",
            Self::EventKey => "event key",
            Self::Topic => "topic",
            Self::Queue => "queue name",
            Self::MessageKey => "a message's idempotency key",
            Self::Executor => "executor id",
            Self::Application => "application name",
            Self::Version => "application version",
            Self::Codec => "codec name",
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::ChildId => MAX_MADE_ID,
            Self::SoughtId => MAX_SOUGHT_ID,
            Self::Class | Self::Instance => MAX_CLASS,
            _ => MAX_NAME,
        }
    }

    /// Whether a blank one is a name like others. Nobody has a blank id, so who looks for one is told that.
    fn may_be_blank(self) -> bool {
        matches!(
            self,
            Self::SoughtId | Self::Step | Self::EventKey | Self::Topic | Self::Class
        )
    }

    fn instead_of_blank(self) -> &'static str {
        match self {
            Self::WorkflowId => "leave it out to get a random one",
            Self::MessageKey => "use `send` for a message without one",
            Self::Executor => "leave it out to get a free one",
            Self::Version => "leave it out to get a digest of what is registered",
            _ => "give it a name",
        }
    }

    fn instead_of_long(self) -> &'static str {
        match self {
            Self::WorkflowId | Self::MessageKey => {
                "a digest of what it is made of is as good a key"
            }
            Self::ChildId => {
                "it is made of its parent's and a number: give the child one of its own with `.id(…)`"
            }
            _ => "give it a shorter one, and put what varies into a value",
        }
    }
}

/// Refuses what a workflow cannot be stored under.
pub(crate) fn check_key(key: &WorkflowKey) -> Result<(), Error> {
    Name::Workflow.check(&key.name)?;
    if let Some(class) = &key.class {
        Name::Class.check(class)?;
    }
    key.config
        .as_ref()
        .map_or(Ok(()), |config| Name::Instance.check(config))
}

/// As much of a name as an error shows.
fn shortened(name: &str) -> String {
    const SHOWN: usize = 60;
    match name.char_indices().nth(SHOWN) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

/// The name under which an operation's error is recorded where the database does not take its own: a part of it in plain ASCII.
pub(crate) fn stand_in(name: &str) -> Cow<'_, str> {
    const KEPT: usize = 128;
    let is_plain = |c: char| c.is_ascii() && !c.is_ascii_control();
    if name.len() <= KEPT && name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let plain = name.chars().take(KEPT);
    Cow::Owned(plain.map(|c| if is_plain(c) { c } else { '?' }).collect())
}

/// The name that an operation is recorded under.
pub(crate) fn recordable(name: &str) -> Cow<'_, str> {
    match Name::Step.check(name) {
        Ok(()) => Cow::Borrowed(name),
        Err(_) => stand_in(name),
    }
}

/// Whether an operation of this name may have made the record: under its own name, or an error under the name that stands in for it.
#[doc(hidden)]
pub fn is_record_of(name: &str, record: &StepRecord) -> bool {
    let is_error = || matches!(record.result, StepResult::Error(_));
    record.name == name || (is_error() && record.name == stand_in(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Name; 15] = [
        Name::WorkflowId,
        Name::ChildId,
        Name::SoughtId,
        Name::Workflow,
        Name::Class,
        Name::Instance,
        Name::Step,
        Name::EventKey,
        Name::Topic,
        Name::Queue,
        Name::MessageKey,
        Name::Executor,
        Name::Application,
        Name::Version,
        Name::Codec,
    ];

    #[test]
    fn a_name_of_any_kind_has_no_nul_and_at_most_its_limit_in_bytes() {
        for name in ALL {
            let limit = name.limit();
            name.check(&"x".repeat(limit)).unwrap();
            let error = name.check(&"x".repeat(limit + 1)).unwrap_err();
            assert_eq!(error.code(), "DURABLE_INVALID_NAME");
            let text = error.to_string();
            assert!(text.contains(&format!("{limit} are the most")), "{text}");
            assert!(text.len() < 400, "{text}");
            // Bytes, not characters.
            name.check(&"é".repeat(limit / 2 + 1)).unwrap_err();
            let error = name.check("a\0b").unwrap_err().to_string();
            assert!(
                error.contains("NUL at byte 1") && error.contains(name.what()),
                "{error}"
            );
            assert_eq!(name.check(" ").is_ok(), name.may_be_blank(), "{name:?}");
        }
    }

    #[test]
    fn every_index_takes_the_names_that_stand_in_it_together() {
        // What Postgres takes in a row of an index, less its header and what aligns its columns.
        const INDEX: usize = 2704 - 96;
        let message_id = MAX_NAME + "::".len() + MAX_MADE_ID;
        for together in [
            message_id,
            // Mailboxes and events.
            MAX_MADE_ID + MAX_NAME,
            // Operations by name, and versions, each with the application.
            MAX_NAME + MAX_NAME,
            // A queue with its partitions: queue, partition, id, application.
            MAX_NAME + MAX_NAME + MAX_MADE_ID + MAX_NAME,
        ] {
            assert!(together <= INDEX, "{together}");
        }
    }

    #[test]
    fn an_error_of_a_name_that_cannot_be_stored_is_recorded_under_one_that_can() {
        let record = |name: &str, result| StepRecord {
            number: 1,
            name: name.to_owned(),
            result,
            child: None,
            started_at: None,
            completed_at: None,
        };
        let error = || StepResult::Error(crate::payload::Encoded::new("{}", "portable_json"));
        for name in ["plain", "x\0y", "höher", &"x".repeat(600)] {
            let stand_in = stand_in(name);
            assert!(stand_in.len() <= 128 && !stand_in.contains('\0'));
            assert!(is_record_of(name, &record(&stand_in, error())));
            assert!(is_record_of(name, &record(name, StepResult::Nothing)));
            assert!(!is_record_of(name, &record("other", error())));
        }
        assert!(!is_record_of(
            "höher",
            &record("h?her", StepResult::Nothing)
        ));
    }
}
