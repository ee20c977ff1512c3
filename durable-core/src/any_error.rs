//! An error for workflows that want no error type of their own.

use std::{error::Error as StdError, fmt};

use serde::{Deserialize, Serialize};

use crate::Error;

/// Any error, by `?`: keeps its name, its message and the messages of its sources over a replay.
///
/// For workflows and steps that need no error type of their own. Like other errors of this kind it is no
/// [`std::error::Error`] itself; [`into_boxed`](Self::into_boxed) makes one of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyError {
    name: String,
    message: String,
    sources: Vec<String>,
}

impl AnyError {
    /// An error of its own, with nothing behind it.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self {
            name: "AnyError".to_owned(),
            message: message.to_string(),
            sources: Vec::new(),
        }
    }

    /// The type's name of the error that it was made from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The messages of the sources, outermost first.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// This error as a boxed [`std::error::Error`], its sources in its message.
    pub fn into_boxed(self) -> Box<dyn StdError + Send + Sync> {
        format!("{self:?}").into()
    }
}

impl<E: StdError> From<E> for AnyError {
    fn from(error: E) -> Self {
        let mut sources = Vec::new();
        let mut next = error.source();
        while let Some(source) = next {
            sources.push(source.to_string());
            next = source.source();
        }
        Self {
            name: short_type_name::<E>(),
            message: error.to_string(),
            sources,
        }
    }
}

impl From<AnyError> for Box<dyn StdError + Send + Sync> {
    fn from(error: AnyError) -> Self {
        error.into_boxed()
    }
}

impl From<AnyError> for Box<dyn StdError> {
    fn from(error: AnyError) -> Self {
        error.into_boxed()
    }
}

impl fmt::Display for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The message and those of its sources, as a program prints it at its end.
impl fmt::Debug for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for source in &self.sources {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

/// An error type that workflows and steps can return.
///
/// Implemented for [`AnyError`] and for every error type that can be stored, read back and made from a [`durable::Error`](Error).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a workflow or step",
    label = "this error type cannot be checkpointed",
    note = "it must be a `std::error::Error`, derive `serde::Serialize` and `serde::Deserialize`, and hold the library's own error in a variant:\n    #[error(transparent)]\n    Durable(#[from] durable::Error),",
    note = "or return `durable::AnyError`, which takes any error by `?`"
)]
pub trait WorkflowError:
    Serialize + serde::de::DeserializeOwned + Send + Sync + Sized + 'static
{
    /// What it says.
    #[doc(hidden)]
    fn message(&self) -> String;

    /// What another program sees as its name.
    #[doc(hidden)]
    fn error_name(data: Option<&serde_json::Value>) -> String {
        variant_of(data).unwrap_or_else(short_type_name::<Self>)
    }

    /// The error as the standard library knows it, with the sources it still has.
    #[doc(hidden)]
    fn as_std(&self) -> Option<&(dyn StdError + 'static)> {
        None
    }

    /// What it says, and what its sources say.
    #[doc(hidden)]
    fn texts(&self) -> Vec<String> {
        let mut texts = vec![self.message()];
        let mut next = self.as_std().and_then(StdError::source);
        while let Some(source) = next {
            texts.push(source.to_string());
            next = source.source();
        }
        texts
    }

    /// Made of an error of the library, or of one whose stored data is not of this type.
    #[doc(hidden)]
    fn from_durable(error: Error) -> Self;
}

// So that an error type that misses something is told all that it needs, and not the first bound alone.
#[diagnostic::do_not_recommend]
impl<E> WorkflowError for E
where
    E: StdError + Serialize + serde::de::DeserializeOwned + From<Error> + Send + Sync + 'static,
{
    fn message(&self) -> String {
        self.to_string()
    }

    fn as_std(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self)
    }

    fn from_durable(error: Error) -> Self {
        Self::from(error)
    }
}

impl WorkflowError for AnyError {
    fn message(&self) -> String {
        self.message.clone()
    }

    fn texts(&self) -> Vec<String> {
        let own = std::iter::once(&self.message);
        own.chain(&self.sources).cloned().collect()
    }

    fn error_name(data: Option<&serde_json::Value>) -> String {
        data.and_then(|data| data.get("name")?.as_str().map(str::to_owned))
            .unwrap_or_else(short_type_name::<Self>)
    }

    fn from_durable(error: Error) -> Self {
        match error {
            Error::Recorded { name, message, .. } => Self {
                name,
                message,
                sources: Vec::new(),
            },
            other => Self::from(other),
        }
    }
}

/// The variant of an enum, as serde writes it unless told otherwise: a text, or an object with one key.
fn variant_of(data: Option<&serde_json::Value>) -> Option<String> {
    match data? {
        serde_json::Value::String(variant) => Some(variant.clone()),
        serde_json::Value::Object(map) if map.len() == 1 => map.keys().next().cloned(),
        _ => None,
    }
}

/// The last segment of a type's path, without its parameters.
pub(crate) fn short_type_name<T: ?Sized>() -> String {
    let name = std::any::type_name::<T>();
    let base = name.split('<').next().unwrap_or(name);
    base.rsplit("::").next().unwrap_or(base).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_keeps_name_message_and_sources() {
        fn fails() -> Result<(), AnyError> {
            "x".parse::<i32>()?;
            Ok(())
        }
        let error = fails().unwrap_err();
        assert_eq!(error.name(), "ParseIntError");
        assert_eq!(error.to_string(), "invalid digit found in string");
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<AnyError>(&text).unwrap(), error);
    }

    #[test]
    fn the_name_of_an_error_is_its_variant() {
        let unit = serde_json::json!("OutOfStock");
        let tuple = serde_json::json!({"Declined": {"code": 7}});
        assert_eq!(Error::error_name(Some(&unit)), "OutOfStock");
        assert_eq!(Error::error_name(Some(&tuple)), "Declined");
        assert_eq!(Error::error_name(None), "Error");
    }
}
