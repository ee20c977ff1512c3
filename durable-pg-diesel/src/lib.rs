//! The Postgres backend on diesel-async.
