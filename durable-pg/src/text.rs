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

    /// A text of this crate that is written for the schema `dbos`, for this one. Nothing in it may be anybody else's: a name or a default
    /// with `dbos.` in it would be taken for the schema. Quotes by dollars get a tag that the name does not have.
    pub(crate) fn render(&self, text: &str) -> String {
        if self.is_default() {
            return text.to_owned();
        }
        let schema = self.quoted();
        let mut text = text.to_owned();
        for tag in tags(&text) {
            let other = tag_beside(&tag, &schema);
            text = text.replace(&format!("${tag}$"), &format!("${other}$"));
        }
        text.replace("dbos.", &format!("{schema}."))
    }

    /// The name as [`render`](Self::render) has it, for statements that are put together.
    pub(crate) fn rendered(&self) -> String {
        if self.is_default() {
            return DEFAULT_SCHEMA.to_owned();
        }
        self.quoted()
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

/// The tags of the quotes by dollars in a text of ours: `do` in `$do$ … $do$`.
fn tags(text: &str) -> Vec<String> {
    let is_tag = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    // Each second part is between two dollars, if there are none but those of tags; `$1` has none after it.
    let mut tags: Vec<String> = text
        .split('$')
        .skip(1)
        .filter(is_tag)
        .filter(|part| text.contains(&format!("${part}$")))
        .map(str::to_owned)
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// A tag like this one for a quote by dollars around `content`, in which it must not be.
pub(crate) fn tag_beside(tag: &str, content: &str) -> String {
    let mut other = tag.to_owned();
    while content.contains(&format!("${other}$")) {
        other.push('_');
    }
    other
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
    fn a_name_that_looks_like_what_is_replaced_is_a_name() {
        let schema = |name| SchemaName::new(name).unwrap();
        let statement = "DO $do$ BEGIN LOCK TABLE dbos.queues; END $do$; SELECT $1 FROM dbos.a";
        assert_eq!(
            schema("my.dbos.b").render(statement),
            "DO $do$ BEGIN LOCK TABLE \"my.dbos.b\".queues; END $do$; SELECT $1 FROM \"my.dbos.b\".a"
        );
        assert_eq!(
            schema("$do$ $do_$").render(statement),
            "DO $do__$ BEGIN LOCK TABLE \"$do$ $do_$\".queues; END $do__$; SELECT $1 FROM \"$do$ $do_$\".a"
        );
        assert_eq!(schema("dbos").rendered(), "dbos");
        assert_eq!(schema("a\"b").rendered(), "\"a\"\"b\"");
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
