//! A statement as diesel takes it: its text as it is, prepared once for each connection.

use std::sync::Arc;

use diesel::{
    QueryResult,
    deserialize::{self, QueryableByName},
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    row::{Field as _, NamedRow},
    sql_types::{Array, BigInt, Bool, Nullable, Text, Untyped},
};
use durable_pg::{Cell, Param, Row};

/// A text with `$1` and so on written out, and the parameters. `sql_query` would do the same, but is prepared at every call.
pub(crate) struct Statement<'a> {
    pub(crate) text: Arc<str>,
    pub(crate) parameters: &'a [Param<'a>],
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&self.text);
        for parameter in self.parameters {
            match parameter {
                Param::Text(text) => out.push_bind_param_value_only::<Nullable<Text>, _>(text)?,
                Param::BigInt(number) => {
                    out.push_bind_param_value_only::<Nullable<BigInt>, _>(number)?;
                }
                Param::Bool(value) => out.push_bind_param_value_only::<Bool, _>(value)?,
                Param::Texts(texts) => {
                    out.push_bind_param_value_only::<Array<Nullable<Text>>, _>(*texts)?;
                }
                Param::BigInts(numbers) => {
                    out.push_bind_param_value_only::<Array<Nullable<BigInt>>, _>(*numbers)?;
                }
            }
        }
        Ok(())
    }
}

/// Without a static id it is cached by its text.
impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

/// A row of whatever columns.
pub(crate) struct AnyRow(pub(crate) Row);

impl QueryableByName<Pg> for AnyRow {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        let mut cells = Vec::with_capacity(row.field_count());
        for n in 0..row.field_count() {
            let Some(field) = diesel::row::Row::get(row, n) else {
                break;
            };
            cells.push(match field.value() {
                None => Cell::Null,
                Some(value) => Cell::decode(value.get_oid().get(), Some(value.as_bytes()))?,
            });
        }
        Ok(Self(cells.into()))
    }
}
