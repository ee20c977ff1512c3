//! Errors that a test wants steps to fail with.

use std::{
    any::{TypeId, type_name},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use durable_core::hook::{Attempt, Injected};

use super::progress::Progress;
use crate::sim::here;

/// The errors that are wanted and not met yet, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wanted: Vec<Wanted>,
    mistakes: Vec<String>,
}

struct Wanted {
    step: String,
    attempt: u32,
    error: Injected,
    type_id: TypeId,
    type_name: &'static str,
}

impl Faults {
    /// The next step of this name that comes to this attempt fails with `error`.
    pub(super) fn add<E: Send + 'static>(&self, step: &str, attempt: u32, error: E) {
        self.lock().wanted.push(Wanted {
            step: step.to_owned(),
            attempt,
            error: Box::new(error),
            type_id: TypeId::of::<E>(),
            type_name: type_name::<E>(),
        });
    }

    /// What an attempt fails with, if it does.
    pub(super) fn meet(&self, attempt: &Attempt<'_>) -> Option<Injected> {
        let mut state = self.lock();
        let nth = state
            .wanted
            .iter()
            .position(|wanted| wanted.step == attempt.name && wanted.attempt == attempt.attempt)?;
        let wanted = state.wanted.remove(nth);
        if wanted.type_id != attempt.error {
            let mistake = format!(
                "{wanted}: the error is a `{}`, and step {:?} fails with `{}`",
                wanted.type_name, attempt.name, attempt.error_name
            );
            state.mistakes.push(mistake);
        }
        here::note(format!(
            "{}: step {} {:?} fails, as the test wants",
            attempt.workflow, attempt.number, attempt.name
        ));
        Some(wanted.error)
    }

    /// What was asked for and could not be, or never happened.
    pub(super) fn mistakes(&self, progress: &Progress) -> Vec<String> {
        let state = self.lock();
        let names: Vec<_> = progress
            .begun()
            .into_iter()
            .map(|name| format!("{name:?}"))
            .collect();
        let names = if names.is_empty() {
            "no step at all".to_owned()
        } else {
            names.join(", ")
        };
        let unmet = state.wanted.iter().map(|wanted| {
            format!("{wanted}: it never happened; the workflows of this test came to {names}")
        });
        state.mistakes.iter().cloned().chain(unmet).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fail_step({:?}, {}, …)", self.step, self.attempt)
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
