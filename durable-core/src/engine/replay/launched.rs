//! Replays by an application that is launched, and its records as their types.

use serde::de::DeserializeOwned;

use super::Replayer;
use crate::{
    App, Error, WorkflowError,
    codec::{PORTABLE_JSON, decode_own_error},
    db::StepResult,
    engine::AppBuilder,
    payload::Encoded,
};

impl Replayer {
    /// Replays by what a launched application has registered; its database is not used.
    pub fn of(app: &App) -> Self {
        let engine = app.engine();
        let mut builder = AppBuilder::new(engine.claimant.application.clone());
        builder.registry = engine.registry.clone();
        builder.states = engine.states.clone();
        builder.codecs = engine.codecs.clone();
        builder.runtime = Some(std::sync::Arc::clone(&engine.runtime));
        builder.version = Some(engine.claimant.version.clone());
        Self::assembled(builder)
    }

    /// A recorded value as its type, `None` for a recorded error; `what` names it in errors. Errors: `UnknownFormat`, `Decode`.
    pub fn read_value<T: DeserializeOwned>(
        &self,
        what: &str,
        result: &StepResult,
    ) -> Result<Option<T>, Error> {
        let codecs = &self.engine.codecs;
        match result {
            StepResult::Output(value) => codecs.decode(&what, value).map(Some),
            StepResult::Nothing => {
                let none = Encoded::new("null", PORTABLE_JSON);
                codecs.decode(&what, &none).map(Some)
            }
            StepResult::Error(_) => Ok(None),
        }
    }

    /// A recorded error as its type, `None` for a recorded value; `what` names it in errors. Errors: `UnknownFormat`, `Decode`.
    pub fn read_error<E: WorkflowError>(
        &self,
        what: &str,
        result: &StepResult,
    ) -> Result<Option<E>, Error> {
        match result {
            StepResult::Error(error) => {
                decode_own_error(&self.engine.codecs, &what, error).map(Some)
            }
            StepResult::Output(_) | StepResult::Nothing => Ok(None),
        }
    }
}
