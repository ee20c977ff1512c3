-- What is not of the DBOS system database: our own objects, which other SDKs ignore. Safe to run again.

CREATE TABLE IF NOT EXISTS durable_executors (
    executor_id TEXT NOT NULL PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    application_name TEXT NOT NULL,
    started_at INTEGER NOT NULL
);

-- What each life of an executor serves, one row a queue; the rows of its earlier lives are deleted.
CREATE TABLE IF NOT EXISTS durable_served_queues (
    executor_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    queue_name TEXT NOT NULL,
    application_version TEXT NOT NULL,
    PRIMARY KEY (executor_id, incarnation, queue_name)
);

-- How many dispatches of a workflow do not count as crashes: see `state::Attempts`. `incarnation`
-- is the `creator_xid` of its row, or its `created_at`, so that what a deleted workflow left is not
-- another's.
CREATE TABLE IF NOT EXISTS durable_attempts (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    incarnation TEXT NOT NULL,
    excused INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    last_excused INTEGER NOT NULL
);

-- What waits on a queue, in the order of its claims. `idx_workflow_status_in_flight_v2` does not serve them: SQLite does not
-- see that a status which equals 'ENQUEUED' is one of a list.
CREATE INDEX IF NOT EXISTS durable_enqueued
    ON workflow_status (queue_name, priority, created_at, workflow_uuid)
    WHERE status = 'ENQUEUED';
