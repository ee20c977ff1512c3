//! Errors as they are stored: `{"name","message","code","data"}`, readable by every SDK.

use std::{any::type_name, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{Codecs, to_json};
use crate::{Error, any_error::WorkflowError, payload::Encoded};

/// A stored error as every SDK reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedError {
    /// Its name: the variant of an enum, otherwise its type.
    pub name: String,
    /// Its message.
    pub message: String,
    /// Its code; `null` unless another SDK gave one.
    #[serde(default)]
    pub code: Option<Value>,
    /// The error itself, as its type serializes; as text, because a [`Value`] rounds integers past 64 bits.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
    /// What the earlier attempts of a retried step said, in their order; left out when there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_attempts: Vec<String>,
}

/// An error as it is stored; `earlier` are the messages of the attempts before it.
pub(crate) fn encode_error<E: WorkflowError>(
    codecs: &Codecs,
    what: &dyn fmt::Display,
    error: &E,
    earlier: Vec<String>,
) -> Result<Encoded, Error> {
    // What cannot be serialized and read back loses its type, but not its message.
    let data = to_json(what, error)
        .ok()
        .filter(|json| serde_json::from_str::<E>(json).is_ok())
        .and_then(|json| RawValue::from_string(json).ok());
    let value: Option<Value> = data.as_deref().and_then(value_of);
    let recorded = RecordedError {
        name: E::error_name(value.as_ref()),
        message: error.message(),
        code: None,
        data,
        earlier_attempts: earlier,
    };
    codecs.encode(what, &recorded)
}

/// A stored error as the type asked for; the library's own comes as itself, one of another type or program as [`Error::Recorded`].
/// Errors: it is not a stored error at all, or in an unknown format.
pub(crate) fn decode_error<E: WorkflowError>(
    codecs: &Codecs,
    what: &dyn fmt::Display,
    stored: &Encoded,
) -> Result<E, Error> {
    let recorded: RecordedError = codecs.decode(what, stored)?;
    let data = recorded.data.as_deref();
    let typed = data.and_then(|data| serde_json::from_str(data.get()).ok());
    Ok(typed.unwrap_or_else(|| E::from_durable(untyped(&recorded))))
}

/// What the library recorded in the place of an error of the workflow's type, or what another program did.
fn untyped(recorded: &RecordedError) -> Error {
    let data = recorded.data.as_deref().and_then(value_of);
    if data.is_some() && Error::error_name(data.as_ref()) == recorded.name {
        let ours = recorded.data.as_deref().map(RawValue::get);
        if let Some(ours) = ours.and_then(|data| serde_json::from_str(data).ok()) {
            return ours;
        }
    }
    Error::Recorded {
        name: recorded.name.clone(),
        message: recorded.message.clone(),
        code: recorded.code.clone(),
        data,
    }
}

/// As [`decode_error`], for an error that this very code has recorded. Errors: also, it is of another type now, so that a replay would
/// take another way than the first run.
pub(crate) fn decode_own_error<E: WorkflowError>(
    codecs: &Codecs,
    what: &dyn fmt::Display,
    stored: &Encoded,
) -> Result<E, Error> {
    let recorded: RecordedError = codecs.decode(what, stored)?;
    let Some(data) = recorded.data.as_deref() else {
        return decode_error(codecs, what, stored);
    };
    serde_json::from_str(data.get()).or_else(|reason| {
        // What the library recorded in the place of a value is of the library's type.
        let ours: Option<Error> = serde_json::from_str(data.get()).ok();
        let own = ours.map(E::from_durable);
        own.ok_or_else(|| Error::Decode {
            what: what.to_string(),
            type_name: type_name::<E>().to_owned(),
            reason: format!("{reason}, in {:?}", recorded.message),
        })
    })
}

fn value_of(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnyError;

    #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
    enum ShopError {
        #[error("declined with {code}")]
        Declined { code: u8 },
        #[error("{wei} wei short")]
        Overdrawn { wei: u128 },
        #[error(transparent)]
        Durable(#[from] Error),
    }

    #[test]
    fn a_typed_error_comes_back_as_the_same_value() {
        let codecs = Codecs::default();
        let stored =
            encode_error(&codecs, &"error", &ShopError::Declined { code: 7 }, vec![]).unwrap();
        assert_eq!(
            stored.text,
            r#"{"name":"Declined","message":"declined with 7","code":null,"data":{"Declined":{"code":7}}}"#
        );
        assert_eq!(
            decode_error::<ShopError>(&codecs, &"error", &stored).unwrap(),
            ShopError::Declined { code: 7 }
        );
        let inner = ShopError::Durable(Error::ShuttingDown);
        let stored = encode_error(&codecs, &"error", &inner, vec!["first".into()]).unwrap();
        assert!(stored.text.ends_with(r#""earlier_attempts":["first"]}"#));
        assert_eq!(
            decode_error::<ShopError>(&codecs, &"error", &stored).unwrap(),
            inner
        );
    }

    #[test]
    fn an_error_keeps_integers_of_any_width() {
        let codecs = Codecs::default();
        let error = ShopError::Overdrawn { wei: u128::MAX };
        let stored = encode_error(&codecs, &"error", &error, vec![]).unwrap();
        let read = decode_error::<ShopError>(&codecs, &"error", &stored);
        assert_eq!(read.unwrap(), error);
    }

    #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
    #[serde(tag = "kind")]
    enum TaggedError {
        #[error("{wei} wei short")]
        Overdrawn { wei: u128 },
        #[error("durable")]
        Durable(Error),
    }

    impl From<Error> for TaggedError {
        fn from(error: Error) -> Self {
            Self::Durable(error)
        }
    }

    #[test]
    fn an_error_that_could_not_be_read_back_keeps_its_message() {
        let codecs = Codecs::default();
        let error = TaggedError::Overdrawn { wei: u128::MAX };
        let stored = encode_error(&codecs, &"error", &error, vec![]).unwrap();
        let message = error.to_string();
        let first = decode_error::<TaggedError>(&codecs, &"error", &stored).unwrap();
        let replayed = decode_own_error::<TaggedError>(&codecs, &"error", &stored).unwrap();
        for read in [first, replayed] {
            let TaggedError::Durable(Error::Recorded { message: kept, .. }) = read else {
                panic!("{read:?}");
            };
            assert_eq!(kept, message);
        }
    }

    #[test]
    fn what_the_library_recorded_comes_back_as_itself() {
        let codecs = Codecs::default();
        let panicked = Error::WorkflowPanicked {
            workflow: "w".to_owned(),
            message: "no".to_owned(),
        };
        let stored = encode_error(&codecs, &"error", &panicked, vec![]).unwrap();
        let read = decode_error::<ShopError>(&codecs, &"error", &stored).unwrap();
        assert_eq!(read, ShopError::Durable(panicked));
        let any = decode_error::<AnyError>(&codecs, &"error", &stored).unwrap();
        assert_eq!(any.name(), "WorkflowPanicked");
        assert_eq!(any.code(), Some("DURABLE_WORKFLOW_PANICKED"));
        // Another program's error is its own, even if its data happens to be one of ours.
        let text = r#"{"name":"Closed","message":"no","data":"ShuttingDown"}"#;
        let stored = Encoded::new(text, super::super::PORTABLE_JSON);
        let read = decode_error::<ShopError>(&codecs, &"error", &stored).unwrap();
        assert_eq!(read.to_string(), "Closed: no");
    }

    #[test]
    fn an_error_of_another_sdk_keeps_name_message_and_code() {
        let codecs = Codecs::default();
        let text = r#"{"name":"ValueError","message":"no","code":"E1","data":[1]}"#;
        let stored = Encoded::new(text, super::super::PORTABLE_JSON);
        let error = decode_error::<ShopError>(&codecs, &"error", &stored).unwrap();
        assert_eq!(error.to_string(), "ValueError: no");
        let any = decode_error::<AnyError>(&codecs, &"error", &stored).unwrap();
        assert_eq!(
            (any.name(), any.to_string()),
            ("ValueError", "no".to_owned())
        );
    }
}
