//! The arguments of a workflow: `{"positionalArgs":[…],"namedArgs":{…}}`.

use std::{any::type_name, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Codecs, to_json};
use crate::{Error, payload::Encoded, workflow::WorkflowDef};

/// What is read: either key may be missing or null, others are ignored.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "positionalArgs")]
    positional: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default, rename = "namedArgs")]
    named: Option<BTreeMap<String, &'a RawValue>>,
}

/// The arguments of a call as they are stored: by position.
pub(crate) fn encode_args<D: WorkflowDef>(
    codecs: &Codecs,
    input: &D::Input,
) -> Result<Encoded, Error> {
    let what = format!("the input of workflow {:?}", D::NAME);
    let positional = match D::PARAMS.len() {
        0 => "[]".to_owned(),
        1 => format!("[{}]", to_json(&what, input)?),
        _ => to_json(&what, input)?,
    };
    let json = format!(r#"{{"positionalArgs":{positional},"namedArgs":{{}}}}"#);
    let stored = codecs.seal(&what, json)?;
    decode_args::<D>(codecs, Some(&stored)).map_err(|error| codecs.unreadable(error))?;
    Ok(stored)
}

/// The stored arguments of a call, by position or by name.
pub(crate) fn decode_args<D: WorkflowDef>(
    codecs: &Codecs,
    stored: Option<&Encoded>,
) -> Result<D::Input, Error> {
    let what = format!("the input of workflow {:?}", D::NAME);
    let failed = |reason: String| Error::Decode {
        what: what.clone(),
        type_name: type_name::<D::Input>().to_owned(),
        reason,
    };
    let Some(stored) = stored else {
        return Err(failed("none is stored".to_owned()));
    };
    let json = codecs.open(&what, stored)?;
    let envelope: Envelope<'_> =
        serde_json::from_str(&json).map_err(|error| failed(error.to_string()))?;
    let args = arguments(&envelope, D::PARAMS).map_err(failed)?;
    let text = match args.as_slice() {
        [] => "null".to_owned(),
        [one] => (*one).to_owned(),
        several => format!("[{}]", several.join(",")),
    };
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// One JSON text for each parameter; a missing one is `null`, which an `Option` takes.
fn arguments<'a>(envelope: &Envelope<'a>, params: &[&str]) -> Result<Vec<&'a str>, String> {
    let positional = envelope.positional.as_deref().unwrap_or_default();
    if positional.len() > params.len() {
        return Err(format!(
            "{} arguments were given, it takes {}",
            positional.len(),
            params.len()
        ));
    }
    let named = envelope.named.as_ref();
    if let Some(unknown) = named
        .into_iter()
        .flat_map(BTreeMap::keys)
        .find(|name| !params.contains(&name.as_str()))
    {
        return Err(format!("it has no argument named {unknown:?}"));
    }
    Ok(params
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let by_name = || named.and_then(|named| named.get(*name));
            positional
                .get(index)
                .or_else(by_name)
                .map_or("null", |value| value.get())
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::tests::{Pair, Single, Unit};

    fn stored(json: &str) -> Encoded {
        Encoded::new(json, super::super::PORTABLE_JSON)
    }

    #[test]
    fn arguments_are_stored_by_position_and_read_back() {
        let codecs = Codecs::default();
        let one = encode_args::<Single>(&codecs, &"a".to_owned()).unwrap();
        assert_eq!(one.text, r#"{"positionalArgs":["a"],"namedArgs":{}}"#);
        assert_eq!(decode_args::<Single>(&codecs, Some(&one)).unwrap(), "a");
        let two = encode_args::<Pair>(&codecs, &(1, "b".to_owned())).unwrap();
        assert_eq!(two.text, r#"{"positionalArgs":[1,"b"],"namedArgs":{}}"#);
        assert_eq!(
            decode_args::<Pair>(&codecs, Some(&two)).unwrap(),
            (1, "b".to_owned())
        );
        let none = encode_args::<Unit>(&codecs, &()).unwrap();
        assert_eq!(none.text, r#"{"positionalArgs":[],"namedArgs":{}}"#);
        decode_args::<Unit>(&codecs, Some(&none)).unwrap();
    }

    #[test]
    fn another_sdk_may_give_arguments_by_name_or_leave_a_key_out() {
        let codecs = Codecs::default();
        let mixed = stored(r#"{"namedArgs": {"text": "b"}, "positionalArgs": [1], "extra": 1}"#);
        assert_eq!(
            decode_args::<Pair>(&codecs, Some(&mixed)).unwrap(),
            (1, "b".to_owned())
        );
        decode_args::<Unit>(&codecs, Some(&stored("{}"))).unwrap();
        decode_args::<Unit>(&codecs, Some(&stored(r#"{"positionalArgs":null}"#))).unwrap();
    }

    #[test]
    fn wrong_arguments_are_named() {
        let codecs = Codecs::default();
        let read = |json| {
            decode_args::<Pair>(&codecs, Some(&stored(json)))
                .unwrap_err()
                .to_string()
        };
        assert!(
            read(r#"{"positionalArgs":[1,"b",2]}"#).contains("3 arguments were given, it takes 2")
        );
        assert!(read(r#"{"namedArgs":{"txt":"b"}}"#).contains(r#"no argument named "txt""#));
        assert!(read(r#"{"positionalArgs":[1]}"#).contains("null"));
    }
}
