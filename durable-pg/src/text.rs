//! Statements as they are sent: written for the schema `dbos`, and rendered for the schema that is in use.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::DriverError;

/// The schema that statements of this crate are written for.
pub(crate) const DEFAULT_SCHEMA: &str = "dbos";

/// How many bytes of a name the server keeps.
const MAX_NAME: usize = 63;

/// The name of the schema that holds the system tables.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SchemaName(Arc<str>);

impl SchemaName {
    /// Errors: a name that the server would not keep as it is.
    pub(crate) fn new(name: &str) -> Result<Self, DriverError> {
        let why = if name.is_empty() {
            "it is empty"
        } else if name.len() > MAX_NAME {
            "it is longer than 63 bytes"
        } else if name.contains('\0') {
            "it has a NUL in it"
        } else if name.starts_with("pg_") || name == "information_schema" {
            "it is the server's own"
        } else {
            return Ok(Self(name.into()));
        };
        Err(DriverError::settings(format!(
            "{name:?} cannot be the schema of the system tables: {why}; choose another, as in \"dbos\""
        )))
    }

    /// The name as it is.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a statement takes it.
    pub(crate) fn quoted(&self) -> String {
        quote(&self.0)
    }

    /// A text that is written for the schema `dbos`, for this one.
    pub(crate) fn render(&self, text: &str) -> String {
        if self.is_default() {
            return text.to_owned();
        }
        text.replace("dbos.", &format!("{}.", self.quoted()))
    }

    fn is_default(&self) -> bool {
        *self.0 == *DEFAULT_SCHEMA
    }
}

impl fmt::Debug for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A name as a statement takes it, whatever is in it.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The statements of one schema, each rendered once.
#[derive(Debug)]
pub(crate) struct Texts {
    schema: SchemaName,
    rendered: Mutex<HashMap<&'static str, Arc<str>>>,
}

impl Texts {
    pub(crate) fn new(schema: SchemaName) -> Self {
        Self {
            schema,
            rendered: Mutex::default(),
        }
    }

    pub(crate) fn schema(&self) -> &SchemaName {
        &self.schema
    }

    /// The statement for this schema.
    pub(crate) fn get(&self, statement: &'static str) -> Arc<str> {
        // Whoever panicked left the map whole: each change of it is one call.
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let text = rendered
            .entry(statement)
            .or_insert_with(|| self.schema.render(statement).into());
        Arc::clone(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_rendered_for_the_schema_and_the_name_is_quoted() {
        let schema = |name| SchemaName::new(name).unwrap();
        let statement = "SELECT 'DBOS.sleep' FROM dbos.queues";
        assert_eq!(schema("dbos").render(statement), statement);
        assert_eq!(
            schema("a \"b\"").render(statement),
            "SELECT 'DBOS.sleep' FROM \"a \"\"b\"\"\".queues"
        );
        let texts = Texts::new(schema("shop"));
        assert_eq!(
            &*texts.get(statement),
            "SELECT 'DBOS.sleep' FROM \"shop\".queues"
        );
        assert!(Arc::ptr_eq(&texts.get(statement), &texts.get(statement)));
    }

    #[test]
    fn a_name_that_the_server_would_not_keep_is_refused() {
        for name in ["", "a\0b", "pg_shop", "information_schema", &"x".repeat(64)] {
            let error = SchemaName::new(name).unwrap_err().to_string();
            assert!(error.contains("choose another"), "{error}");
        }
        SchemaName::new(&"x".repeat(63)).unwrap();
    }
}
