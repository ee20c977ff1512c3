//! The application version: by default a digest of what is registered.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::registry::Registry;

/// A digest over the application's name and, sorted by name, each registered workflow's name and version part
/// (the hash of its body, or the version it was given).
///
/// A rebuild or a reformat keeps it, an edited workflow body changes it; an edited helper or step does not.
pub(super) fn digest(application: &str, registry: &Registry) -> String {
    let mut hasher = Sha256::new();
    let mut part = |text: &str| {
        // The length first, so that no two lists of parts run into the same bytes.
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    part(application);
    for (name, version) in registry.versions() {
        part(&name);
        part(version);
    }
    hasher.finalize()[..16]
        .iter()
        .fold(String::with_capacity(32), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
