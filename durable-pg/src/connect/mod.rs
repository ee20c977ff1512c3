//! How a server is reached: what the URL says, which of its servers answers, and the pool of our own.
//!
//! - `url`, `keys`: the URL, once for both drivers; `defaults`: what it leaves open
//! - `target`: one server, as a driver is told it
//! - `servers`: all of them, tried in their order until one takes writes
//! - `pool`: sessions of our own
//! - `advice`: what to do where none answers, or refuses
//! - `probe`: whether what answers gives whole sessions

pub(crate) mod advice;
mod defaults;
mod keys;
mod pool;
pub(crate) mod probe;
mod servers;
mod target;
mod url;

pub use pool::{Checkout, Connect, OwnPool};
pub use servers::Servers;
pub use target::{Certificate, Host, Password, Roots, Target, Tls};
