//! The texts that a call hands over, and the check of those that no database may take.
//!
//! A text of Postgres has no NUL in it, and the server refuses it. Every other backend does the same by [`check`], or what works on one would
//! stop on another.

use super::{
    Abandoned, AbandonedQuery, Adoption, ClaimRequest, DbError, Message, NewWorkflow, Placement,
    Result, Serves, StepRecord, StepResult, StepStamp, Waits, WantedExecutor,
};
use crate::{
    ids::{ExecutorId, Format, Owner, OwnerToken, WorkflowId, WorkflowKey},
    payload::{Encoded, Outcome},
    state::claim::Claimant,
};

/// What has texts in it.
pub trait Texts {
    /// Shows each of its texts to `see`.
    fn each(&self, see: &mut dyn FnMut(&str));
}

/// Refuses a call with a text that a database cannot hold. `doing`: what is asked, as in "record a step".
///
/// Errors: `InvalidArgument`, and nothing is to be done for the call.
pub fn check(doing: &'static str, values: &[&dyn Texts]) -> Result<()> {
    if any_has(values, '\0') {
        return Err(DbError::invalid_argument(doing, "a text has a NUL in it"));
    }
    Ok(())
}

/// Whether any of the texts has the character in it.
pub fn any_has(values: &[&dyn Texts], character: char) -> bool {
    let mut found = false;
    for value in values {
        value.each(&mut |text| found = found || text.contains(character));
    }
    found
}

impl Texts for str {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        see(self);
    }
}

impl Texts for String {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        see(self);
    }
}

impl Texts for usize {
    fn each(&self, _see: &mut dyn FnMut(&str)) {}
}

impl<T: Texts + ?Sized> Texts for &T {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        (**self).each(see);
    }
}

impl<T: Texts> Texts for Option<T> {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        if let Some(value) = self {
            value.each(see);
        }
    }
}

impl<T: Texts> Texts for [T] {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        for value in self {
            value.each(see);
        }
    }
}

impl<A: Texts, B: Texts> Texts for (A, B) {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        self.0.each(see);
        self.1.each(see);
    }
}

/// A name is its text.
macro_rules! names {
    ($($name:ty),*) => {
        $(impl Texts for $name {
            fn each(&self, see: &mut dyn FnMut(&str)) {
                see(self.as_str());
            }
        })*
    };
}
names!(WorkflowId, ExecutorId, OwnerToken, Format);

/// What a struct has of its fields.
macro_rules! fields {
    ($($type:ty: $($field:ident),+;)*) => {
        $(impl Texts for $type {
            fn each(&self, see: &mut dyn FnMut(&str)) {
                $(self.$field.each(see);)+
            }
        })*
    };
}
fields! {
    Encoded: text, format;
    Owner: workflow, token;
    WorkflowKey: name, class, config;
    NewWorkflow: id, key, input, placement, creator, executor, application, version, parent;
    StepStamp: name;
    StepRecord: name, result, child;
    Message: id, destination, topic, payload;
    WantedExecutor: id, application, serves;
    Serves: version, queues;
    Abandoned: workflow, executor, held, queue;
    Adoption: workflow, held, token;
}

impl Texts for Placement {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        match self {
            Self::Here => {}
            Self::Queue { name, .. } => see(name),
        }
    }
}

impl Texts for StepResult {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        match self {
            Self::Output(value) | Self::Error(value) => value.each(see),
            Self::Nothing => {}
        }
    }
}

impl Texts for Outcome {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        let (Self::Success(value) | Self::Failure(value)) = self;
        value.each(see);
    }
}

impl Texts for Claimant {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        self.executor.each(see);
        self.application.each(see);
        self.version.each(see);
        self.runnable.as_ref().each(see);
        self.formats.as_ref().each(see);
    }
}

impl Texts for ClaimRequest {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        self.queue.each(see);
        self.claimant.each(see);
        self.tokens.as_slice().each(see);
    }
}

impl Texts for AbandonedQuery {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        self.claimant.each(see);
        self.after.each(see);
    }
}

impl Texts for Waits {
    fn each(&self, see: &mut dyn FnMut(&str)) {
        self.results.as_slice().each(see);
        self.messages.as_slice().each(see);
        self.events.as_slice().each(see);
        self.owners.as_slice().each(see);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_nul_is_found_wherever_it_is() {
        let ids = [WorkflowId::from("a"), "\0".into()];
        let waits = Waits {
            events: vec![("w".into(), "k\0".to_owned())],
            ..Waits::default()
        };
        let result = StepResult::Error(Encoded::new("\0", "portable_json"));
        let places: [&dyn Texts; 4] = [&Some("a\0"), &waits, &result, &ids.as_slice()];
        for place in places {
            let error = check("look", &[&"fine", place]).unwrap_err();
            assert!(
                error.is_about_arguments() && !error.is_retryable(),
                "{error}"
            );
        }
        check("look", &[&"fine", &None::<String>]).unwrap();
    }
}
