//! What an execution that must do nothing new keeps: the calls that were made.

use std::{
    panic::Location,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{End, MadeCall, Replayed};
use crate::Error;

/// The state of one replay.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In the order of their numbers.
    calls: Vec<MadeCall>,
    /// Numbers of operations that wait for ever, as they have no record.
    missed: Vec<i32>,
    /// The number of the operation that looked for its record last.
    asking: Option<i32>,
    refused_at: Option<i32>,
    unreadable: Vec<(Option<i32>, Error)>,
}

impl Rehearsal {
    /// Notes an operation that has got its numbers.
    pub(crate) fn built(
        &self,
        number: i32,
        count: i32,
        name: &str,
        place: &'static Location<'static>,
    ) {
        self.lock().calls.push(MadeCall {
            number,
            count,
            name: name.to_owned(),
            place,
            asked: false,
        });
    }

    /// Notes that an operation looks for its record; whether it may go on.
    pub(crate) fn asks(&self, number: i32, recorded: bool) -> bool {
        let mut state = self.lock();
        let asking = state.calls.iter_mut().find(|call| call.number == number);
        if let Some(call) = asking {
            call.asked = true;
        }
        state.asking = Some(number);
        if !recorded {
            state.missed.push(number);
        }
        recorded
    }

    /// Notes a value of somebody else that is not of the type asked for.
    pub(crate) fn unreadable(&self, error: Error) {
        let mut state = self.lock();
        let asking = state.asking;
        state.unreadable.push((asking, error));
    }

    /// Notes that the execution is stopped at the operation that has just looked for its record.
    pub(crate) fn refused(&self) {
        let mut state = self.lock();
        state.refused_at = state.refused_at.or(state.asking);
    }

    /// The operations without a record that the code waits for.
    pub(super) fn missed(&self) -> Vec<MadeCall> {
        let state = self.lock();
        let missed = state.calls.iter();
        missed
            .filter(|call| state.missed.contains(&call.number))
            .cloned()
            .collect()
    }

    /// What was kept, with this end.
    pub(super) fn ended(&self, end: End) -> Replayed {
        let state = self.lock();
        Replayed {
            end,
            calls: state.calls.clone(),
            stopped_at: state.refused_at,
            unreadable: state.unreadable.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
