//! What to do where the tables are missing or old, or where a role may not use them: always with the schema and the role in question.

use std::fmt::Write as _;

use crate::text::{DEFAULT_SCHEMA, SchemaName};

/// For where neither the schema nor the role is known.
pub(crate) const MIGRATE: &str = "run `cargo xtask migrate --database-url URL` in a checkout of durable, or a `Migration` in a program of your \
     own, for the application's schema and role (`--schema`, `--app-role`); or launch with migrations on";

/// The ways to migrate the schema, and to grant the role what it needs if one is given.
pub(super) fn ways(schema: &SchemaName, role: Option<&str>) -> String {
    let (mut options, mut calls) = (String::new(), String::new());
    let name = schema.as_str();
    let mut named = String::new();
    if name != DEFAULT_SCHEMA {
        let _ = write!(options, " --schema {}", word(name));
        named = format!(".schema({name:?})");
    }
    if let Some(role) = role {
        let _ = write!(options, " --app-role {}", word(role));
        calls = format!(".app_role({role:?})");
    }
    format!(
        "`cargo xtask migrate --database-url URL{options}` in a checkout of durable, or \
         `Postgres::options(URL){named}.migration()?{calls}.run()` in a program of your own"
    )
}

/// What to do where the tables are missing or old.
pub(super) fn migrate(schema: &SchemaName) -> String {
    format!("run {}, or launch with migrations on", ways(schema, None))
}

/// What to do where the role lacks rights.
pub(super) fn grant(schema: &SchemaName, role: &str) -> String {
    format!(
        "have a role that owns the database or its tables run {}",
        ways(schema, Some(role))
    )
}

/// A name as one word of a shell.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_what_is_not_as_usual_as_a_shell_and_a_program_take_it() {
        let schema = |name| SchemaName::new(name).unwrap();
        assert_eq!(
            ways(&schema("dbos"), None),
            "`cargo xtask migrate --database-url URL` in a checkout of durable, or \
             `Postgres::options(URL).migration()?.run()` in a program of your own"
        );
        assert_eq!(
            ways(&schema("my jobs"), Some("o'hara")),
            r"`cargo xtask migrate --database-url URL --schema 'my jobs' --app-role 'o'\''hara'` in a checkout of durable, or ".to_owned()
                + r#"`Postgres::options(URL).schema("my jobs").migration()?.app_role("o'hara").run()` in a program of your own"#
        );
    }
}
