-- The tables of the DBOS system database at version 125. Times are milliseconds since the Unix epoch.
-- The payload tables and the steps have no foreign key: who deletes a workflow deletes them too.
CREATE TABLE IF NOT EXISTS dbos.dbos_migrations (
    version BIGINT NOT NULL PRIMARY KEY
)
-- ;;
-- One row for each workflow. `inputs`, `output` and `error` are read in old rows only; `request` is another SDK's.
CREATE TABLE IF NOT EXISTS dbos.workflow_status (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    status TEXT,
    name TEXT,
    class_name VARCHAR(255) DEFAULT NULL,
    config_name VARCHAR(255) DEFAULT NULL,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    inputs TEXT,
    output TEXT,
    error TEXT,
    serialization TEXT,
    executor_id TEXT,
    application_id TEXT,
    application_name TEXT,
    application_version TEXT,
    owner_xid TEXT,
    creator_xid TEXT,
    recovery_attempts BIGINT DEFAULT 0,
    queue_name TEXT,
    queue_partition_key TEXT,
    priority INTEGER NOT NULL DEFAULT 0,
    deduplication_id TEXT,
    is_debounced BOOLEAN NOT NULL DEFAULT FALSE,
    debounce_deadline_epoch_ms BIGINT,
    delay_until_epoch_ms BIGINT,
    rate_limited BOOLEAN NOT NULL DEFAULT FALSE,
    workflow_timeout_ms BIGINT,
    workflow_deadline_epoch_ms BIGINT,
    parent_workflow_id TEXT,
    forked_from TEXT,
    was_forked_from BOOLEAN NOT NULL DEFAULT FALSE,
    schedule_name TEXT,
    attributes JSONB,
    created_at BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT,
    updated_at BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT,
    started_at_epoch_ms BIGINT,
    completed_at BIGINT
)
-- ;;
CREATE TABLE IF NOT EXISTS dbos.workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT
)
-- ;;
CREATE TABLE IF NOT EXISTS dbos.workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT
)
-- ;;
-- One row for each recorded operation of a workflow.
CREATE TABLE IF NOT EXISTS dbos.operation_outputs (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    serialization TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms BIGINT,
    completed_at_epoch_ms BIGINT,
    application_name TEXT,
    retention_timestamp BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT,
    PRIMARY KEY (workflow_uuid, function_id)
)
-- ;;
-- One row for each message, kept after it was received.
CREATE TABLE IF NOT EXISTS dbos.notifications (
    message_uuid TEXT NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    destination_uuid TEXT NOT NULL
        REFERENCES dbos.workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    topic TEXT,
    message TEXT NOT NULL,
    serialization TEXT,
    consumed BOOLEAN NOT NULL DEFAULT FALSE,
    consumed_by_function_id INTEGER,
    created_at_epoch_ms BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT
)
-- ;;
-- The present value of each event; `workflow_events_history` holds the value of each step that set one.
CREATE TABLE IF NOT EXISTS dbos.workflow_events (
    workflow_uuid TEXT NOT NULL
        REFERENCES dbos.workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    serialization TEXT,
    PRIMARY KEY (workflow_uuid, key)
)
-- ;;
CREATE TABLE IF NOT EXISTS dbos.workflow_events_history (
    workflow_uuid TEXT NOT NULL
        REFERENCES dbos.workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    serialization TEXT,
    PRIMARY KEY (workflow_uuid, function_id, key)
)
-- ;;
CREATE TABLE IF NOT EXISTS dbos.streams (
    workflow_uuid TEXT NOT NULL
        REFERENCES dbos.workflow_status (workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE,
    key TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    value TEXT NOT NULL,
    serialization TEXT,
    function_id INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workflow_uuid, key, "offset")
)
-- ;;
-- Names of queues are unique in the database, whoever owns them. `priority_enabled` and `partition_queue` are for older SDKs.
CREATE TABLE IF NOT EXISTS dbos.queues (
    queue_id TEXT NOT NULL PRIMARY KEY DEFAULT gen_random_uuid()::TEXT,
    name TEXT NOT NULL UNIQUE,
    application_name TEXT,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec DOUBLE PRECISION,
    partition_concurrency INTEGER,
    partition_worker_concurrency INTEGER,
    partition_rate_limit_max INTEGER,
    partition_rate_limit_period_sec DOUBLE PRECISION,
    polling_interval_sec DOUBLE PRECISION NOT NULL DEFAULT 1.0,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    created_at BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT,
    updated_at BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT
)
-- ;;
CREATE TABLE IF NOT EXISTS dbos.workflow_schedules (
    schedule_id TEXT NOT NULL PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    application_name TEXT,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    queue_name TEXT,
    schedule TEXT NOT NULL,
    cron_timezone TEXT,
    context TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    automatic_backfill BOOLEAN NOT NULL DEFAULT FALSE,
    last_fired_at TEXT
)
-- ;;
CREATE TABLE IF NOT EXISTS dbos.application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    application_name TEXT,
    version_timestamp BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT,
    created_at BIGINT NOT NULL DEFAULT (extract(epoch FROM now()) * 1000.0)::BIGINT
)
-- ;;
-- Kept for other SDKs; nothing of ours writes it.
CREATE TABLE IF NOT EXISTS dbos.event_dispatch_kv (
    service_name TEXT NOT NULL,
    workflow_fn_name TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT,
    update_seq NUMERIC(38, 0),
    update_time NUMERIC(38, 15),
    PRIMARY KEY (service_name, workflow_fn_name, key)
)
