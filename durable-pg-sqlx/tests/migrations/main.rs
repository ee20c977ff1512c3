//! Migrations of the system tables: from nothing, from older SDKs, many at once, broken off, refused, and for a role without rights.

mod common;
mod made;
mod many;
mod newer;
mod official;
mod older;
mod refused;
mod role;
