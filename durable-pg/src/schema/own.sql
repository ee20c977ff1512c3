-- What is not of the DBOS system database: our own tables, which other SDKs ignore. The lives of
-- executors, one row each. lease_ms: how long one lives without a heartbeat; none has no lease, and
-- 0 has given it back.
CREATE TABLE IF NOT EXISTS dbos.durable_executors (
    executor_id TEXT NOT NULL PRIMARY KEY,
    application_name TEXT NOT NULL,
    incarnation BIGINT NOT NULL,
    last_seen_epoch_ms BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT,
    lease_ms BIGINT
)
-- ;;
-- What each life of an executor serves, one row a queue; the rows of its earlier lives are deleted.
CREATE TABLE IF NOT EXISTS dbos.durable_served_queues (
    executor_id TEXT NOT NULL,
    incarnation BIGINT NOT NULL,
    queue_name TEXT NOT NULL,
    application_version TEXT NOT NULL,
    PRIMARY KEY (executor_id, incarnation, queue_name)
)
-- ;;
-- How many dispatches of a workflow do not count as crashes: see `state::Attempts`. incarnation is
-- the creator_xid of its row, or its created_at, so that what a deleted workflow left is not
-- another's.
CREATE TABLE IF NOT EXISTS dbos.durable_attempts (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    incarnation TEXT NOT NULL,
    excused BIGINT NOT NULL,
    steps BIGINT NOT NULL,
    last_excused BIGINT NOT NULL
)
