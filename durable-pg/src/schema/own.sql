-- What is not of the DBOS system database: our own table, which other SDKs ignore. The lives of executors, one row each.
-- lease_ms: how long one lives without a heartbeat; none has no lease, and 0 has given it back.
CREATE TABLE IF NOT EXISTS dbos.durable_executors (
    executor_id TEXT NOT NULL PRIMARY KEY,
    application_name TEXT NOT NULL,
    incarnation BIGINT NOT NULL,
    last_seen_epoch_ms BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT,
    lease_ms BIGINT
)
