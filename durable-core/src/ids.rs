//! The names that cross the library: of workflows, executors, owner tokens and payload formats.
//!
//! Each is a type of its own, so that one cannot be passed where another is meant; all are cheap to clone.

use std::{fmt, sync::Arc};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<&String> for $name {
            fn from(text: &String) -> Self {
                Self(text.as_str().into())
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type! {
    /// Names one workflow for ever: its idempotency key (column `workflow_uuid`).
    WorkflowId
}
name_type! {
    /// Names one executor, a process that runs workflows (column `executor_id`).
    ExecutorId
}
name_type! {
    /// Names one execution of a workflow (column `owner_xid`): every write on its behalf carries it,
    /// and is refused when the row holds another one.
    OwnerToken
}
name_type! {
    /// Names how a payload is encoded (column `serialization`), for example `portable_json`.
    Format
}

impl WorkflowId {
    /// The id of the child that a workflow starts as this operation, unless it is given one.
    pub fn of_child(parent: &Self, number: i32) -> Self {
        Self::from(format!("{parent}-{number}"))
    }
}

/// The id of a message, from the key that its sender chose and its destination: a second one with
/// the same key and destination is the same message, and no other is.
///
/// It is `key::destination`, as the other SDKs have it, where it can be read in one way only. A key
/// that is empty, ends with a colon or has `::` in it stands behind its length instead.
pub(crate) fn message_id(key: &str, destination: &WorkflowId) -> String {
    if key.is_empty() || key.ends_with(':') || key.contains("::") {
        return format!("::{}:{key}::{destination}", key.len());
    }
    format!("{key}::{destination}")
}

/// What a workflow is registered as: its name, and for a method its class and the instance's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkflowKey {
    /// The workflow's name (column `name`).
    pub name: String,
    /// The type whose method it is (column `class_name`).
    pub class: Option<String>,
    /// The name of the registered instance (column `config_name`).
    pub config: Option<String>,
}

impl WorkflowKey {
    /// A workflow that is a plain function.
    pub fn function(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            class: None,
            config: None,
        }
    }
}

impl fmt::Display for WorkflowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = &self.class {
            write!(f, "{class}::")?;
        }
        f.write_str(&self.name)?;
        if let Some(config) = &self.config {
            write!(f, " of instance {config:?}")?;
        }
        Ok(())
    }
}

/// One execution's claim to a workflow: which workflow, and the token that its writes carry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The token of this execution.
    pub token: OwnerToken,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_plain_key_gives_the_id_of_the_other_sdks() {
        assert_eq!(message_id("evt-1", &"order-7".into()), "evt-1::order-7");
        assert_eq!(message_id("a:b", &"x::y".into()), "a:b::x::y");
    }

    #[test]
    fn no_two_pairs_of_key_and_destination_have_one_id() {
        let parts = [
            "", ":", "::", "a", "1", "a:", ":a", "a::", "::a", "a::a", ":::", "1:a", "::1:a",
        ];
        let mut seen = BTreeMap::new();
        for key in parts {
            for destination in parts {
                let id = message_id(key, &destination.into());
                let other = seen.insert(id.clone(), (key, destination));
                assert_eq!(other, None, "{id:?} is of {key:?} and {destination:?} too");
            }
        }
    }
}
