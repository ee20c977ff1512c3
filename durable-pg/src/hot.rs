//! The statements that run while workflows do, for tests that look at their plans.

use crate::{
    attempts, changes, events, executors, lane, leases, messages, options, queues, session, source,
    steps, transaction, versions, waits, workflows,
};

/// What a session of our own is set to.
pub const OWN_SESSION: &str = options::PREPARE;

/// How a transaction of our own begins in a session of an application.
pub const BEGIN_AS_GUEST: &str = transaction::BEGIN_AS_GUEST;

/// Each statement that runs more often than once in a process's life and looks for rows in a table that grows with the workflows:
/// its name, and its text for the schema `dbos`.
pub fn statements() -> Vec<(&'static str, &'static str)> {
    vec![
        ("attempts::KEEP", attempts::KEEP),
        ("attempts::KNOWN", attempts::KNOWN),
        ("changes::LOCK", changes::LOCK),
        ("changes::SAVE", changes::SAVE),
        ("events::EVENT", events::EVENT),
        ("executors::ADOPTABLE", executors::ADOPTABLE),
        ("executors::EXECUTORS", executors::EXECUTORS),
        ("executors::LEFT", executors::LEFT),
        ("lane::EXISTING", lane::EXISTING),
        ("lane::FINISH", lane::FINISH),
        ("lane::INSERT", lane::INSERT),
        ("lane::OWNER", lane::OWNER),
        ("lane::RECORD", lane::RECORD),
        ("lane::STORED", lane::STORED),
        ("lane::WRITE", lane::WRITE),
        ("lane::WRITE_ENDS", lane::WRITE_ENDS),
        ("lane::WRITE_STARTS", lane::WRITE_STARTS),
        ("lane::WRITE_STEPS", lane::WRITE_STEPS),
        ("leases::BEAT", leases::BEAT),
        ("leases::END", leases::END),
        ("messages::CONSUME", messages::CONSUME),
        ("messages::DELIVER", messages::DELIVER),
        ("messages::EXISTS", messages::EXISTS),
        ("messages::TOOK", messages::TOOK),
        ("queues::ANY_CANDIDATE", queues::ANY_CANDIDATE),
        ("queues::CANDIDATES", queues::CANDIDATES),
        ("queues::CLAIMED_BY", queues::CLAIMED_BY),
        ("queues::LIFE", queues::LIFE),
        ("queues::WAITING", queues::WAITING),
        ("session::DEAD", session::DEAD),
        ("session::DEAD_OR_LAPSED", session::DEAD_OR_LAPSED),
        ("source::LEAVE", source::LEAVE),
        ("source::WITNESS", source::WITNESS),
        ("steps::HISTORIES", steps::HISTORIES),
        ("versions::STRANDED", versions::STRANDED),
        ("waits::POLL", waits::POLL),
        ("workflows::ANY_DUE", workflows::ANY_DUE),
        ("workflows::DUE", workflows::DUE),
        ("workflows::ROW", workflows::ROW),
    ]
}
