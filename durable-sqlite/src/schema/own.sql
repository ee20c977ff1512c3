-- What is not of the DBOS system database: our own objects, which other SDKs ignore. Safe to run again.

CREATE TABLE IF NOT EXISTS durable_executors (
    executor_id TEXT NOT NULL PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    application_name TEXT NOT NULL,
    started_at INTEGER NOT NULL
);

-- What waits on a queue, in the order of its claims. `idx_workflow_status_in_flight_v2` does not serve them: SQLite does not
-- see that a status which equals 'ENQUEUED' is one of a list.
CREATE INDEX IF NOT EXISTS durable_enqueued
    ON workflow_status (queue_name, priority, created_at, workflow_uuid)
    WHERE status = 'ENQUEUED';
