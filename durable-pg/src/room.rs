//! Whether the server has room for the connections of all who live on it.

use crate::{Driver, Row, core::Core, session::LIVING, value::params};

/// Of ten connections that the server takes, so many may be spoken for without a warning.
const FULL: i64 = 9;

/// Warns in words where the connections that this process may open, times the processes that live, come near to what the server takes.
///
/// A look that fails tells nothing: what it looks for is no condition of anything.
pub(crate) async fn look<D: Driver>(core: &Core<D>) {
    let Some(wanted) = core.bounds.connections.map(i64::from) else {
        return;
    };
    let schema = core.schema().as_str();
    let Ok(rows) = core
        .ask("look at the server's limits", LIVING, params![schema])
        .await
    else {
        return;
    };
    if let Some(room) = rows.into_iter().next_back().and_then(Room::read)
        && room.is_short_for(wanted)
    {
        let Room { takes, executors } = room;
        tracing::warn!(
            "this process may open {wanted} connections, and {executors} executors live on this database: {} in all if the others may \
             open as many, and the server takes {takes} (max_connections, less those reserved). Lower `pool_size`, raise \
             max_connections, or put a pooler in session mode in between",
            wanted.saturating_mul(executors)
        );
    }
}

/// What the server says.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// How many connections it takes.
    takes: i64,
    /// How many executors live on this database.
    executors: i64,
}

impl Room {
    fn read(mut row: Row) -> Option<Self> {
        Some(Self {
            takes: row.some_integer().ok()?,
            executors: row.some_integer().ok()?.max(1),
        })
    }

    fn is_short_for(self, wanted: i64) -> bool {
        wanted.saturating_mul(self.executors).saturating_mul(10) > self.takes.saturating_mul(FULL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_connections_may_be_spoken_for() {
        let room = |executors| Room {
            takes: 100,
            executors,
        };
        assert!(!room(3).is_short_for(30));
        assert!(room(3).is_short_for(31));
        assert!(room(1).is_short_for(91));
    }
}
