//! Finds what JSON cannot hold before it is written, and what would be read back as another value: `serde_json` writes NaN and infinities
//! as `null`, and reads `Some(())` as `None`. It does not read back what is nested deeper than 127 levels, which is found here as well,
//! because writing a value of any depth takes a stack of any size.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

/// How many arrays and objects a value may be inside of. It is stored inside arguments or an error, which add a few levels of their own.
const MAX_DEPTH: u8 = 120;

/// An error at the first float in `value` that is not finite, and where it is nested too deeply.
pub(super) fn storable<T: Serialize + ?Sized>(value: &T) -> Result<(), NotJson> {
    value.serialize(Check::at(0))
}

/// Why a value cannot be JSON.
#[derive(Debug)]
pub(super) struct NotJson(String);

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotJson {}

impl ser::Error for NotJson {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl NotJson {
    /// The same, found inside a field.
    fn inside(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

/// A serializer that writes nothing and looks at floats and depth only.
struct Check {
    depth: u8,
    /// Directly inside a `Some`.
    some: bool,
}

/// Inside a sequence or a tuple.
struct Items {
    index: usize,
    depth: u8,
}

/// Inside a map, a struct or a variant with fields.
struct Fields {
    depth: u8,
}

impl Check {
    fn at(depth: u8) -> Self {
        Self { depth, some: false }
    }

    /// What is written as `null`.
    fn null(self) -> Result<(), NotJson> {
        if !self.some {
            return Ok(());
        }
        Err(NotJson(
            "a Some that holds nothing would be read back as None; use a bool or an enum"
                .to_owned(),
        ))
    }

    fn deeper(self) -> Result<u8, NotJson> {
        if self.depth < MAX_DEPTH {
            return Ok(self.depth + 1);
        }
        Err(NotJson(format!(
            "its JSON is nested more than {MAX_DEPTH} levels deep, where a variant with fields takes two; store it flat, as a list of \
             nodes that name each other"
        )))
    }

    /// Inside the object that a variant with fields is written as: `{"Circle": …}`.
    fn variant(self) -> Result<Self, NotJson> {
        self.deeper().map(Self::at)
    }

    fn items(self) -> Result<Items, NotJson> {
        let depth = self.deeper()?;
        Ok(Items { index: 0, depth })
    }

    fn fields(self) -> Result<Fields, NotJson> {
        let depth = self.deeper()?;
        Ok(Fields { depth })
    }
}

fn float(value: f64) -> Result<(), NotJson> {
    if value.is_finite() {
        return Ok(());
    }
    Err(NotJson(format!(
        "{value} is not JSON; use an Option, or a text, for a number that may not be finite"
    )))
}

macro_rules! accept {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, _: $type) -> Result<(), NotJson> {
            Ok(())
        })*
    };
}

impl Serializer for Check {
    type Ok = ();
    type Error = NotJson;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    accept! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
    }

    fn serialize_f32(self, value: f32) -> Result<(), NotJson> {
        float(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), NotJson> {
        float(value)
    }

    fn serialize_none(self) -> Result<(), NotJson> {
        self.null()
    }

    fn serialize_unit(self) -> Result<(), NotJson> {
        self.null()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotJson> {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotJson> {
        value.serialize(Self { some: true, ..self })
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<(), NotJson> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotJson> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), NotJson> {
        value
            .serialize(self.variant()?)
            .map_err(|error| error.inside(variant))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, NotJson> {
        self.items()
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, NotJson> {
        self.items()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items, NotJson> {
        self.items()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Items, NotJson> {
        self.variant()?.items()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields, NotJson> {
        self.fields()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, NotJson> {
        self.fields()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields, NotJson> {
        self.variant()?.fields()
    }
}

impl Items {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        let (index, depth) = (self.index, self.depth);
        self.index += 1;
        value
            .serialize(Check::at(depth))
            .map_err(|error| error.inside(index))
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident,)*) => {
        $(impl ser::$trait for Items {
            type Ok = ();
            type Error = NotJson;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
                self.item(value)
            }

            fn end(self) -> Result<(), NotJson> {
                Ok(())
            }
        })*
    };
}

items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

impl ser::SerializeMap for Fields {
    type Ok = ();
    type Error = NotJson;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), NotJson> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        let depth = self.depth;
        value.serialize(Check::at(depth))
    }

    fn end(self) -> Result<(), NotJson> {
        Ok(())
    }
}

macro_rules! fields {
    ($($trait:ident,)*) => {
        $(impl ser::$trait for Fields {
            type Ok = ();
            type Error = NotJson;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), NotJson> {
                let depth = self.depth;
                value
                    .serialize(Check::at(depth))
                    .map_err(|error| error.inside(key))
            }

            fn end(self) -> Result<(), NotJson> {
                Ok(())
            }
        })*
    };
}

fields! {
    SerializeStruct,
    SerializeStructVariant,
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    enum Shape {
        Circle { radius: f64 },
        Points(Vec<(f32, f32)>),
    }

    #[test]
    fn a_float_that_is_not_finite_is_found_with_its_place() {
        let circle = Shape::Circle { radius: f64::NAN };
        let found = storable(&circle).unwrap_err().to_string();
        assert!(found.starts_with("radius: NaN is not JSON"), "{found}");
        let points = Shape::Points(vec![(0.0, 1.0), (2.0, f32::INFINITY)]);
        let found = storable(&points).unwrap_err().to_string();
        assert!(
            found.starts_with("Points: 1: 1: inf is not JSON"),
            "{found}"
        );
    }

    #[derive(Serialize)]
    struct Nested(Vec<Nested>);

    #[test]
    fn what_could_not_be_read_back_for_its_depth_is_refused() {
        let deep = |levels: u8| (1..levels).fold(Nested(vec![]), |inner, _| Nested(vec![inner]));
        let written = serde_json::to_string(&deep(MAX_DEPTH)).unwrap();
        assert!(storable(&deep(MAX_DEPTH)).is_ok());
        let wrapped = format!(r#"{{"data":{{"Variant":{written}}}}}"#);
        serde_json::from_str::<serde_json::Value>(&wrapped).unwrap();
        let found = storable(&deep(MAX_DEPTH + 1)).unwrap_err().to_string();
        assert!(found.contains("more than 120 levels deep"), "{found}");
    }

    #[derive(Serialize)]
    enum Tree {
        Leaf,
        Fields { inner: Box<Tree> },
        Items(Box<Tree>, u8),
        One(Box<Tree>),
    }

    #[test]
    fn a_variant_counts_as_many_levels_as_its_json_has() {
        type Wrap = fn(Box<Tree>) -> Tree;
        let fields = |inner| Tree::Fields { inner };
        let kinds: [(Wrap, u8); 3] = [
            (fields, 2),
            (|inner| Tree::Items(inner, 0), 2),
            (Tree::One, 1),
        ];
        for (wrap, levels) in kinds {
            let deep = |n: u8| (0..n).fold(Tree::Leaf, |inner, _| wrap(Box::new(inner)));
            let most = MAX_DEPTH / levels;
            assert!(storable(&deep(most)).is_ok(), "{levels}");
            assert!(storable(&deep(most + 1)).is_err(), "{levels}");
        }
    }

    #[test]
    fn a_some_that_would_come_back_as_none_is_refused() {
        assert!(storable(&Some(())).is_err());
        assert!(storable(&vec![Some(None::<u8>)]).is_err());
    }

    #[test]
    fn everything_else_passes() {
        assert!(storable(&Shape::Circle { radius: 1.5 }).is_ok());
        assert!(
            storable(&(
                Some(Some(1)),
                Some([()]),
                None::<()>,
                Some(Some(())).is_some()
            ))
            .is_ok()
        );
        assert!(storable(&(Some("text"), [1_u8, 2], (), i128::MIN, 'c')).is_ok());
    }
}
