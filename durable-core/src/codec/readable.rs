//! What any reader of JSON can read, whatever its type: neither nested too deeply, nor with a number out of range, nor with half a surrogate.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// Some JSON that was read and is not kept. Unlike `serde::de::IgnoredAny`, which skips text, it is parsed like a value of a type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

macro_rules! accept {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method<E>(self, _: $type) -> Result<Readable, E> {
            Ok(Readable)
        })*
    };
}

impl<'de> Visitor<'de> for Reader {
    type Value = Readable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    accept! {
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_f64: f64,
        visit_str: &str,
    }

    fn visit_unit<E>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Readable, A::Error> {
        while items.next_element::<Readable>()?.is_some() {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Readable, A::Error> {
        while fields.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(Readable)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    /// Whether it is read as every other type would be.
    fn reads(json: &str) -> bool {
        let read = serde_json::from_str::<Readable>(json).is_ok();
        let value = serde_json::from_str::<serde_json::Value>(json).is_ok();
        assert_eq!(read, value, "{json}");
        read
    }

    #[test]
    fn what_a_value_of_any_shape_can_be_read_from_is_readable() {
        let wide = u128::MAX.to_string();
        for json in [
            "null",
            "[1,-1,1.5,true]",
            r#"{"a":{"b":["\u00e9"]}}"#,
            &wide,
        ] {
            assert!(reads(json), "{json}");
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(reads(&nested(127)));
        // What skips a text skips these as well, and every other reader fails.
        for json in [nested(128).as_str(), "1e999", r#""\ud800""#] {
            assert!(serde_json::from_str::<IgnoredAny>(json).is_ok(), "{json}");
            assert!(!reads(json), "{json}");
        }
    }
}
