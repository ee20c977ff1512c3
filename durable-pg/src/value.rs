//! What crosses a driver: parameters and rows of a few types.

use crate::DriverError;

/// A parameter of a statement, as the statement names its type.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    /// `text`.
    Text(Option<&'a str>),
    /// `bigint`.
    BigInt(Option<i64>),
    /// `boolean`.
    Bool(bool),
    /// `text[]`.
    Texts(&'a [Option<&'a str>]),
    /// `bigint[]`.
    BigInts(&'a [Option<i64>]),
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Param<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Self::BigInt(Some(number))
    }
}

impl From<Option<i64>> for Param<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::BigInt(number)
    }
}

impl From<bool> for Param<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> From<&'a [Option<&'a str>]> for Param<'a> {
    fn from(texts: &'a [Option<&'a str>]) -> Self {
        Self::Texts(texts)
    }
}

impl<'a> From<&'a Vec<Option<&'a str>>> for Param<'a> {
    fn from(texts: &'a Vec<Option<&'a str>>) -> Self {
        Self::Texts(texts)
    }
}

impl<'a> From<&'a Vec<Option<i64>>> for Param<'a> {
    fn from(numbers: &'a Vec<Option<i64>>) -> Self {
        Self::BigInts(numbers)
    }
}

/// The parameters of a statement, each as [`Param`] takes it.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        [$($crate::Param::from($value)),*].as_slice()
    };
}
pub(crate) use params;

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// None.
    Null,
    /// Of `text` and its like.
    Text(String),
    /// Of an integer type.
    Integer(i64),
    /// Of `boolean`.
    Bool(bool),
}

/// The types that statements of this crate give, by the numbers that the server has for them in every version.
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const NAME: u32 = 19;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const TEXT: u32 = 25;
    pub(super) const OID: u32 = 26;
    pub(super) const BPCHAR: u32 = 1042;
    pub(super) const VARCHAR: u32 = 1043;
}

impl Cell {
    /// The value that the server sent in its binary format, of the type with this number; no bytes are NULL.
    ///
    /// Errors: a type that no statement of this crate gives, or bytes that are not of it.
    pub fn decode(oid: u32, bytes: Option<&[u8]>) -> Result<Self, DriverError> {
        let Some(bytes) = bytes else {
            return Ok(Self::Null);
        };
        let unlike = || {
            DriverError::unlike(format!(
                "a column of type {oid} holds {} bytes that are not of it",
                bytes.len()
            ))
        };
        Ok(match oid {
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => {
                let text = std::str::from_utf8(bytes).map_err(|_| unlike())?;
                Self::Text(text.to_owned())
            }
            oid::INT8 => Self::Integer(i64::from_be_bytes(bytes.try_into().map_err(|_| unlike())?)),
            oid::INT4 => {
                Self::Integer(i32::from_be_bytes(bytes.try_into().map_err(|_| unlike())?).into())
            }
            oid::INT2 => {
                Self::Integer(i16::from_be_bytes(bytes.try_into().map_err(|_| unlike())?).into())
            }
            oid::OID => {
                Self::Integer(u32::from_be_bytes(bytes.try_into().map_err(|_| unlike())?).into())
            }
            oid::BOOL => Self::Bool(bytes.first() == Some(&1)),
            other => {
                return Err(DriverError::unlike(format!(
                    "a column is of type {other}, which is not read"
                )));
            }
        })
    }
}

/// A row: its values in the order of the select list.
#[derive(Clone, Debug)]
pub struct Row {
    cells: std::vec::IntoIter<Cell>,
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Self {
            cells: cells.into_iter(),
        }
    }
}

/// The values are taken out from left to right: a select list and the code that reads it stand beside each other.
impl Row {
    fn next(&mut self) -> Result<Cell, DriverError> {
        self.cells
            .next()
            .ok_or_else(|| DriverError::unlike("a row has too few columns"))
    }

    /// The next value, a text or NULL. Errors: it is something else, or there is none.
    pub fn text(&mut self) -> Result<Option<String>, DriverError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            other => Err(unlike("a text", &other)),
        }
    }

    /// The next value, a text.
    pub(crate) fn some_text(&mut self) -> Result<String, DriverError> {
        self.text()?.ok_or_else(|| unlike("a text", &Cell::Null))
    }

    /// The next value, a name of some kind or NULL.
    pub(crate) fn name<T: From<String>>(&mut self) -> Result<Option<T>, DriverError> {
        Ok(self.text()?.map(T::from))
    }

    /// The next value, an integer or NULL. Errors: it is something else, or there is none.
    pub fn integer(&mut self) -> Result<Option<i64>, DriverError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Integer(number) => Ok(Some(number)),
            other => Err(unlike("an integer", &other)),
        }
    }

    /// The next value, an integer.
    pub(crate) fn some_integer(&mut self) -> Result<i64, DriverError> {
        self.integer()?
            .ok_or_else(|| unlike("an integer", &Cell::Null))
    }

    /// The next value, a boolean.
    pub(crate) fn bool(&mut self) -> Result<bool, DriverError> {
        match self.next()? {
            Cell::Bool(value) => Ok(value),
            other => Err(unlike("a boolean", &other)),
        }
    }
}

fn unlike(wanted: &str, found: &Cell) -> DriverError {
    let found = match found {
        Cell::Null => "NULL",
        Cell::Text(_) => "a text",
        Cell::Integer(_) => "an integer",
        Cell::Bool(_) => "a boolean",
    };
    DriverError::unlike(format!("a column holds {found} where {wanted} is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_sends_is_read_by_its_type() {
        let decoded = |oid, bytes: &[u8]| Cell::decode(oid, Some(bytes)).unwrap();
        assert_eq!(decoded(25, "ä".as_bytes()), Cell::Text("ä".into()));
        assert_eq!(decoded(20, &(-5_i64).to_be_bytes()), Cell::Integer(-5));
        assert_eq!(decoded(23, &7_i32.to_be_bytes()), Cell::Integer(7));
        assert_eq!(decoded(16, &[1]), Cell::Bool(true));
        assert_eq!(decoded(16, &[0]), Cell::Bool(false));
        assert_eq!(Cell::decode(114, None).unwrap(), Cell::Null);
        assert!(Cell::decode(114, Some(b"{}")).is_err());
        assert!(Cell::decode(20, Some(b"abc")).is_err());
        assert!(Cell::decode(25, Some(&[0xff])).is_err());
    }

    #[test]
    fn a_row_is_read_from_left_to_right_and_not_past_its_end() {
        let mut row = Row::from(vec![Cell::Integer(1), Cell::Null]);
        assert_eq!(row.clone().some_integer().unwrap(), 1);
        assert!(row.text().is_err(), "an integer is no text");
        assert_eq!(row.text().unwrap(), None);
        assert!(row.text().is_err(), "there is no third column");
    }
}
