//! A database that refuses every call.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{
    db::{DbError, Hint, Result, SystemDb, Waits, Wakes},
    time::Timestamp,
};

/// What a replay runs on: there is nothing to read in it, and nothing can be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed;

fn refuse<T>(call: &str) -> Result<T> {
    Err(DbError::Refused(format!(
        "a replay neither reads nor writes a database, and `{call}` was called"
    )))
}

/// Methods that refuse.
macro_rules! sealed {
    ($trait:path { $(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* } $($rest:tt)*) => {
        #[async_trait]
        impl $trait for Sealed {
            $(async fn $name(&self, $(_: $type),*) -> Result<$answer> {
                refuse(stringify!($name))
            })*
            $($rest)*
        }
    };
}

sealed!(SystemDb {
    fn migrate() -> ();
    fn verify() -> ();
    fn now() -> Timestamp;
    fn poll(waits: &Waits) -> Wakes;
}
fn hints(&self) -> BoxStream<'static, Hint> {
    Box::pin(futures_util::stream::pending())
});

crate::__each_concern!(sealed);
