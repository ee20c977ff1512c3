//! Values to stored text and back: `portable_json`, and codecs of the application over it.
//!
//! Every payload is JSON first (`portable_json`, which all SDKs read), then passes through the application's [`Codec`] if it has one
//! (encryption, compression). The name of what was applied is stored with each row, and a row is read by its own name.
//!
//! Whether a value can be stored is tried: its text is read back once, in the same way and as the same type as a replay reads it, before it
//! is recorded; and what a step gives is the value that was read back, so that an execution goes on with what its replays will see. That
//! is so in every build: reading takes two to three times as long as writing the text does (2 µs for 200 bytes, 0.15 ms for 13 kB), which
//! is little beside what the database takes. Of a message or an event only the reader knows the type; there it is tried whether the text
//! is within what every reader can read.

mod check;
mod envelope;
mod error;
mod readable;

use std::{any::type_name, borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

pub(crate) use envelope::{decode_args, encode_args};
pub use error::RecordedError;
pub(crate) use error::{decode_error, decode_own_error, encode_error};

use crate::{Error, ids::Format, payload::Encoded, workflow::Payload};
use readable::Readable;

/// The name of the default format, which every SDK reads.
pub const PORTABLE_JSON: &str = "portable_json";

/// How many bytes a stored payload may have unless the application says otherwise: 16 MiB.
const DEFAULT_LIMIT: usize = 16 << 20;

/// Turns JSON text into what is stored, and back: for encryption or compression.
///
/// Its name is stored with every row it writes, so a program must go on registering each codec whose rows it still reads.
pub trait Codec: Send + Sync + 'static {
    /// The name that rows carry; must not be `portable_json`.
    fn name(&self) -> &str;

    /// The text to store for `json`. Errors: why it cannot be stored.
    fn encode(&self, json: &str) -> Result<String, String>;

    /// The JSON that was stored as `text`. Also called once for each value that is stored, before it is recorded. Errors: why it cannot
    /// be read.
    fn decode(&self, text: &str) -> Result<String, String>;
}

/// The codecs of an application: all it can read, and the one it writes with.
#[derive(Clone)]
pub(crate) struct Codecs {
    writer: Option<Arc<dyn Codec>>,
    readers: BTreeMap<String, Arc<dyn Codec>>,
    /// The most bytes that one stored payload may have.
    limit: usize,
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.readers.keys()).finish()
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self {
            writer: None,
            readers: BTreeMap::new(),
            limit: DEFAULT_LIMIT,
        }
    }
}

impl Codecs {
    /// Refuses to store payloads of more bytes than this.
    pub(crate) fn limit_to(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Writes with `codec` from now on, and reads it.
    pub(crate) fn write_with(&mut self, codec: Arc<dyn Codec>) {
        self.read_with(Arc::clone(&codec));
        self.writer = Some(codec);
    }

    /// Also reads `codec`.
    pub(crate) fn read_with(&mut self, codec: Arc<dyn Codec>) {
        self.readers.insert(codec.name().to_owned(), codec);
    }

    /// Every format that can be read.
    pub(crate) fn formats(&self) -> Arc<[Format]> {
        std::iter::once(PORTABLE_JSON)
            .chain(self.readers.keys().map(String::as_str))
            .map(Format::from)
            .collect()
    }

    /// A value as it is stored, and what is read back from that; `what` names it in errors.
    pub(crate) fn store<T: Payload>(
        &self,
        what: &dyn fmt::Display,
        value: &T,
    ) -> Result<(T, Encoded), Error> {
        let stored = self.seal(what, to_json(what, value)?)?;
        let read = self.decode(what, &stored);
        let read = read.map_err(|error| self.unreadable(error))?;
        Ok((read, stored))
    }

    /// A value as it is stored, where only its reader knows its type; `what` names it in errors.
    pub(crate) fn encode<T: Serialize + ?Sized>(
        &self,
        what: &dyn fmt::Display,
        value: &T,
    ) -> Result<Encoded, Error> {
        let stored = self.seal(what, to_json(what, value)?)?;
        self.decode::<Readable>(what, &stored)
            .map_err(|error| self.unreadable(error))?;
        Ok(stored)
    }

    /// A stored value; `what` names it in errors.
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        what: &dyn fmt::Display,
        stored: &Encoded,
    ) -> Result<T, Error> {
        from_json(what, &self.open(what, stored)?)
    }

    /// Why a value cannot be stored: `error` is what reading it back has given.
    fn unreadable(&self, error: Error) -> Error {
        let Error::Decode {
            what,
            type_name,
            reason,
        } = error
        else {
            return error;
        };
        let codec = self.writer.as_ref().map(|codec| codec.name());
        let reason = match codec.filter(|name| text_of(name) == type_name) {
            Some(name) => format!("codec {name:?} cannot read what it wrote: {reason}"),
            None => format!(
                "what is written of it cannot be read back as {type_name}: {reason}; change how the type is serialized (a 128-bit integer \
                 inside a `tag`ged, `untagged` or `flatten`ed type has to be a text)"
            ),
        };
        Error::Encode { what, reason }
    }

    /// JSON text as it is stored.
    fn seal(&self, what: &dyn fmt::Display, json: String) -> Result<Encoded, Error> {
        let failed = |reason: String| Error::Encode {
            what: what.to_string(),
            reason,
        };
        let stored = match &self.writer {
            // JSON escapes a NUL.
            None => Encoded::new(json, PORTABLE_JSON),
            Some(codec) => {
                let text = codec.encode(&json).map_err(failed)?;
                if let Some(place) = text.find('\0') {
                    return Err(failed(format!(
                        "its codec {:?} gives a text with a NUL in it, at byte {place}, which no \
                         database takes; let it give base64",
                        codec.name()
                    )));
                }
                Encoded::new(text, codec.name())
            }
        };
        let (size, limit) = (stored.text.len(), self.limit);
        if size > limit {
            return Err(failed(format!(
                "it has {size} bytes, and the limit is {limit}; keep it elsewhere and store where it is, or raise \
                 `.payload_limit(…)`"
            )));
        }
        Ok(stored)
    }

    /// The JSON text of a stored value.
    pub(crate) fn open<'a>(
        &self,
        what: &dyn fmt::Display,
        stored: &'a Encoded,
    ) -> Result<Cow<'a, str>, Error> {
        let name = stored.format.as_ref().map_or("(none)", Format::as_str);
        if name == PORTABLE_JSON {
            return Ok(Cow::Borrowed(&stored.text));
        }
        let codec = self.readers.get(name).ok_or_else(|| Error::UnknownFormat {
            what: what.to_string(),
            format: name.to_owned(),
        })?;
        let json = codec.decode(&stored.text).map_err(|reason| Error::Decode {
            what: what.to_string(),
            type_name: text_of(name),
            reason,
        })?;
        Ok(Cow::Owned(json))
    }
}

/// The type that a codec reads, as errors name it.
fn text_of(codec: &str) -> String {
    format!("{codec} text")
}

/// `value` as JSON. What JSON cannot hold is an error: NaN and infinities, map keys that are no text, more than 120 levels.
/// Integers of any size are written in full; readers in other languages may lose precision past 2^53.
fn to_json<T: Serialize + ?Sized>(what: &dyn fmt::Display, value: &T) -> Result<String, Error> {
    let failed = |reason: String| Error::Encode {
        what: what.to_string(),
        reason,
    };
    check::storable(value).map_err(|error| failed(error.to_string()))?;
    serde_json::to_string(value).map_err(|error| failed(error.to_string()))
}

fn from_json<T: DeserializeOwned>(what: &dyn fmt::Display, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::Decode {
        what: what.to_string(),
        type_name: type_name::<T>().to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    struct Reversed;

    impl Codec for Reversed {
        fn name(&self) -> &'static str {
            "reversed"
        }

        fn encode(&self, json: &str) -> Result<String, String> {
            Ok(json.chars().rev().collect())
        }

        fn decode(&self, text: &str) -> Result<String, String> {
            Ok(text.chars().rev().collect())
        }
    }

    #[test]
    fn a_row_is_read_by_the_name_it_carries() {
        let plain = Codecs::default();
        let mut sealed = Codecs::default();
        sealed.write_with(Arc::new(Reversed));
        let stored = sealed.encode(&"value", &12).unwrap();
        assert_eq!(stored, Encoded::new("21", "reversed"));
        assert_eq!(sealed.decode::<i32>(&"value", &stored), Ok(12));
        let old = plain.encode(&"value", &12).unwrap();
        assert_eq!(sealed.decode::<i32>(&"value", &old), Ok(12));
        let error = plain
            .decode::<i32>(&"output of \"w\"", &stored)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("output of \"w\" is stored as \"reversed\"")
        );
    }

    #[test]
    fn what_is_too_large_as_it_is_stored_is_refused() {
        let mut codecs = Codecs::default();
        codecs.limit_to(7);
        assert!(codecs.encode(&"value", "12345").is_ok());
        let error = codecs.encode(&"value", "123456").unwrap_err().to_string();
        assert!(
            error.starts_with("value cannot be stored: it has 8 bytes, and the limit is 7"),
            "{error}"
        );
        codecs.write_with(Arc::new(Reversed));
        assert!(codecs.encode(&"value", "123456").is_err());
        // What is there is read, however large.
        let stored = Encoded::new("\"123456\"", PORTABLE_JSON);
        assert_eq!(
            codecs.decode::<String>(&"value", &stored),
            Ok("123456".into())
        );
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Amount {
        Wei { value: u128 },
    }

    #[derive(Debug, Serialize, Deserialize)]
    enum Expr {
        Num,
        Not { inner: Box<Expr> },
    }

    #[test]
    fn what_cannot_be_read_back_is_not_stored() {
        let codecs = Codecs::default();
        let refused = |error: Error| {
            assert_eq!(error.code(), "DURABLE_ENCODE");
            error.to_string()
        };
        let amount = Amount::Wei { value: u128::MAX };
        let error = refused(codecs.store(&"value", &amount).unwrap_err());
        assert!(error.contains("has to be a text"), "{error}");
        let deep = (0..70).fold(Expr::Num, |inner, _| Expr::Not {
            inner: Box::new(inner),
        });
        let error = refused(codecs.store(&"value", &deep).unwrap_err());
        assert!(error.contains("store it flat"), "{error}");
        // Its reader may have any type.
        assert!(codecs.encode(&"value", &deep).is_err());
        let raw = RawValue::from_string("[".repeat(128) + &"]".repeat(128)).unwrap();
        refused(codecs.encode(&"value", &raw).unwrap_err());
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        id: u8,
        #[serde(skip)]
        seen: bool,
    }

    #[test]
    fn what_is_stored_goes_on_as_it_will_be_read() {
        let order = Order { id: 1, seen: true };
        let (read, stored) = Codecs::default().store(&"value", &order).unwrap();
        assert_eq!(stored.text, r#"{"id":1}"#);
        assert_eq!(read, Order { id: 1, seen: false });
    }

    struct OneWay;

    impl Codec for OneWay {
        fn name(&self) -> &'static str {
            "one way"
        }

        fn encode(&self, json: &str) -> Result<String, String> {
            Ok(json.to_owned())
        }

        fn decode(&self, _: &str) -> Result<String, String> {
            Err("the key is gone".to_owned())
        }
    }

    #[test]
    fn a_codec_that_cannot_read_what_it_writes_is_found_at_the_write() {
        let mut codecs = Codecs::default();
        codecs.write_with(Arc::new(OneWay));
        let error = codecs.store(&"value", &1).unwrap_err().to_string();
        assert_eq!(
            error,
            r#"value cannot be stored: codec "one way" cannot read what it wrote: the key is gone"#
        );
        assert!(codecs.encode(&"value", &1).is_err());
    }

    #[test]
    fn a_format_of_another_sdk_is_a_typed_error() {
        let stored = Encoded::new("gAROLg==", "py_pickle");
        let error = Codecs::default()
            .decode::<i32>(&"input", &stored)
            .unwrap_err();
        assert!(matches!(error, Error::UnknownFormat { format, .. } if format == "py_pickle"));
    }

    #[test]
    fn floats_come_back_to_the_last_bit() {
        let codecs = Codecs::default();
        let mut bits: u64 = 7;
        for _ in 0..10_000 {
            // A linear congruential step: any spread of bits will do.
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let float = f64::from_bits(bits);
            if float.is_finite() {
                let stored = codecs.encode(&"value", &float).unwrap();
                let read = codecs.decode::<f64>(&"value", &stored).unwrap();
                assert_eq!(read.to_bits(), float.to_bits());
            }
        }
    }

    #[test]
    fn wide_integers_keep_every_digit() {
        let codecs = Codecs::default();
        let wide = i128::MAX;
        let stored = codecs.encode(&"value", &wide).unwrap();
        assert_eq!(codecs.decode::<i128>(&"value", &stored), Ok(wide));
    }
}
