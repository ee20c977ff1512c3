//! What the example programs share, none of which is about `durable` itself: the programs stand in `src/bin`.

pub mod database;
pub mod screen;
